import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import {
  checkWords,
  generate,
  parseEvent,
  promptOf,
  RequestError,
  ROOT,
} from "../../../src/lorelm/server/static/api.js";
import { ApiError } from "../../../src/lorelm/server/static/requests.js";

const { fetch } = globalThis;

afterEach(() => {
  globalThis.fetch = fetch;
});

/** Answer requests with a stream of these chunks; return the requests. */
function answerWith(chunks, { fails = false } = {}) {
  const requests = [];
  globalThis.fetch = async (url, options) => {
    requests.push({ url: String(url), ...options });
    const body = new ReadableStream({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
        if (fails) controller.error(new Error("reset"));
        else controller.close();
      },
    });
    return new Response(body);
  };
  return requests;
}

async function collect(events) {
  const collected = [];
  for await (const event of events) collected.push(event);
  return collected;
}

const run = () => collect(generate({ prompt: "a" }, new AbortController().signal));

test("an event has a name and JSON data; without a name it is a token", () => {
  assert.deepEqual(parseEvent('event: done\ndata: {"a": 1}'), { name: "done", data: { a: 1 } });
  assert.equal(parseEvent("data: 1").name, "tokens");
});

test("events that are cut anywhere by the network come whole", async () => {
  const text =
    'event: start\ndata: {"seeds": [7]}\n\ndata: {"text": "é"}\n\nevent: done\ndata: {}\n\n';
  for (let i = 1; i < text.length; i += 5) {
    const requests = answerWith([text.slice(0, i), text.slice(i)]);
    const events = await run();
    assert.deepEqual(
      events.map(({ name }) => name),
      ["start", "tokens", "done"],
    );
    assert.equal(events[1].data.text, "é");
    assert.equal(requests[0].url, new URL("api/generate", ROOT).href);
    assert.deepEqual(JSON.parse(requests[0].body), { prompt: "a", stream: true });
  }
});

test("a stream that ends or breaks before its last event is an error", async () => {
  answerWith(['data: {"text": "a"}\n\n']);
  await assert.rejects(run, { constructor: RequestError, message: /broke/ });
  answerWith([], { fails: true });
  await assert.rejects(run, { constructor: RequestError, message: /does not answer/ });
});

test("an error event is an error", async () => {
  answerWith(['event: error\ndata: {"message": "too late"}\n\n']);
  await assert.rejects(run, { constructor: ApiError, message: "too late." });
});

test("an error response names the fields", async () => {
  const fields = [
    { field: "top_p", message: "too large" },
    { field: "seed", message: "too small" },
  ];
  const error = { message: "top_p: too large", field: "top_p", fields };
  globalThis.fetch = async () => new Response(JSON.stringify({ error }), { status: 422 });
  await assert.rejects(run, { constructor: ApiError, message: "top_p: too large.", fields });
  globalThis.fetch = async () => new Response("<h1>Bad Gateway</h1>", { status: 502 });
  await assert.rejects(run, { constructor: RequestError, message: "The server answers 502." });
});

test("the model is sent with the text to check", async () => {
  const requests = answerWith(['{"unknown_words": [], "num_unknown_words": 0}']);
  const { signal } = new AbortController();
  assert.equal((await checkWords("text", "tales", signal)).num_unknown_words, 0);
  assert.deepEqual(JSON.parse(requests[0].body), { text: "text", model: "tales" });
});

test("a prompt is cut between characters and has no lone surrogates", () => {
  assert.equal(promptOf("abc", 2), "bc");
  assert.equal(promptOf("😀a", 2), "a");
  assert.equal(promptOf("x😀a\ud800", 5), "x😀a\ufffd");
});
