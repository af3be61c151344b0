// Stand-ins for unknown words of a prompt, as generation/stand_ins.py, which explains them.

import { hasDigit, hasLetter, isLower, isUpper } from "./characters.js";
import { EOS_ID, speakerName, UNK_ID } from "./special_tokens.js";

/** @typedef {import("./prompts.js").Prompt} Prompt */
/** @typedef {import("./tokenizer.js").AnyTokenizer} Tokenizer */
/** @typedef {import("./vocabulary.js").Vocabulary} Vocabulary */

const MAX_STAND_INS = 16;
const CONTEXT = 64;
const FUNCTION_WORDS = 0.1; // share of the vocabulary that stands for no other word
const ENDING = /(ing|ed|ly|s)$/;

export class StandIns {
  #tokenizer;
  #vocabulary;
  /** Ids by kind; made when first used. @type {Map<string, number[]> | null} */
  #byKind = null;

  /** @param {Tokenizer} tokenizer @param {Vocabulary} vocabulary */
  constructor(tokenizer, vocabulary) {
    this.#tokenizer = tokenizer;
    this.#vocabulary = vocabulary;
  }

  /**
   * Give the unknown words of a prompt the ids of stand-ins.
   * @param {Prompt} prompt @param {(ids: number[]) => Float32Array} logitsAfter Of a text.
   */
  fill(prompt, logitsAfter) {
    const { tokens, ids, standIns } = prompt;
    const places = [...ids.keys()].filter((place) => ids[place] === UNK_ID);
    const unknown = new Set(places.map((place) => tokens[place]));
    for (const token of [...unknown].slice(0, MAX_STAND_INS)) {
      const taken = new Set(ids);
      const word = this.#tokenizer.piece(token, null);
      const candidates = this.#candidates(word).filter((id) => !taken.has(id));
      if (!candidates.length) continue;
      const first = ids.findIndex((id, place) => id === UNK_ID && tokens[place] === token);
      const logits = logitsAfter([EOS_ID, ...ids.slice(0, first).slice(-CONTEXT)]);
      const chosen = candidates.reduce((best, id) => (logits[id] > logits[best] ? id : best));
      for (const place of places) if (tokens[place] === token) ids[place] = chosen;
      standIns.set(chosen, token);
    }
  }

  /** Return the ids of the words of its kind. @param {string} word */
  #candidates(word) {
    this.#byKind ??= this.#sorted();
    const { kind, ending } = kindOf(word);
    return this.#byKind.get(kind + ending) ?? this.#byKind.get(kind) ?? [];
  }

  #sorted() {
    const { words } = this.#vocabulary;
    const numFunctionWords = FUNCTION_WORDS * words.length;
    const pieces = words.map((word) => this.#tokenizer.piece(word, null));
    const isWord = (/** @type {number} */ id) =>
      id !== UNK_ID && id !== EOS_ID && speakerName(words[id]) === null;
    const small = new Set(pieces.filter((piece, id) => isWord(id) && isLower(piece)));
    /** @type {Map<string, number[]>} */
    const byKind = new Map();
    for (const [id, piece] of pieces.entries()) {
      if (!isWord(id)) continue;
      const { kind, ending } = kindOf(piece);
      // A capitalised word that is also written small is the beginning of a sentence.
      if (kind === "title" && small.has(piece.toLowerCase())) continue;
      if (kind === "sign" || (/small|other/.test(kind) && id < numFunctionWords)) continue;
      for (const each of new Set([kind + ending, kind])) {
        const ids = byKind.get(each) ?? [];
        byKind.set(each, ids);
        ids.push(id);
      }
    }
    return byKind;
  }
}

/** @param {string} word */
function kindOf(word) {
  if (hasDigit(word)) return { kind: "digits", ending: "" };
  if (!hasLetter(word)) return { kind: "sign", ending: "" };
  const [first, ...others] = word;
  if (isUpper(word) && others.length) return { kind: "capitals", ending: "" };
  if (isUpper(first)) return { kind: "title", ending: "" };
  const kind = isLower(word) ? "small" : "other";
  return { kind, ending: ` ${ENDING.exec(word)?.[1] ?? "none"}` };
}
