import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import wabt from "wabt";

const SOURCES = new URL("../../../src/lorelm/export/static/", import.meta.url);
const WASM = readFileSync(new URL("products.wasm", SOURCES));

test("products.wasm is what products.wat assembles to", async () => {
  // After a change: npm run assemble
  const { parseWat } = await wabt();
  const text = readFileSync(new URL("products.wat", SOURCES), "utf-8");
  const { buffer } = parseWat("products.wat", text, { simd: true }).toBinary({});
  assert.deepEqual([...WASM], [...buffer]);
});

test("sums are exact at the limits of the numbers", () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const module = new WebAssembly.Module(WASM);
  const { multiply } = new WebAssembly.Instance(module, { lorelm: { memory } }).exports;
  const [rows, width] = [8, 72];
  const operand = new Int16Array(memory.buffer, 0, width);
  const sums = new Int32Array(memory.buffer, 1024, rows);
  const weights = new Int8Array(memory.buffer, 4096, rows * width);
  for (let k = 0; k < width; k++) operand[k] = [-128, 127, 0, -1, 64][k % 5];
  for (let i = 0; i < weights.length; i++) weights[i] = [63, -63, 63, 5, -1, -63, 0][i % 7];
  multiply(4096, 0, 1024, rows, width);
  const expected = Array.from({ length: rows }, (_, row) =>
    operand.reduce((sum, number, k) => sum + number * weights[row * width + k], 0),
  );
  assert.deepEqual([...sums], expected);
});
