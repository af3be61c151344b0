import assert from "node:assert/strict";
import { test } from "node:test";

import {
  editorContent,
  keptContent,
  nameOf,
  textOf,
} from "../../../src/lorelm/server/static/kept_content.js";

const token = (text, score, copied) => ({
  text,
  log_probability: score,
  alternatives: [{ text: " other", log_probability: -2 }],
  copied,
});

test("a text is kept without alternatives, its strings joined", () => {
  const content = ["The", " fox", " ", token(" sat", -1.23456), "", " ", token(" by", -0.00001, 6)];
  const kept = keptContent(content);
  assert.deepEqual(kept, ["The fox ", ["sat", -1.235], " ", ["by", -0, 6]]);
  assert.equal(textOf(kept), "The fox sat by");
});

test("the server's text and the editor's are the same", () => {
  const kept = JSON.parse(JSON.stringify(keptContent(["The ", token("fox", -0.0001)])));
  const content = editorContent(kept);
  assert.deepEqual(content[1], { text: "fox", log_probability: 0, alternatives: [], copied: 0 });
  assert.deepEqual(JSON.stringify(keptContent(content)), JSON.stringify(kept));
});

test("a name is the first words of a text", () => {
  assert.equal(nameOf("  The fox\n sat "), "The fox sat");
  assert.equal(nameOf(" \n"), "Untitled");
  const long = nameOf("The fox sat by the mill and the river and the bridge and the barn");
  assert.equal(long, "The fox sat by the mill and the river…");
  assert.equal(nameOf("x".repeat(100)).length, 41);
  assert.equal(nameOf("🦊".repeat(100)).isWellFormed?.() ?? true, true);
});
