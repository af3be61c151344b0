// The text that a person and the model write together: plain text in which the model's words are
// elements, with a history of its own, since the browser's knows nothing of what scripts change.

import { nodesOf, tokenOf } from "./words.js";

const BURST_MS = 1000; // typing without so long a pause is undone at once
const HISTORY_LIMIT = 200;

export class Surface {
  #element;
  #end = document.createElement("br"); // without it, a line break at the end is not seen
  #onChange;
  #undo = [];
  #redo = [];
  #typedAt = -Infinity;
  #willScroll = false;

  /** Takes the place of a text area; `onChange()` is told of every change. */
  constructor(textarea, label, onChange) {
    const element = document.createElement("div");
    element.id = "surface";
    element.dataset.placeholder = textarea.placeholder;
    element.setAttribute("role", "textbox");
    element.setAttribute("aria-multiline", "true");
    element.setAttribute("aria-labelledby", label.id);
    element.spellcheck = false;
    element.contentEditable = "true";
    element.append(textarea.value, this.#end);
    textarea.replaceWith(element);
    label.addEventListener("click", () => element.focus());
    this.#element = element;
    this.#onChange = onChange;
    this.isLocked = false;
    element.addEventListener("beforeinput", (event) => this.#beforeInput(event));
    element.addEventListener("input", (event) => this.#afterInput(event));
    element.addEventListener("compositionend", () => this.#afterInput({}));
  }

  get element() {
    return this.#element;
  }

  get text() {
    return this.#element.textContent;
  }

  get canUndo() {
    return this.#undo.length > 0;
  }

  get canRedo() {
    return this.#redo.length > 0;
  }

  get hasCaret() {
    return this.#element.contains(document.activeElement);
  }

  /** The model's word in which the caret stands, not at its end; null without. */
  get wordAtCaret() {
    const { anchorNode, anchorOffset, isCollapsed } = document.getSelection();
    const word = anchorNode?.parentElement?.closest(".word");
    const isWithin = isCollapsed && word && this.#element.contains(word);
    return isWithin && anchorOffset < anchorNode.length ? word : null;
  }

  append(token) {
    const nodes = nodesOf(token);
    this.#end.before(...nodes);
    this.#scrollSoon();
    return nodes.find((node) => tokenOf(node));
  }

  /** Once a frame: a look at the height of the text makes the browser lay all of it out. */
  #scrollSoon() {
    if (this.#willScroll) return;
    this.#willScroll = true;
    requestAnimationFrame(() => {
      this.#willScroll = false;
      this.#element.scrollTop = this.#element.scrollHeight;
    });
  }

  moveCaretToEnd() {
    this.#element.focus();
    document.getSelection().collapse(this.#element, this.#element.childNodes.length - 1);
  }

  /** Cuts the text behind a word, or before it and its white space. */
  cutAt(word, { keepsWord }) {
    const range = document.createRange();
    range.setEndBefore(this.#end);
    if (keepsWord) range.setStartAfter(word);
    else range.setStartBefore(word);
    range.deleteContents();
    if (keepsWord) return;
    const { text } = tokenOf(word);
    const space = text.slice(0, text.length - text.trimStart().length);
    const last = this.#end.previousSibling;
    if (space && last?.nodeType === Node.TEXT_NODE && last.data.endsWith(space)) {
      last.data = last.data.slice(0, -space.length);
    }
  }

  /** Puts another word in the place of a person's, wherever it stands. */
  replaceWord(range, text) {
    range.deleteContents();
    range.insertNode(document.createTextNode(text));
    this.#element.normalize();
    this.changed();
  }

  clear() {
    this.#element.replaceChildren(this.#end);
    this.changed();
  }

  /** Makes what stands now something that Undo comes back to. */
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

  /** The text as a list of strings and tokens, which `restore` puts back. */
  content() {
    const nodes = [...this.#element.childNodes].filter((node) => node !== this.#end);
    return nodes.map((node) => tokenOf(node) ?? node.textContent);
  }

  restore(content) {
    const nodes = content.map((part) => {
      if (typeof part === "string") return document.createTextNode(part);
      return nodesOf(part).find((node) => tokenOf(node)); // its space is a string of the list
    });
    this.#element.replaceChildren(...nodes, this.#end);
    this.changed();
  }

  changed() {
    this.#element.classList.toggle("empty", this.text === "");
    this.#onChange();
  }

  #exchange(from, to) {
    if (this.isLocked || !from.length) return;
    to.push(this.content());
    this.#typedAt = -Infinity;
    this.restore(from.pop());
    if (this.hasCaret) this.moveCaretToEnd();
  }

  #beforeInput(event) {
    const kind = event.inputType;
    if (this.isLocked) return event.preventDefault();
    if (kind === "historyUndo" || kind === "historyRedo") {
      event.preventDefault();
      return kind === "historyUndo" ? this.undo() : this.redo();
    }
    if (kind.startsWith("format")) return event.preventDefault();
    const now = performance.now();
    if (now - this.#typedAt > BURST_MS) this.record();
    this.#typedAt = now;
    const text = plainText(event);
    if (text === null) return;
    // What the browser would insert may have elements in it.
    event.preventDefault();
    this.#insert(text);
  }

  #insert(text) {
    const selection = document.getSelection();
    const range = selection.getRangeAt(0);
    range.deleteContents();
    const node = document.createTextNode(text);
    range.insertNode(node);
    selection.collapse(node, text.length);
    this.#afterInput({});
    document.getSelection().focusNode.parentElement?.scrollIntoView({ block: "nearest" });
  }

  #afterInput(event) {
    if (event.isComposing) return;
    const caret = this.#caret();
    for (const node of [...this.#element.childNodes]) this.#settle(node);
    this.#element.append(this.#end);
    this.#element.normalize();
    if (caret !== null) this.#setCaret(caret);
    this.changed();
  }

  /** A word that was changed by hand is the model's no more. */
  #settle(node) {
    if (node.nodeType === Node.TEXT_NODE || node === this.#end) return;
    const word = tokenOf(node)?.text.trimStart();
    const text = node.textContent;
    if (word === text && !node.firstElementChild) return;
    const added = word && text.startsWith(word) ? text.slice(word.length) : "";
    if (added && !/^[\p{L}\p{N}]/u.test(added)) {
      node.textContent = word; // typed behind it: the word itself is as it was
      node.after(added);
    } else {
      node.replaceWith(text);
    }
  }

  /** How many characters stand before the caret; null where it is elsewhere. */
  #caret() {
    const { focusNode, focusOffset } = document.getSelection();
    if (!this.#element.contains(focusNode)) return null;
    const range = document.createRange();
    range.setStart(this.#element, 0);
    range.setEnd(focusNode, focusOffset);
    return range.toString().length;
  }

  #setCaret(place) {
    const walker = document.createTreeWalker(this.#element, NodeFilter.SHOW_TEXT);
    let before = 0;
    while (walker.nextNode()) {
      const { length } = walker.currentNode;
      if (place <= before + length) {
        return document.getSelection().collapse(walker.currentNode, place - before);
      }
      before += length;
    }
    document.getSelection().collapse(this.#element, 0);
  }
}

/** The text that an event would insert where it may not be plain; null where it is. */
function plainText(event) {
  // Of a programme that types: the browser would make elements of the lines.
  if (event.inputType === "insertText" && /[\r\n]/.test(event.data)) return unified(event.data);
  if (event.inputType === "insertParagraph" || event.inputType === "insertLineBreak") return "\n";
  if (/^insertFrom(Paste|Drop|Yank)/.test(event.inputType)) {
    return unified(event.dataTransfer?.getData("text/plain") ?? event.data ?? "");
  }
  return null;
}

function unified(text) {
  return text.replace(/\r\n?/g, "\n");
}
