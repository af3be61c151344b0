// The words nearest to one that the model does not know, as generation/word_index.py.

import { casefold } from "./characters.js";
import { EOS_ID, SOMEONE, UNK_ID } from "./special_tokens.js";

/** @typedef {import("./tokenizer.js").AnyTokenizer} Tokenizer */
/** @typedef {import("./vocabulary.js").Vocabulary} Vocabulary */

const LONG = 8; // letters of a word that may differ in two; shorter ones in one
const LIMIT = 3;
const ALNUM = /[\p{L}\p{N}]/gu;

export class WordIndex {
  /** The spellings of each word, by its letters without their case. @type {Map<string, string[]>} */
  #words = new Map();
  /** The names of speakers, likewise. @type {Map<string, string[]>} */
  #speakers = new Map();

  /** @param {Tokenizer} tokenizer @param {Vocabulary} vocabulary */
  constructor(tokenizer, vocabulary) {
    const pieces = new Set();
    for (const [id, token] of vocabulary.words.entries())
      if (id !== UNK_ID && id !== EOS_ID) pieces.add(tokenizer.piece(token, null));
    for (const word of pieces) {
      if (!numLetters(word) || word === `${SOMEONE}:`) continue;
      const spellings = isCue(word) ? this.#speakers : this.#words;
      const folded = casefold(word);
      spellings.set(folded, [...(spellings.get(folded) ?? []), word]);
    }
  }

  /** Return the nearest words, the nearest first. @param {string} word */
  nearest(word) {
    const spellings = isCue(word) ? this.#speakers : this.#words;
    const count = numLetters(word);
    const most = count < 3 ? 0 : count < LONG ? 1 : 2;
    const wanted = [...casefold(word)];
    /** @type {{distance: number, spelled: string[]}[]} */
    const found = [];
    for (const [folded, spelled] of spellings) {
      const distance = distanceOf(wanted, [...folded], most);
      if (distance <= most) found.push({ distance, spelled });
    }
    found.sort((one, other) => one.distance - other.distance);
    return found.slice(0, LIMIT).map(({ spelled }) => spelledLike(word, spelled));
  }
}

/** @param {string} word */
const isCue = (word) => word.length > 1 && word.endsWith(":");

/** @param {string} word */
const numLetters = (word) => word.match(ALNUM)?.length ?? 0;

/** Return the spelling with the same case as the word, or the most frequent one. */
function spelledLike(/** @type {string} */ word, /** @type {string[]} */ spellings) {
  const isCapital = (/** @type {string} */ each) => /^\p{Uppercase}/u.test(each);
  return spellings.find((each) => isCapital(each) === isCapital(word)) ?? spellings[0];
}

/**
 * Return how many letters were inserted, deleted, replaced or swapped with their neighbour (optimal
 * string alignment); infinite if that is more than `most`.
 * @param {string[]} one @param {string[]} other @param {number} most
 */
function distanceOf(one, other, most) {
  if (Math.abs(one.length - other.length) > most) return Infinity;
  /** @type {number[]} */
  let beforeLast = [];
  let last = other.map((_, j) => j).concat(other.length);
  for (const [i, letter] of one.entries()) {
    const row = [i + 1];
    for (const [j, otherLetter] of other.entries()) {
      const changed = last[j] + (letter === otherLetter ? 0 : 1);
      row.push(Math.min(changed, last[j + 1] + 1, row[j] + 1));
      const isSwapped = i && j && letter === other[j - 1] && one[i - 1] === otherLetter;
      if (isSwapped) row[j + 1] = Math.min(row[j + 1], beforeLast[j - 1] + 1);
    }
    if (Math.min(...row) > most) return Infinity;
    [beforeLast, last] = [last, row];
  }
  return last[other.length];
}
