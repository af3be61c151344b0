import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { requestsOf } from "../../../src/lorelm/server/static/settings.js";
import {
  choicesOf,
  cueAfter,
  cuePattern,
  explainUnknown,
  isCue,
  speakersIn,
} from "../../../src/lorelm/server/static/scene.js";

const examples = JSON.parse(readFileSync(new URL("../pages/cues.json", import.meta.url), "utf8"));

test("a speaker's line begins where the last line has ended", () => {
  for (const { text, speaker, cue } of examples) assert.equal(cueAfter(text, speaker), cue, text);
});

test("names begin lines: those of the model, and others with a capital letter", () => {
  const find = (text) => [
    ...text.matchAll(cuePattern(["MOLE", "OLD MOLE", "1. Guest", "owl", "half-owl"])),
  ];
  const cues = (text) => find(text).map(([cue]) => cue);
  const script = "MOLE: a\nOLD MOLE: b: c\n  owl: d\n1. Guest:\nÉva:\nhalf-owl: e";
  assert.deepEqual(cues(script), ["MOLE:", "OLD MOLE:", "owl:", "1. Guest:", "Éva:", "half-owl:"]);
  assert.equal(find("\n  owl: d")[0].index, 3);
  assert.deepEqual(cues("the MOLE: a\nat 12:30\nhare: b\nMOLE:b\nOne of the many others: c"), []);
});

test("those who speak in a text are found, whoever they are", () => {
  const text = "OWL: Who?\nMartha: I.\nat 12:30\nOWL: Oh: you!\nhalf-owl: No.";
  const names = speakersIn(text, cuePattern(["half-owl"]));
  assert.deepEqual(names, ["OWL", "Martha", "OWL", "half-owl"]);
});

test("names of the text come first, each once, as the model writes them", () => {
  const named = ["Joan", "Owl", "JOAN", "Bob"];
  assert.deepEqual(choicesOf(named, ["HARE", "OWL"]), ["Joan", "OWL", "Bob", "HARE"]);
});

test("a token is a cue if it is a name with a colon", () => {
  assert.deepEqual(["OWL:", "OLD MOLE:", "É:", ":", "::", "OWL", ""].map(isCue), [
    ...[true, true, true, false, false, false, false],
  ]);
});

test("unknown words and unknown speakers are explained each", () => {
  assert.match(explainUnknown(["Zorp"]), /may come back as you wrote it\.$/);
  assert.match(explainUnknown(["ZORP:"]), /^The model reads a speaker/);
  assert.match(explainUnknown(["ZORP:", "Zorp"]), /wrote it\. The model reads a speaker/);
  assert.equal(explainUnknown([]), "");
});

test("the speaker is in the prompt, not in the fields of a request", () => {
  const speaker = { name: "next_speaker", type: "select-one", value: "OWL" };
  const [{ body }] = requestsOf([speaker], { prompt: "OWL:", single_turn: true }, {});
  assert.deepEqual(body, { num_samples: 1, prompt: "OWL:", single_turn: true });
});
