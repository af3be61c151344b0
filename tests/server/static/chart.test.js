import assert from "node:assert/strict";
import { test } from "node:test";

import { ticks } from "../../../src/lorelm/server/static/chart.js";

test("ticks are round numbers that span the range", () => {
  assert.deepEqual(ticks(4.31, 5.338), [4, 4.5, 5, 5.5]);
  assert.deepEqual(ticks(0, 12080), [0, 5000, 10000, 15000]);
  assert.deepEqual(ticks(0, 0.0079), [0, 0.002, 0.004, 0.006, 0.008]);
  assert.deepEqual(ticks(0.1, 0.3), [0.1, 0.15, 0.2, 0.25, 0.3]);
});

test("a single value lies within its ticks", () => {
  for (const value of [0, 3, 0.004, 512]) {
    const steps = ticks(value, value);
    assert.ok(steps.length >= 2);
    assert.ok(steps[0] <= value && value <= steps.at(-1));
    assert.ok(steps[0] < steps.at(-1));
  }
});
