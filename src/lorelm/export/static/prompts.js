// Prompts: texts as the model reads them, as generation/prompts.py.

import { casefold, letters } from "./characters.js";
import { NEWLINE, SOMEONE, speakerName } from "./special_tokens.js";

/** @typedef {import("./tokenizer.js").AnyTokenizer} Tokenizer */
/** @typedef {import("./vocabulary.js").Vocabulary} Vocabulary */

/**
 * A text as the model reads it.
 * @typedef {object} Prompt
 * @property {string} text
 * @property {string[]} tokens As the model knows them.
 * @property {string | null} lastToken As it is written, which decides whether a space follows it.
 * @property {number[]} ids
 * @property {string[]} unknownWords Each once, as they are written.
 * @property {Map<number, string>} standIns Unknown tokens by the ids that they are read as.
 * @property {string[]} otherSpeakers Tokens that are read as `<other speaker>`, the one who has been
 * silent the longest first.
 * @property {boolean} namesKnownSpeaker
 */

/**
 * Tokenize a text as the model reads it.
 * @param {string} text @param {Tokenizer} tokenizer @param {Vocabulary} vocabulary
 * @returns {Prompt}
 */
export function readPrompt(text, tokenizer, vocabulary) {
  let written = tokenizer.tokenizePrompt(text);
  if (!vocabulary.has(NEWLINE)) written = withoutLineBreaks(written);
  const tokens = written.map((token) => vocabulary.knownForm(token));
  const unknown = tokens.filter((token) => !vocabulary.has(token));
  return {
    text,
    tokens,
    lastToken: written.at(-1) ?? null,
    ids: tokens.map((token) => vocabulary.idOf(token)),
    unknownWords: [...new Set(unknown.map((word) => tokenizer.piece(word, null)))],
    standIns: new Map(),
    ...speakersOf(tokens, vocabulary),
  };
}

/** Return the texts at which a speaker's line has ended. */
export function turnEnds(/** @type {Vocabulary} */ { speakers }, /** @type {Prompt} */ prompt) {
  const others = prompt.otherSpeakers.map(speakerName).filter((name) => name !== null);
  const ends = [...new Set([...speakers.keys(), ...others])].map((name) => `\n${name}:`);
  return ends.length ? ends : ["\n"];
}

/**
 * Leave out the line breaks at the end and before speakers: a model of single lines has never seen
 * one.
 * @param {string[]} tokens
 */
function withoutLineBreaks(tokens) {
  return tokens.filter((token, i) => {
    const after = tokens[i + 1];
    return token !== NEWLINE || (after !== undefined && speakerName(after) === null);
  });
}

/** @param {string[]} tokens @param {Vocabulary} vocabulary */
function speakersOf(tokens, vocabulary) {
  const other = vocabulary.speakers.get(SOMEONE);
  const inTurn = new Map();
  const names = new Set();
  for (const token of tokens) {
    const name = speakerName(token);
    if (name === null) continue;
    names.add(letters(name));
    if (vocabulary.idOf(token) !== other) continue;
    inTurn.delete(casefold(token));
    inTurn.set(casefold(token), token);
  }
  const known = [...vocabulary.speakers.keys()].filter((name) => name !== SOMEONE);
  return {
    otherSpeakers: [...inTurn.values()],
    namesKnownSpeaker: known.some((name) => names.has(letters(name))),
  };
}
