// Words that the model wrote: their elements, and the card with the alternatives to a word.

import { button, make, pageData } from "./dom.js";
import { isCue } from "./scene.js";
import { gettext, ngettext, shownNumber } from "./translate.js";

const SHOW_AFTER_MS = 150;
const HIDE_AFTER_MS = 300;

/** Probabilities below are shown as less than this; the same as in shown_words.py. */
const LEAST_SHOWN = 0.0001;

/** The tokens of word elements. @type {WeakMap<Node, Token>} */
const tokens = new WeakMap();

/** @param {Node} node */
export const tokenOf = (node) => tokens.get(node);

/**
 * Format a probability with at least one significant digit: 42%, 0.3%, < 0.01%.
 * @param {number} probability
 * @returns {string}
 */
export function percent(probability) {
  if (probability < LEAST_SHOWN) {
    return `<\u00a0${percent(LEAST_SHOWN)}`;
  }
  const digits =
    probability >= 0.01 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 1 };
  return shownNumber(probability, { style: "percent", ...digits });
}

/**
 * Return the tint of a probability: 0 for a likely word, the number of bounds for a surprise.
 * @param {number} probability @param {number[]} bounds
 */
export function levelOf(probability, bounds) {
  return bounds.filter((bound) => probability < bound).length;
}

/**
 * Return the nodes of a token: its white space as text, and the word itself as an element.
 * @param {Token} token
 * @returns {{nodes: Node[], word: HTMLElement | null}} `word` is null for white space alone.
 */
export function nodesOf(token) {
  const text = token.text.trimStart();
  const space = token.text.slice(0, token.text.length - text.length);
  const nodes = space ? [document.createTextNode(space)] : [];
  if (!text) return { nodes, word: null };
  const level = levelOf(Math.exp(token.log_probability), pageData().level_bounds);
  const word = make("span", { className: `word p${level}` }, text);
  word.classList.toggle("copied", Boolean(token.copied));
  word.classList.toggle("cue", isCue(text));
  tokens.set(word, token);
  return { nodes: [...nodes, word], word };
}

/**
 * Return for each token the length of the copied span that it belongs to, 0 without one.
 * @param {Token[]} tokens @param {CopiedSpan[]} spans
 */
export function copiedLengths(tokens, spans) {
  let end = 0;
  return tokens.map(({ text }) => {
    end += [...text].length; // the server counts code points, not UTF-16 units
    return spans.find((span) => span.start < end && end <= span.end)?.num_tokens ?? 0;
  });
}

/** One sample: its tokens, and the elements of its words. */
export class SampleView {
  /** @type {Token[]} */
  tokens = [];
  /** @type {HTMLElement[]} */
  words = [];
  #append;

  /** @param {(token: Token) => HTMLElement | null} append Shows a token, returns its word. */
  constructor(append) {
    this.#append = append;
  }

  /** @param {Token} token */
  add(token) {
    this.tokens.push(token);
    const word = this.#append(token);
    if (word) this.words.push(word);
  }

  /**
   * Mark the words that are copied from the training text.
   * @param {{copied_spans?: CopiedSpan[] | null}} sample
   */
  end({ copied_spans: spans }) {
    const lengths = copiedLengths(this.tokens, spans ?? []);
    for (const [i, token] of this.tokens.entries()) token.copied = lengths[i];
    for (const word of this.words) word.classList.toggle("copied", Boolean(tokenOf(word)?.copied));
  }
}

/**
 * The card of one word at a time. It opens below the word while the pointer is on it, and stays
 * (pinned) after a click or while the caret is in the word.
 */
export class WordCard {
  #card;
  #options;
  /** @type {HTMLElement | null} */
  #word = null;
  /** @type {Element | null} */
  #cameFrom = null; // what had the focus before the card
  #timer = 0;
  #isPinned = false;

  /**
   * @param {HTMLElement} card @param {HTMLElement} area Contains the words and the card.
   * @param {object} options
   * @param {() => boolean} options.isEnabled No card opens while this is false.
   * @param {(word: HTMLElement, alternative?: Alternative) => void} options.onContinue
   */
  constructor(card, area, options) {
    this.#card = card;
    this.#options = options;
    // Not "mouseover", which also fires when text grows beneath a resting mouse.
    area.addEventListener("mousemove", ({ target }) => {
      const word = wordAt(target);
      if (this.#contains(target) || (word && word === this.#word)) clearTimeout(this.#timer);
      else if (word) this.#later(SHOW_AFTER_MS, () => this.show(word));
    });
    area.addEventListener("click", ({ target }) => {
      const word = wordAt(target);
      if (word) this.show(word, { isPinned: true });
    });
    area.addEventListener("mouseout", ({ target }) => {
      if (this.#isPinned || !(wordAt(target) || this.#contains(target))) return;
      this.#later(HIDE_AFTER_MS, () => this.hide());
    });
    // Scrolling any part of the area moves the word away from the card.
    area.addEventListener("scroll", () => this.hide(), { capture: true });
    card.addEventListener("keydown", (event) => this.#moveFocus(event));
  }

  get isShown() {
    return this.#word !== null;
  }

  /** Whether the selection, or the caret, begins in the word of the card. */
  get hasSelection() {
    return this.#word !== null && this.#word.contains(document.getSelection()?.anchorNode ?? null);
  }

  /** Show the card of a word. @param {HTMLElement} word */
  show(word, { isPinned = false } = {}) {
    clearTimeout(this.#timer);
    const token = tokenOf(word);
    if (!token || !this.#options.isEnabled() || !word.isConnected) return;
    this.#isPinned = isPinned;
    if (word === this.#word) return;
    this.#word?.classList.remove("shown");
    this.#word = word;
    word.classList.add("shown");
    this.#card.replaceChildren(...this.#content(word, token));
    this.#card.setAttribute(
      "aria-label",
      gettext("The word %(word)s", { word: word.textContent ?? "" }),
    );
    this.#card.hidden = false;
    this.#placeBelow(word);
  }

  hide() {
    clearTimeout(this.#timer);
    this.#word?.classList.remove("shown");
    this.#word = null;
    this.#cameFrom = null;
    this.#isPinned = false;
    this.#card.hidden = true;
  }

  focus() {
    this.#cameFrom = document.activeElement;
    this.#card.querySelector("button")?.focus();
  }

  /**
   * Hide the card; focus inside it goes back to where it came from, or to `fallback`.
   * @param {HTMLElement} fallback
   */
  leave(fallback) {
    const hadFocus = this.#card.contains(document.activeElement);
    const cameFrom = this.#cameFrom;
    this.hide();
    if (!hadFocus) return;
    if (cameFrom instanceof HTMLElement && cameFrom.isConnected) cameFrom.focus();
    else fallback.focus();
  }

  /** Hide the card of a word that is no longer in the page. @param {HTMLElement} fallback */
  leaveRemovedWord(fallback) {
    if (this.#word && !this.#word.isConnected) this.leave(fallback);
  }

  /** @param {EventTarget | null} target */
  #contains(target) {
    return target instanceof Node && this.#card.contains(target);
  }

  /** @param {number} milliseconds @param {() => void} action */
  #later(milliseconds, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, milliseconds);
  }

  /** @param {HTMLElement} word @param {Token} token */
  #content(word, token) {
    const head = make("p", {}, make("strong", { dir: "auto", lang: "" }, word.textContent ?? ""));
    head.append(` ${percent(Math.exp(token.log_probability))}`);
    if (token.copied) {
      const note = ngettext(
        "part of %(n)s token copied from the training text",
        "part of %(n)s tokens copied from the training text",
        token.copied,
      );
      head.append(`, ${note}`);
    }
    const others = token.alternatives.filter((other) => other.text !== token.text);
    const items = others.map((other) => make("li", {}, this.#choice(word, other, others[0])));
    const goOn = button(gettext("Continue from here"), () => this.#options.onContinue(word));
    goOn.className = "quiet";
    return [head, make("ul", {}, ...items), goOn];
  }

  /** @param {HTMLElement} word @param {Alternative} other @param {Alternative} likeliest */
  #choice(word, other, likeliest) {
    const choice = button("", () => this.#options.onContinue(word, other));
    const share = make("span", {}, percent(Math.exp(other.log_probability)));
    const text = other.text.trim();
    const sign = other.text ? gettext("↵ new line") : gettext("(the end)");
    choice.append(text ? make("span", { dir: "auto", lang: "" }, text) : sign, share);
    const relative = Math.exp(other.log_probability - likeliest.log_probability);
    choice.style.setProperty("--share", String(relative));
    return choice;
  }

  /** @param {HTMLElement} word */
  #placeBelow(word) {
    const frame = (this.#card.offsetParent ?? document.body).getBoundingClientRect();
    const lines = word.getClientRects();
    const box = lines[lines.length - 1];
    const left = Math.min(box.left - frame.left, frame.width - this.#card.offsetWidth);
    this.#card.style.left = `${Math.max(left, 0)}px`;
    this.#card.style.top = `${box.bottom - frame.top + 4}px`;
  }

  /** @param {KeyboardEvent} event */
  #moveFocus(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...this.#card.querySelectorAll("button")];
    const next = buttons.findIndex((each) => each === document.activeElement) + step;
    buttons[(next + buttons.length) % buttons.length].focus();
  }
}

/** Return the word that an event happened on, or null. @param {EventTarget | null} target */
export function wordAt(target) {
  const word = target instanceof Element ? target.closest(".word") : null;
  return word instanceof HTMLElement && tokenOf(word) ? word : null;
}
