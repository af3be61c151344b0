import assert from "node:assert/strict";
import { test } from "node:test";

import { describeEnd, Generation } from "../../../src/lorelm/server/static/generation.js";

const START = { name: "start", data: { seeds: [7] } };
const token = (text, sample = 0) => ({ name: "tokens", data: { sample, tokens: [{ text }] } });
const end = (sample = 0) => ({ name: "sample", data: { sample, finish_reason: "length" } });

class Sink {
  texts = [];
  ended = false;
  add = ({ text }) => this.texts.push(text);
  end = () => (this.ended = true);
}

/** A stream that waits until it is released or aborted. */
function gate() {
  let release;
  const opened = new Promise((resolve) => (release = resolve));
  const passed = (signal) =>
    Promise.race([
      opened,
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(new Error("abort"))),
      ),
    ]);
  return { release, passed };
}

test("it waits, streams from the first token on, and is idle again", async () => {
  const states = [];
  const generation = new Generation(async function* () {
    states.push(generation.state);
    yield START;
    states.push(generation.state);
    yield token("a");
    states.push(generation.state);
    yield token("b");
    yield end();
  });
  assert.equal(generation.state, "idle");
  const sink = new Sink();
  let numFirst = 0;
  const [result] = await generation.run([{}], [[sink]], () => numFirst++);
  assert.deepEqual(states, ["waiting", "waiting", "streaming"]);
  assert.equal(generation.state, "idle");
  assert.deepEqual([sink.texts, sink.ended, numFirst], [["a", "b"], true, 1]);
  assert.deepEqual([result.seed, result.samples[0].finish_reason], [7, "length"]);
});

test("tokens go to the sink of their request and sample", async () => {
  const generation = new Generation(async function* ({ name }) {
    yield START;
    for (const i of [1, 0]) {
      yield token(`${name}${i}`, i);
      yield end(i);
    }
  });
  const sinks = [
    [new Sink(), new Sink()],
    [new Sink(), new Sink()],
  ];
  const ended = [];
  await generation.run(
    [{ name: "a" }, { name: "b" }],
    sinks,
    () => {},
    (i) => ended.push(i),
  );
  assert.deepEqual(
    sinks.flat().map(({ texts }) => texts),
    [["a0"], ["a1"], ["b0"], ["b1"]],
  );
  assert.deepEqual(ended.sort(), [0, 1]);
});

test("a stopped generation keeps its tokens and is no failure", async () => {
  const { passed } = gate();
  const generation = new Generation(async function* (_, signal) {
    yield START;
    yield token("a");
    await passed(signal);
  });
  const sink = new Sink();
  const running = generation.run([{}], [[sink]], () => setTimeout(() => generation.stop()));
  await assert.rejects(() => generation.run([{}], [[sink]], () => {}), /is running/);
  const [{ samples }] = await running;
  assert.deepEqual([sink.texts, samples], [["a"], []]);
  assert.ok(generation.isIdle);
});

test("where one of two requests fails, the other is stopped and the error is thrown", async () => {
  const { passed } = gate();
  let wasAborted = false;
  const generation = new Generation(async function* ({ fails }, signal) {
    yield START;
    if (fails) throw new Error("refused");
    await passed(signal).finally(() => (wasAborted = signal.aborted));
  });
  const sinks = [[new Sink()], [new Sink()]];
  const run = () => generation.run([{ fails: true }, {}], sinks, () => {});
  await assert.rejects(run, /refused/);
  assert.ok(wasAborted);
  assert.ok(generation.isIdle);
});

test("the description of an end has its reason, tokens and seed", () => {
  assert.equal(describeEnd(undefined, 0, NaN), "Stopped.");
  assert.equal(describeEnd(undefined, 3, 7), "Stopped: 3 tokens, seed 7.");
  assert.equal(describeEnd({ finish_reason: "length" }, 3, 7), "3 tokens, seed 7.");
  assert.match(describeEnd({ finish_reason: "eos" }, 3, 7), /^The model ended here: 3 tokens/);
  assert.match(describeEnd({ finish_reason: "timeout" }, 3, 7), /time limit was reached\.$/);
  const lacking = { finish_reason: "length", missing_words: ["owl", "mill"] };
  assert.match(describeEnd(lacking, 3, 7), / These words found no place: owl, mill\.$/);
});
