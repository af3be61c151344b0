// Words that the model does not know: underlined in the text, and listed below it with the nearest
// known ones.

import { checkWords } from "./api.js";
import { button, make } from "./dom.js";
import { gettext, ngettext } from "./translate.js";

/** @typedef {import("./surface.js").Surface} Surface */

const CHECK_AFTER_MS = 500;
const LIST_LIMIT = 8; // a text in another language would fill the page

export class UnknownWords {
  #surface;
  #list;
  #question;
  #explain;
  #timer = 0;
  #controller = new AbortController();

  /**
   * @param {Surface} surface @param {HTMLElement} list
   * @param {() => {text: string, model: string | undefined}} question What to check now.
   * @param {(words: string[]) => string} explain Says what becomes of them.
   */
  constructor(surface, list, question, explain) {
    this.#explain = explain;
    this.#surface = surface;
    this.#list = list;
    this.#question = question;
  }

  checkSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), CHECK_AFTER_MS);
  }

  async #check() {
    const { text, model } = this.#question();
    this.#controller.abort();
    this.#controller = new AbortController();
    try {
      const none = { unknown_words: [], num_unknown_words: 0 };
      const found = text ? await checkWords(text, model, this.#controller.signal) : none;
      const now = this.#question();
      if (now.text === text && now.model === model) this.#show(found);
    } catch {
      // The user did not ask for this check; the next generation will report the failure.
    }
  }

  /** @param {UnknownWordList} found */
  #show({ unknown_words: words, num_unknown_words: count }) {
    // Without CSS highlights in the browser, the list below still names the words.
    const ranges = words.flatMap(({ word }) => this.#rangesOf(word));
    globalThis.CSS?.highlights?.set("unknown", new Highlight(...ranges));
    const items = words.slice(0, LIST_LIMIT).map((each) => this.#item(each));
    const others = count - items.length;
    const more = others > 0 ? ngettext("and %(n)s more", "and %(n)s more", others) : "";
    const explained = this.#explain(words.map(({ word }) => word));
    const note = explained ? [make("small", {}, explained)] : [];
    this.#list.replaceChildren(
      ...(items.length ? [`${gettext("Unknown words:")} `, ...items, more, ...note] : []),
    );
  }

  /** @param {UnknownWord} unknown */
  #item({ word, nearest }) {
    const choices = nearest.map((other) => {
      const choice = button(other, () => this.#replace(word, other));
      choice.className = "quiet";
      choice.dir = "auto";
      choice.lang = "";
      choice.setAttribute(
        "aria-label",
        gettext("Replace %(word)s with %(other)s", { word, other }),
      );
      return choice;
    });
    return make(
      "span",
      {},
      make("u", { dir: "auto", lang: "" }, word),
      choices.length ? " → " : "",
      ...choices,
    );
  }

  /** @param {string} word @param {string} other */
  #replace(word, other) {
    this.#surface.record();
    for (const range of this.#rangesOf(word)) this.#surface.replaceRange(range, other);
  }

  /**
   * Return where the user typed a word, the last place first: replacing one moves no other.
   * @param {string} word
   */
  #rangesOf(word) {
    const ranges = this.#surface.findTyped(wordPattern(word, "gu"));
    // A tokenizer without capitals returns its words in lower case.
    return ranges.length ? ranges : this.#surface.findTyped(wordPattern(word, "giu"));
  }
}

/**
 * Return a pattern for a whole word; punctuation matches anywhere.
 * @param {string} word @param {string} flags
 */
export function wordPattern(word, flags) {
  const escaped = word.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  const hasLetters = /[\p{L}\p{N}]/u.test(word);
  const source = hasLetters ? `(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])` : escaped;
  return new RegExp(source, flags);
}
