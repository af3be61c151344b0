// The editor: plain text in which the model's words are elements. It has an undo history of its
// own, as the browser's does not contain changes by scripts.

import { load, make, save } from "./dom.js";
import { nodesOf, tokenOf } from "./words.js";

const BURST_MS = 1000; // typing with shorter pauses is one step of undo
const HISTORY_LIMIT = 200;
const SAVE_AFTER_MS = 500; // a long text has a megabyte: too much to save after every key
const KEY = "lorelm.text";

export class Surface {
  isLocked = false;
  element;
  #end = document.createElement("br"); // makes a line break at the end visible
  #onChange;
  /** @type {Content[]} */
  #undo = [];
  /** @type {Content[]} */
  #redo = [];
  #typedAt = -Infinity;
  #willScroll = false;
  #saveTimer = 0;

  /**
   * Replace a text area.
   * @param {HTMLTextAreaElement} textarea @param {HTMLElement} label
   * @param {() => void} onChange Called after every change.
   */
  constructor(textarea, label, onChange) {
    // Not dir="auto": with it, Chromium styles the whole text anew after each token.
    const properties = { id: "surface", spellcheck: false, contentEditable: "true", lang: "" };
    const element = make("div", properties, textarea.value, this.#end);
    element.dataset.placeholder = textarea.placeholder;
    element.setAttribute("role", "textbox");
    element.setAttribute("aria-multiline", "true");
    element.setAttribute("aria-labelledby", label.id);
    textarea.replaceWith(element);
    label.addEventListener("click", () => element.focus());
    this.element = element;
    this.#onChange = onChange;
    element.addEventListener("beforeinput", (event) => this.#beforeInput(event));
    element.addEventListener("input", (event) => {
      if (event instanceof InputEvent && !event.isComposing) this.#afterInput();
    });
    element.addEventListener("compositionend", () => this.#afterInput());
  }

  get text() {
    return this.element.textContent ?? "";
  }

  get canUndo() {
    return this.#undo.length > 0;
  }

  get canRedo() {
    return this.#redo.length > 0;
  }

  get hasCaret() {
    return this.element.contains(document.activeElement);
  }

  /** The word of the model that the caret is in, but not at its end; null if there is none. */
  get wordAtCaret() {
    const { anchorNode, anchorOffset, isCollapsed } = selection();
    if (!isCollapsed || !(anchorNode instanceof Text)) return null;
    const word = anchorNode.parentElement?.closest(".word");
    const isInside = word instanceof HTMLElement && this.element.contains(word);
    return isInside && anchorOffset < anchorNode.length ? word : null;
  }

  /** Append a token; return its word. @param {Token} token */
  append(token) {
    const { nodes, word } = nodesOf(token);
    this.#end.before(...nodes);
    this.#scrollSoon();
    return word;
  }

  /** Append plain text. @param {string} text */
  appendText(text) {
    if (text) this.#end.before(text);
  }

  /** Scroll at most once per frame: reading the height makes the browser lay out all the text. */
  #scrollSoon() {
    if (this.#willScroll) return;
    this.#willScroll = true;
    requestAnimationFrame(() => {
      this.#willScroll = false;
      this.element.scrollTop = this.element.scrollHeight;
    });
  }

  moveCaretToEnd() {
    this.element.focus();
    selection().collapse(this.element, this.element.childNodes.length - 1);
  }

  /**
   * Delete the text after a word, with `keepsWord: false` also the word and the space before it.
   * @param {HTMLElement} word @param {{keepsWord: boolean}} options
   */
  cutAt(word, { keepsWord }) {
    const range = document.createRange();
    range.setEndBefore(this.#end);
    if (keepsWord) range.setStartAfter(word);
    else range.setStartBefore(word);
    range.deleteContents();
    if (keepsWord) return;
    const text = tokenOf(word)?.text ?? "";
    const space = text.slice(0, text.length - text.trimStart().length);
    const last = this.#end.previousSibling;
    if (space && last instanceof Text && last.data.endsWith(space)) {
      last.data = last.data.slice(0, -space.length);
    }
  }

  /**
   * Return the ranges of the user's own text that match a pattern, the last one first.
   * @param {RegExp} pattern
   */
  findTyped(pattern) {
    const ranges = [];
    for (const node of this.element.childNodes) {
      if (!(node instanceof Text)) continue;
      for (const match of node.data.matchAll(pattern)) {
        const range = document.createRange();
        range.setStart(node, match.index);
        range.setEnd(node, match.index + match[0].length);
        ranges.push(range);
      }
    }
    return ranges.reverse();
  }

  /** Replace a range with text. @param {Range} range @param {string} text */
  replaceRange(range, text) {
    range.deleteContents();
    range.insertNode(document.createTextNode(text));
    this.element.normalize();
    this.changed();
  }

  /** Make the present text, or an earlier one, a step of undo. */
  record(content = this.content()) {
    this.#undo.push(content);
    if (this.#undo.length > HISTORY_LIMIT) this.#undo.shift();
    this.#redo = [];
    this.#typedAt = -Infinity;
  }

  undo() {
    this.#exchange(this.#undo, this.#redo);
  }

  redo() {
    this.#exchange(this.#redo, this.#undo);
  }

  /** Return the text in a form that `restore` takes. @returns {Content} */
  content() {
    const nodes = [...this.element.childNodes].filter((node) => node !== this.#end);
    return nodes.map((node) => tokenOf(node) ?? node.textContent ?? "");
  }

  /** @param {Content} content */
  restore(content) {
    // The white space of a token is a string of its own in the content.
    const nodes = content.map((part) =>
      typeof part === "string" ? part : (nodesOf(part).word ?? ""),
    );
    this.element.replaceChildren(...nodes, this.#end);
    this.changed();
  }

  /** Show another text, to which undo leads no further back. @param {Content} content */
  replace(content) {
    this.#undo = [];
    this.#redo = [];
    this.restore(content);
  }

  /** Keep the text in the tab, for when the page is loaded again. */
  save() {
    clearTimeout(this.#saveTimer);
    const isSaved = save("sessionStorage", KEY, this.content());
    if (!isSaved) save("sessionStorage", KEY, [this.text]); // smaller: no alternatives
  }

  saveSoon() {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = setTimeout(() => this.save(), SAVE_AFTER_MS);
  }

  /** Report a change. */
  changed() {
    this.element.classList.toggle("empty", this.text === "");
    this.#onChange();
  }

  /** @param {Content[]} from @param {Content[]} to */
  #exchange(from, to) {
    const content = this.isLocked ? undefined : from.pop();
    if (!content) return;
    to.push(this.content());
    this.#typedAt = -Infinity;
    this.restore(content);
    if (this.hasCaret) this.moveCaretToEnd();
  }

  /** @param {InputEvent} event */
  #beforeInput(event) {
    const kind = event.inputType;
    const isUndo = kind === "historyUndo";
    if (this.isLocked || isUndo || kind === "historyRedo" || kind.startsWith("format")) {
      event.preventDefault();
      if (isUndo) this.undo();
      else if (kind === "historyRedo") this.redo();
      return;
    }
    const now = performance.now();
    if (now - this.#typedAt > BURST_MS) this.record();
    this.#typedAt = now;
    const text = insertedText(event);
    if (text === null) return;
    event.preventDefault();
    this.#insert(text);
  }

  /** @param {string} text */
  #insert(text) {
    const range = selection().getRangeAt(0);
    range.deleteContents();
    const node = document.createTextNode(text);
    range.insertNode(node);
    selection().collapse(node, text.length);
    this.#afterInput();
    selection().focusNode?.parentElement?.scrollIntoView({ block: "nearest" });
  }

  #afterInput() {
    const caret = this.#caret();
    for (const node of [...this.element.childNodes]) this.#normalizeNode(node);
    this.element.append(this.#end);
    this.element.normalize();
    if (caret !== null) this.#setCaret(caret);
    this.changed();
  }

  /**
   * Turn a word that the user has edited into plain text, and so all foreign elements.
   * @param {ChildNode} node
   */
  #normalizeNode(node) {
    if (node === this.#end || !(node instanceof Element)) return;
    const word = tokenOf(node)?.text.trimStart();
    const text = node.textContent ?? "";
    if (word === text && !node.firstElementChild) return;
    if (word && text.startsWith(word) && /^[^\p{L}\p{N}]/u.test(text.slice(word.length))) {
      node.textContent = word; // the user typed after it: the word is unchanged
      node.after(text.slice(word.length));
    } else {
      node.replaceWith(text);
    }
  }

  /** Return the number of characters before the caret; null if the caret is elsewhere. */
  #caret() {
    const { focusNode, focusOffset } = selection();
    if (!focusNode || !this.element.contains(focusNode)) return null;
    const range = document.createRange();
    range.setStart(this.element, 0);
    range.setEnd(focusNode, focusOffset);
    return range.toString().length;
  }

  /** @param {number} offset */
  #setCaret(offset) {
    const walker = document.createTreeWalker(this.element, NodeFilter.SHOW_TEXT);
    let before = 0;
    while (walker.nextNode()) {
      const node = /** @type {Text} */ (walker.currentNode);
      if (offset <= before + node.length) {
        selection().collapse(node, offset - before);
        return;
      }
      before += node.length;
    }
    selection().collapse(this.element, 0);
  }
}

/** Return the text that the tab has kept. @returns {Content | null} */
export function savedContent() {
  return load("sessionStorage", KEY);
}

/** Return the selection of the page, which has one. */
function selection() {
  return /** @type {Selection} */ (document.getSelection());
}

/**
 * Return the plain text that an input event inserts, where the browser would insert elements;
 * null where it inserts plain text itself.
 * @param {InputEvent} event
 */
function insertedText({ inputType, data, dataTransfer }) {
  if (inputType === "insertParagraph" || inputType === "insertLineBreak") return "\n";
  const isPasted = /^insertFrom(Paste|Drop|Yank)/.test(inputType);
  const typed = data ?? "";
  const isTypedByProgram = inputType === "insertText" && /[\r\n]/.test(typed);
  if (!isPasted && !isTypedByProgram) return null;
  return (dataTransfer?.getData("text/plain") ?? typed).replace(/\r\n?/g, "\n");
}
