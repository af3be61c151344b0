// Samples side by side, to choose one of.

import { button, make } from "./dom.js";
import { describeEnd } from "./generation.js";
import { gettext } from "./translate.js";
import { nodesOf, SampleView } from "./words.js";

/** @typedef {import("./words.js").WordCard} WordCard */

/** A text whose first letter is of a script that is written from right to left. */
const RIGHT_TO_LEFT = /^[^\p{L}]*[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC]/u;

/** A sample in a panel of its own. */
export class SamplePanel extends SampleView {
  /**
   * @param {string} title @param {string} cue What begins the line, before the sample.
   * @param {WordCard} card @param {(sample: SamplePanel) => void} onKeep
   */
  constructor(title, cue, card, onKeep) {
    const text = make("p", { className: "sample", tabIndex: 0, lang: "" });
    if (cue) text.append(make("b", { className: "cue" }, cue.trimStart()));
    super((token) => {
      const { nodes, word } = nodesOf(token);
      text.append(...nodes);
      return word;
    });
    this.cue = cue;
    this.note = make("p", { className: "note" });
    const keep = button(gettext("Keep this one"), () => onKeep(this));
    this.element = make("article", {}, make("h2", { dir: "auto" }, title), text, this.note, keep);
    text.addEventListener("keydown", (event) => this.#onKey(event, card));
  }

  /**
   * Left and right move from word to word and show their cards; down enters the card.
   * @param {KeyboardEvent} event @param {WordCard} card
   */
  #onKey(event, card) {
    if (event.key === "ArrowDown" && card.isShown) {
      event.preventDefault();
      card.focus();
      return;
    }
    const { textContent: text } = /** @type {Node} */ (event.currentTarget);
    const forward = RIGHT_TO_LEFT.test(text ?? "") ? -1 : 1;
    const step = { ArrowRight: forward, ArrowLeft: -forward }[event.key];
    if (!step || !this.words.length) return;
    event.preventDefault();
    const shown = this.words.findIndex((word) => word.classList.contains("shown"));
    const next = shown < 0 && step < 0 ? this.words.length - 1 : shown + step;
    card.show(this.words[(next + this.words.length) % this.words.length], { isPinned: true });
  }
}

/** All samples of the last generation that are still to choose from. */
export class Samples {
  #container;
  #makePanel;
  /** @type {SamplePanel[]} */
  #panels = [];

  /**
   * @param {HTMLElement} container
   * @param {(title: string, cue: string) => SamplePanel} makePanel
   */
  constructor(container, makePanel) {
    this.#container = container;
    this.#makePanel = makePanel;
  }

  /**
   * Replace the panels; return those of each request. Sample i of all requests stand together.
   * @param {TitledRequest[]} requests @param {string} cue What begins their line.
   */
  open(requests, cue) {
    const columns = requests.map(({ title, body }) =>
      Array.from({ length: body.num_samples }, (_, i) =>
        this.#makePanel(body.num_samples > 1 ? `${title} ${i + 1}` : title, cue),
      ),
    );
    this.#panels = columns[0].flatMap((_, i) => columns.map((column) => column[i]));
    this.#container.replaceChildren(...this.#panels.map((panel) => panel.element));
    this.#container.scrollIntoView({ block: "nearest" });
    return columns;
  }

  close() {
    this.#panels = [];
    this.#container.replaceChildren();
  }

  /** Remove the panels without text, after a failure. */
  removeEmpty() {
    for (const { element, tokens } of this.#panels) if (!tokens.length) element.remove();
  }

  /**
   * Write below each sample of a request how it ended.
   * @param {SamplePanel[]} column @param {Result} result
   */
  showEnds(column, { samples, seed }) {
    for (const [i, { note, tokens }] of column.entries()) {
      note.textContent = describeEnd(samples[i], tokens.length, seed + i);
    }
  }

  /** Return the sample of a word. @param {HTMLElement} word */
  find(word) {
    return this.#panels.find((panel) => panel.words.includes(word));
  }
}
