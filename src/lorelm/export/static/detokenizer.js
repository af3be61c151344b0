// Ids to text, token by token, as generation/detokenizer.py.

import { endsInSpace, trimStart } from "./characters.js";
import { OTHER_SPEAKER } from "./special_tokens.js";

/** @typedef {import("./tokenizer.js").AnyTokenizer} Tokenizer */

/**
 * Every token becomes a text chunk, with the white space before it. A stop text may span tokens, so
 * a chunk that may begin one is uncertain until later tokens decide.
 */
export class Detokenizer {
  /** One per token; after a stop text came up, only those before it. @type {string[]} */
  chunks = [];
  /** How many of the first chunks will not be cut off by a stop text. */
  numCertain = 0;
  isStopped = false;
  #tokenizer;
  #words;
  #previous;
  #otherSpeakers;
  #nextSpeaker = 0;
  #skipsSpace;
  #matchers;

  /**
   * @param {Tokenizer} tokenizer @param {(id: number) => string} words
   * @param {{text: string, lastToken: string | null, otherSpeakers: string[]}} prompt
   * @param {string[]} stop
   */
  constructor(tokenizer, words, { text, lastToken, otherSpeakers }, stop) {
    this.#tokenizer = tokenizer;
    this.#words = words;
    this.#previous = lastToken;
    this.#otherSpeakers = otherSpeakers;
    this.#skipsSpace = endsInSpace(text);
    this.#matchers = stop.map((each) => new StopMatcher(each));
  }

  /** Append the chunk of a token. @param {number} id */
  append(id) {
    let token = this.#words(id);
    if (token === OTHER_SPEAKER && this.#otherSpeakers.length)
      token = this.#otherSpeakers[this.#nextSpeaker++ % this.#otherSpeakers.length];
    let chunk = this.#tokenizer.piece(token, this.#previous);
    if (this.#skipsSpace) {
      chunk = trimStart(chunk); // the prompt already ends in white space
      this.#skipsSpace = chunk === "";
    }
    this.#previous = token;
    this.chunks.push(chunk);
    if (this.#matchers.length) this.#match(chunk);
    else this.numCertain++;
  }

  /** Make all chunks certain: the sample has ended. */
  flush() {
    this.numCertain = this.chunks.length;
  }

  /** @param {string} chunk */
  #match(chunk) {
    const lengths = this.#matchers.map((each) => each.feed(chunk)).filter((each) => each !== null);
    if (!lengths.length) {
      this.#release(Math.max(...this.#matchers.map((each) => each.numMatched)));
      return;
    }
    this.isStopped = true;
    const numLeft = this.#release(Math.max(...lengths));
    const rest = this.chunks.slice(this.numCertain).join("").slice(0, Math.max(numLeft, 0));
    this.chunks.splice(this.numCertain, Infinity, ...(rest ? [rest] : []));
    this.flush();
  }

  /**
   * Make the chunks certain that end before the last `numOpen` characters; return how many
   * characters of the next chunk lie before those as well.
   * @param {number} numOpen
   */
  #release(numOpen) {
    const open = this.chunks.slice(this.numCertain);
    let numLeft = open.reduce((sum, chunk) => sum + chunk.length, 0) - numOpen;
    while (this.numCertain < this.chunks.length) {
      const { length } = this.chunks[this.numCertain];
      if (length > numLeft) break;
      numLeft -= length;
      this.numCertain++;
    }
    return numLeft;
  }
}

/**
 * Finds one text in another that arrives in parts (Knuth, Morris and Pratt 1977,
 * https://doi.org/10.1137/0206024).
 */
class StopMatcher {
  /** Length of the longest prefix of the text that the other one ends in. */
  numMatched = 0;
  #text;
  /** Entry i: how many characters still match if i + 1 did and the next one does not. */
  #fallbacks;

  /** @param {string} text */
  constructor(text) {
    this.#text = text;
    this.#fallbacks = new Array(text.length).fill(0);
    let length = 0;
    for (let place = 1; place < text.length; place++) {
      while (length && text[place] !== text[length]) length = this.#fallbacks[length - 1];
      if (text[place] === text[length]) length++;
      this.#fallbacks[place] = length;
    }
  }

  /** Return how far before the end of a part the text begins, once it is complete; else null. */
  feed(/** @type {string} */ part) {
    for (let place = 0; place < part.length; place++) {
      while (this.numMatched && part[place] !== this.#text[this.numMatched])
        this.numMatched = this.#fallbacks[this.numMatched - 1];
      if (part[place] === this.#text[this.numMatched]) this.numMatched++;
      if (this.numMatched === this.#text.length) return this.#text.length + part.length - place - 1;
    }
    return null;
  }
}
