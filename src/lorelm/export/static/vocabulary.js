// Which words a model knows, and the id of each.

import { straight } from "./characters.js";
import { OTHER_SPEAKER, speakerName, UNK, UNK_ID } from "./special_tokens.js";
import { MARK } from "./tokenizer.js";

/** Return a sign without marks of spacing; nothing for a word. @param {string} token */
const sign = (token) => (/[\p{L}\p{N}]/u.test(token) ? "" : straight(token).replaceAll(MARK, ""));

export class Vocabulary {
  #ids;
  /** Words and signs by their form, see `knownForm`; made when first used. */
  #byForm = /** @type {{straight: Map<string, string>, sign: Map<string, string>} | null} */ (null);

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
   * Return a token as the vocabulary has it, whatever the form of its quotation marks; a sign also
   * whatever the spaces around it.
   * @param {string} token
   */
  knownForm(token) {
    if (this.#ids.has(token)) return token;
    this.#byForm ??= this.#sortByForm();
    return (
      this.#byForm.straight.get(straight(token)) ?? this.#byForm.sign.get(sign(token)) ?? token
    );
  }

  #sortByForm() {
    // The first of several, which is the most frequent one, is set last.
    const words = [...this.words].reverse();
    const signs = words.filter((word) => sign(word));
    return {
      straight: new Map(words.map((word) => [straight(word), word])),
      sign: new Map(signs.map((word) => [sign(word), word])),
    };
  }

  /** Return the id of a token, 0 for an unknown word. @param {string} token */
  idOf(token) {
    const id = this.#ids.get(token);
    if (id !== undefined) return id;
    return speakerName(token) === null ? UNK_ID : (this.#ids.get(OTHER_SPEAKER) ?? UNK_ID);
  }
}
