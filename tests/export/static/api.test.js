import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../../src/lorelm/", import.meta.url);

/** The names that a module exports, without running it. */
function exportsOf(path) {
  const source = readFileSync(new URL(path, ROOT), "utf-8");
  const declared = source.matchAll(/^export (?:async )?(?:function\*?|const|class) (\w+)/gm);
  const passedOn = source.matchAll(/^export \{ (.+) \} from/gm);
  const names = [...passedOn].flatMap(([, list]) => list.split(", "));
  return new Set([...[...declared].map(([, name]) => name), ...names]);
}

test("the transport of an exported page has all that the page takes from the server's", () => {
  const own = exportsOf("export/static/api.js");
  for (const name of ["write.js", "unknown_words.js"]) {
    const source = readFileSync(new URL(`server/static/${name}`, ROOT), "utf-8");
    const [, list] = /import \{([^}]+)\} from ".\/api.js"/.exec(source);
    for (const taken of list.split(",").map((each) => each.trim())) {
      assert.ok(own.has(taken), `export/static/api.js does not export ${taken}`);
    }
  }
});
