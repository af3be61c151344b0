// Which words a model knows, and the id of each.

import { straight } from "./characters.js";
import { OTHER_SPEAKER, speakerName, UNK, UNK_ID } from "./special_tokens.js";

export class Vocabulary {
  #ids;
  /** Words by their form with straight quotation marks; made when first used. */
  #byStraight = /** @type {Map<string, string> | null} */ (null);

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
   * Return a token as the vocabulary has it, whatever the form of its quotation marks.
   * @param {string} token
   */
  knownForm(token) {
    if (this.#ids.has(token)) return token;
    // The first of several, which is the most frequent one, is set last.
    this.#byStraight ??= new Map([...this.words].reverse().map((word) => [straight(word), word]));
    return this.#byStraight.get(straight(token)) ?? token;
  }

  /** Return the id of a token, 0 for an unknown word. @param {string} token */
  idOf(token) {
    const id = this.#ids.get(token);
    if (id !== undefined) return id;
    return speakerName(token) === null ? UNK_ID : (this.#ids.get(OTHER_SPEAKER) ?? UNK_ID);
  }
}
