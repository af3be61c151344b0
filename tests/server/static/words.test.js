import assert from "node:assert/strict";
import { test } from "node:test";

import { wordPattern } from "../../../src/lorelm/server/static/unknown_words.js";
import { copiedLengths, levelOf, percent } from "../../../src/lorelm/server/static/words.js";

test("a probability has at least one digit that is not zero", () => {
  assert.deepEqual([1, 0.424, 0.01, 0.0034, 0.00021].map(percent), [
    ...["100%", "42%", "1%", "0.3%", "0.02%"],
  ]);
});

test("a tiny probability is shown as less than the least", () => {
  assert.deepEqual([0.0001, 0.00009, 2e-9, 0].map(percent), [
    ...["0.01%", "<\u00a00.01%", "<\u00a00.01%", "<\u00a00.01%"],
  ]);
});

test("the level of a probability is the number of bounds above it", () => {
  const bounds = [0.5, 0.2, 0.05, 0.01];
  const levels = [0.9, 0.5, 0.49, 0.2, 0.06, 0.01, 0.001].map((each) => levelOf(each, bounds));
  assert.deepEqual(levels, [0, 0, 1, 1, 2, 3, 4]);
});

test("copied spans count code points", () => {
  const tokens = ["😀", " one", " two", " three"].map((text) => ({ text }));
  const spans = [{ start: 1, end: 9, num_tokens: 2 }];
  assert.deepEqual(copiedLengths(tokens, spans), [0, 2, 2, 0]);
});

test("a word matches as a whole, punctuation anywhere", () => {
  const found = (word, text, flags = "gu") => [...text.matchAll(wordPattern(word, flags))].length;
  assert.equal(found("owl", "owl, owls an owl"), 2);
  assert.equal(found("é", "é éa aé"), 1);
  assert.equal(found("a.b", "a.b axb"), 1);
  assert.equal(found("?!", "who?!?!"), 2);
  assert.equal(found("two-way", "a two-way two"), 1);
  assert.equal(found("owl", "OWL"), 0);
  assert.equal(found("owl", "OWL", "giu"), 1);
});
