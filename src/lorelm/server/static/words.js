// Words that the model wrote: how they look, and the card that shows what else was likely.

const LEVEL_BORDERS = [0.5, 0.2, 0.05, 0.01]; // pages/shown_words.py has the same
const SHOW_AFTER_MS = 150;
const HIDE_AFTER_MS = 300;

/** The tokens of word elements: `{text, log_probability, alternatives, copied}`. */
const tokens = new WeakMap();

export const tokenOf = (element) => tokens.get(element);

export function percent(probability) {
  const share = 100 * probability;
  return `${probability >= 0.01 ? share.toFixed(0) : Number(share.toPrecision(1))} %`;
}

/** The nodes of a token: its white space, and the word itself as an element. */
export function nodesOf(token) {
  const word = token.text.trimStart();
  const space = token.text.slice(0, token.text.length - word.length);
  const nodes = space ? [document.createTextNode(space)] : [];
  if (word) {
    const element = document.createElement("span");
    element.textContent = word;
    element.className = `word p${levelOf(token)}`;
    element.classList.toggle("copied", Boolean(token.copied));
    tokens.set(element, token);
    nodes.push(element);
  }
  return nodes;
}

/** Notes which tokens of a finished sample stand in the training text. */
export function markCopied(sampleTokens, spans, elements) {
  let place = 0;
  for (const token of sampleTokens) {
    const end = place + [...token.text].length; // the server counts characters, not UTF-16 units
    const span = spans.find((each) => each.start < end && end <= each.end);
    if (span) token.copied = span.num_tokens;
    place = end;
  }
  for (const element of elements) {
    element.classList.toggle("copied", Boolean(tokenOf(element)?.copied));
  }
}

function levelOf(token) {
  const probability = Math.exp(token.log_probability);
  return LEVEL_BORDERS.filter((border) => probability < border).length;
}

/**
 * The card of one word at a time, shown beneath it while it is pointed at, or has the caret.
 *
 * `onChoice(element, alternative)` is told which word is to stand in its place, and
 * `onContinue(element)` from where to go on; where not `isIdle()`, none is shown.
 */
export class Card {
  #card;
  #word = null;
  #cameFrom = null;
  #timer = 0;
  #isPinned = false;

  constructor(card, area, { isIdle, onChoice, onContinue }) {
    this.#card = card;
    this.isIdle = isIdle;
    this.onChoice = onChoice;
    this.onContinue = onContinue;
    // Not "mouseover", which comes as well where a text grows beneath a mouse that rests.
    area.addEventListener("mousemove", (event) => {
      const word = event.target.closest(".word");
      const isThere = card.contains(event.target) || (word && word === this.#word);
      if (isThere) clearTimeout(this.#timer);
      else if (word && tokenOf(word)) this.#later(SHOW_AFTER_MS, () => this.show(word));
    });
    area.addEventListener("click", (event) => {
      const word = event.target.closest(".word");
      if (word && tokenOf(word)) this.show(word, { isPinned: true });
    });
    area.addEventListener("mouseout", (event) => {
      const isOf = event.target.closest(".word") || card.contains(event.target);
      if (isOf && !this.#isPinned) this.#later(HIDE_AFTER_MS, () => this.hide());
    });
    area.addEventListener("scroll", () => this.hide(), { capture: true }); // of any part of it
    card.addEventListener("keydown", (event) => this.#move(event));
  }

  get isShown() {
    return this.#word !== null;
  }

  /** Whether the caret, or what is selected, begins in its word. */
  get isOfSelection() {
    return this.#word !== null && this.#word.contains(document.getSelection().anchorNode);
  }

  /** Shows the card of a word; a pinned one stays when the pointer leaves. */
  show(word, { isPinned = false } = {}) {
    clearTimeout(this.#timer);
    if (!this.isIdle() || !word.isConnected) return;
    this.#isPinned = isPinned;
    if (word === this.#word) return;
    this.#word?.classList.remove("shown");
    this.#word = word;
    word.classList.add("shown");
    this.#card.replaceChildren(...this.#content(word, tokenOf(word)));
    this.#card.setAttribute("aria-label", `The word ${word.textContent}`);
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

  /** Hides it; who was in it goes back to where they came from, or to another element. */
  leave(other) {
    const wasInside = this.#card.contains(document.activeElement);
    const cameFrom = this.#cameFrom?.isConnected ? this.#cameFrom : other;
    this.hide();
    if (wasInside) cameFrom.focus();
  }

  /** Closes the card of a word that has been taken out of the text. */
  leaveWordThatIsGone(other) {
    if (this.#word && !this.#word.isConnected) this.leave(other);
  }

  #later(milliseconds, act) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, milliseconds);
  }

  #content(word, token) {
    const head = document.createElement("p");
    head.append(bold(word.textContent), ` ${percent(Math.exp(token.log_probability))}`);
    if (token.copied) head.append(`, one of ${token.copied} in a row in the training text`);
    const others = token.alternatives.filter((other) => other.text !== token.text);
    const list = document.createElement("ul");
    for (const other of others) {
      const item = document.createElement("li");
      item.append(this.#choice(word, other, others[0]));
      list.append(item);
    }
    const goOn = button("Go on from here", () => this.onContinue(word));
    goOn.className = "quiet";
    return [head, list, goOn];
  }

  #choice(word, other, likeliest) {
    const probability = Math.exp(other.log_probability);
    const choice = button("", () => this.onChoice(word, other));
    const share = document.createElement("span");
    share.textContent = percent(probability);
    choice.append(other.text.trim() || (other.text ? "↵ new line" : "(the end)"), share);
    choice.style.setProperty("--share", probability / Math.exp(likeliest.log_probability));
    return choice;
  }

  #placeBelow(word) {
    const frame = this.#card.offsetParent.getBoundingClientRect();
    const lines = word.getClientRects();
    const box = lines[lines.length - 1];
    const left = Math.min(box.left - frame.left, frame.width - this.#card.offsetWidth);
    this.#card.style.left = `${Math.max(left, 0)}px`;
    this.#card.style.top = `${box.bottom - frame.top + 4}px`;
  }

  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...this.#card.querySelectorAll("button")];
    const next = buttons.indexOf(document.activeElement) + step;
    buttons[(next + buttons.length) % buttons.length].focus();
  }
}

function bold(text) {
  const element = document.createElement("strong");
  element.textContent = text;
  return element;
}

export function button(text, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.addEventListener("click", act);
  return element;
}
