import assert from "node:assert/strict";
import { test } from "node:test";

import { ServerDrafts } from "../../../src/lorelm/server/static/server_drafts.js";

/** Answer requests with `reply`, and return what was asked for. */
function listen(reply, status = 200) {
  const asked = [];
  globalThis.fetch = async (url, { method, headers, body }) => {
    asked.push({ url: String(url), method, headers, body: body && JSON.parse(body) });
    return new Response(JSON.stringify(reply), { status });
  };
  return asked;
}

test("drafts are asked for by their addresses, as our page", async () => {
  const asked = listen({ drafts: [], next: null });
  const store = new ServerDrafts(10_000);
  await store.list({ search: "a & b", after: "1.2.3" });
  await store.save("id1", { version: 3, content: ["x"], model: "" });
  await store.remove("id1");
  assert.match(asked[0].url, /\/api\/drafts\?q=a\+%26\+b&after=1\.2\.3$/);
  assert.equal(asked[0].headers["Lorelm-Page"], "1");
  assert.deepEqual([asked[1].method, asked[1].body.version], ["PUT", 3]);
  assert.deepEqual([asked[2].method, asked[2].body], ["DELETE", undefined]);
});

test("a text that would be too long with its tints is kept without them", async () => {
  const asked = listen({});
  const store = new ServerDrafts(5000);
  const content = Array.from({ length: 400 }, () => ["wörd", -1.234]);
  await store.add({ name: "x", content, model: "m" });
  assert.deepEqual(asked[0].body.content, ["wörd".repeat(400)]);
  await store.add({ name: "x", content: content.slice(0, 50), model: "m" });
  assert.equal(asked[1].body.content.length, 50);
});

test("a refusal has its code and sentence", async () => {
  listen({ error: { message: "kept by another tab", fields: [], code: "draft.conflict" } }, 409);
  await assert.rejects(new ServerDrafts(5000).save("id1", { version: 1, content: [], model: "" }), {
    message: "kept by another tab.",
    code: "draft.conflict",
  });
});
