// Copies of the training text in what the model writes: find them, or forbid them. The same as
// generation/no_copy.py.

import { blake2b64 } from "./blake2b.js";
import { lengthOf, trimStart } from "./characters.js";
import { EOS, EOS_ID, NEWLINE } from "./special_tokens.js";

/** @typedef {import("./fingerprints.js").FingerprintIndex} FingerprintIndex */
/** @typedef {import("./sequence.js").Sequence} Sequence */
/** @typedef {import("./tokenizer.js").AnyTokenizer} Tokenizer */
/** @typedef {import("./vocabulary.js").Vocabulary} Vocabulary */

const MIN_COPY_LENGTH = 6;
const encoder = new TextEncoder();

/** The index of a training text, and the keys of the words that the model knows. */
export class TrainingText {
  #tokenizer;

  /** @param {FingerprintIndex} index @param {Tokenizer} tokenizer @param {Vocabulary} vocabulary */
  constructor(index, tokenizer, vocabulary) {
    this.#tokenizer = tokenizer;
    this.index = index;
    this.vocabularyKeys = BigUint64Array.from(vocabulary.words, (word) => this.keyOf(word));
    this.lineBreakKey = this.keyOf(NEWLINE);
  }

  /** Return the key of a token, whatever the white space before it. @param {string} token */
  keyOf(token) {
    if (token === EOS) return 0n;
    return blake2b64(encoder.encode(this.#tokenizer.piece(token, null)));
  }

  /**
   * Return where the text of a sample is copied, in code points of its text.
   * @param {Sequence} sequence @returns {CopiedSpan[]}
   */
  copiedSpans({ prompt, ids, detokenizer: { chunks } }) {
    const keys = [
      ...prompt.tokens.map((token) => this.keyOf(token)),
      ...ids.map((id) => this.vocabularyKeys[id]),
    ];
    const ends = [0];
    for (const chunk of chunks) ends.push(ends[ends.length - 1] + lengthOf(chunk));
    const text = [...chunks.join("")];
    // A stop text may have cut the text short of the tokens.
    const endOf = (/** @type {number} */ place) =>
      ends[Math.min(Math.max(place - prompt.tokens.length, 0), chunks.length)];
    return longestSpans(this.index.longestMatches(keys)).flatMap(({ start: first, length }) => {
      const [begin, end] = [endOf(first), endOf(first + length)];
      const part = text.slice(begin, end).join("");
      const start = begin + lengthOf(part) - lengthOf(trimStart(part));
      return start < end ? [{ start, end, num_tokens: length }] : [];
    });
  }
}

/** Return the runs that no other one holds, by their starts. @param {number[]} lengths */
function longestSpans(lengths) {
  const spans = [];
  let furthest = 0;
  for (const [start, length] of lengths.entries()) {
    if (length < MIN_COPY_LENGTH || start + length <= furthest) continue;
    furthest = start + length;
    spans.push({ start, length });
  }
  return spans;
}

/** Forbids the words that would complete a copied span. */
export class NoCopyProcessor {
  #text;
  #contextLength;
  #promptKeys;

  /** @param {TrainingText} text @param {string[]} promptTokens @param {number} novelSpan */
  constructor(text, promptTokens, novelSpan) {
    this.#text = text;
    this.#contextLength = novelSpan - 1;
    this.#promptKeys = promptTokens.slice(-this.#contextLength).map((token) => text.keyOf(token));
  }

  /** @param {Float32Array} logits @param {Sequence} sequence */
  apply(logits, sequence) {
    const { index, vocabularyKeys, lineBreakKey } = this.#text;
    const generated = sequence.ids.slice(-this.#contextLength).map((id) => vocabularyKeys[id]);
    const context = [...this.#promptKeys, ...generated].slice(-this.#contextLength);
    const endsInLineBreak = context.at(-1) === lineBreakKey;
    const isForbidden =
      context.length === this.#contextLength ? index.completing(context, vocabularyKeys) : null;
    return logits.map((logit, id) => {
      // The end of a document is not a word and is never forbidden, so there is always a way out.
      const isCopy = Boolean(isForbidden?.[id]) && id !== EOS_ID;
      // The tokenizer reads two line breaks as one, so a copy with a gap would be a copy.
      const isGap = endsInLineBreak && vocabularyKeys[id] === lineBreakKey;
      return isCopy || isGap ? -Infinity : logit;
    });
  }
}
