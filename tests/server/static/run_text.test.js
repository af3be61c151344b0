import assert from "node:assert/strict";
import { test } from "node:test";

import {
  duration,
  mergeEvent,
  number,
  stageOf,
  titleOf,
} from "../../../src/lorelm/server/static/run_text.js";

test("an event replaces values and continues series", () => {
  const run = {};
  assert.deepEqual(mergeEvent(run, { corpus: [["a", "b"]], epochs: { from: 0, rows: [1, 2] } }), [
    "corpus",
    "epochs",
  ]);
  mergeEvent(run, { epochs: { from: 2, rows: [3] } });
  assert.deepEqual(run, { corpus: [["a", "b"]], epochs: [1, 2, 3] });
});

test("rows that come again take the place of the old ones", () => {
  const run = { epochs: [1, 2, 3] };
  mergeEvent(run, { epochs: { from: 1, rows: [4] } });
  assert.deepEqual(run.epochs, [1, 4]);
  mergeEvent(run, { epochs: { from: 0, rows: [] } });
  assert.deepEqual(run.epochs, []);
});

test("each stage is a sentence", () => {
  const at = (stage, done) =>
    stageOf({ progress: { stage, epochs: 3 }, epochs: Array.from({ length: done }) });
  assert.equal(stageOf({}), "");
  assert.equal(at("training", 0), "Training: epoch 1 of 3.");
  assert.equal(at("training", 2), "Training: epoch 3 of 3.");
  assert.equal(at("training", 4), "Training: epoch 4 is over.");
  assert.equal(at("stopped", 4), "Stopped after 4 epochs.");
  assert.equal(at("stopped", 2), "Stopped after 2 of 3 epochs.");
  assert.equal(
    stageOf({ progress: { stage: "stopped", epochs: 1 }, epochs: [1] }),
    "Stopped after 1 epoch.",
  );
  assert.equal(at("failed", 2), "Failed.");
});

test("the title of the window tells how far it is", () => {
  const title = (progress) => titleOf({ progress }, "a.csv");
  assert.equal(title(undefined), "a.csv – LoreLM trains");
  assert.equal(title({ stage: "training", share: 0.428 }), "42% – a.csv – LoreLM trains");
  assert.equal(title({ stage: "finished", share: 1 }), "finished – a.csv – LoreLM trains");
});

test("times and numbers are short", () => {
  assert.deepEqual([0.4, 119, 121, 7300].map(duration), ["0 s", "119 s", "2 min", "2.0 h"]);
  assert.deepEqual([0.00638, 74.31, 12080.4, 0].map(number), ["0.00638", "74.3", "12,080", "0"]);
});
