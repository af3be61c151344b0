// Which words a model knows, and the id of each.

import { OTHER_SPEAKER, speakerName, UNK, UNK_ID } from "./special_tokens.js";

const SINGLE = /[‘’‛ʼ′＇´]/g;
const DOUBLE = /[“”„‟″＂]/g;

/** Return a text with straight quotation marks. @param {string} text */
const straight = (text) => text.replace(SINGLE, "'").replace(DOUBLE, '"');

export class Vocabulary {
  #ids;
  /** Ids by words with straight quotation marks; made when first used. */
  #straightIds = /** @type {Map<string, number> | null} */ (null);

  /** @param {string[]} words In the order of their ids. */
  constructor(words) {
    this.words = words;
    this.#ids = new Map(words.map((word, id) => [word, id]));
    /** The id of the token of each speaker, by name. @type {Map<string, number>} */
    this.speakers = new Map();
    for (const [id, word] of words.entries()) {
      const name = speakerName(word);
      if (name !== null) this.speakers.set(name, id);
    }
  }

  get size() {
    return this.words.length;
  }

  /** @param {string} token */
  has(token) {
    return this.idOf(token) !== UNK_ID || token === UNK;
  }

  /**
   * Return the id of a token of a prompt: that of a known word for one with other quotation marks.
   * @param {string} token
   */
  idInPrompt(token) {
    const id = this.idOf(token);
    if (id !== UNK_ID) return id;
    this.#straightIds ??= this.#byStraight();
    return this.#straightIds.get(straight(token)) ?? UNK_ID;
  }

  #byStraight() {
    /** @type {Map<string, number>} */
    const ids = new Map();
    for (const [id, word] of this.words.entries())
      if (!ids.has(straight(word))) ids.set(straight(word), id);
    return ids;
  }

  /** Return the id of a token, 0 for an unknown word. @param {string} token */
  idOf(token) {
    const id = this.#ids.get(token);
    if (id !== undefined) return id;
    return speakerName(token) === null ? UNK_ID : (this.#ids.get(OTHER_SPEAKER) ?? UNK_ID);
  }
}
