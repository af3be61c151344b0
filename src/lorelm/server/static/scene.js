// Scenes: who speaks next, and the names before the lines of a text. A model without speakers has
// none of it. pages/scene.py does the same where there are no scripts.

import { make, pageData } from "./dom.js";
import { gettext } from "./translate.js";

/** @typedef {import("./surface.js").Surface} Surface */

const SENTENCE_END = /[.!?…]["'”’»)\]]*$/u;

// As the tokenizer reads names that the model does not know.
const UNKNOWN_NAME = "[A-ZÀ-ÖØ-ÞΑ-ΩЀ-Я][\\p{L}\\p{N}_.'’-]*(?: [\\p{L}\\p{N}_.'’-]+){0,3}";

/** The choice of the next speaker. */
export class Scene {
  #surface;
  #speakers = pageData().speakers ?? {};
  #part = document.getElementById("scene");
  /** @type {HTMLSelectElement | null} */
  #select = this.#part?.querySelector("select") ?? null;
  #button = this.#part?.querySelector("button") ?? null;
  // Of the only model; of several, useModel() says which.
  #names = Object.values(this.#speakers)[0] ?? [];
  #pattern = cuePattern(this.#names);

  /** @param {Surface} surface */
  constructor(surface) {
    this.#surface = surface;
    this.#button?.addEventListener("click", () => this.#writeLine());
    this.#select?.addEventListener("change", () => this.update({ isBusy: false }));
  }

  /** Whether the chosen model has speakers. */
  get hasSpeakers() {
    return this.#part !== null && !this.#part.hidden;
  }

  /** Who speaks next; empty for anyone. */
  get #speaker() {
    return this.hasSpeakers ? (this.#select?.value ?? "") : "";
  }

  /** What finds the names before the lines of the text; null without speakers. */
  get cuePattern() {
    return this.hasSpeakers ? this.#pattern : null;
  }

  /** What begins the next line, to be appended to the text. */
  get cue() {
    return this.#speaker && cueAfter(this.#surface.text, this.#speaker);
  }

  /** What a request has for a line of one speaker. */
  get fields() {
    return this.#speaker ? { single_turn: true } : {};
  }

  /** Offer the speakers of a model. @param {string | undefined} model */
  useModel(model) {
    if (!this.#part || !this.#select || model === undefined) return;
    this.#names = this.#speakers[model] ?? [];
    this.#pattern = cuePattern(this.#names);
    this.#part.hidden = this.#names.length === 0;
    this.#offer();
  }

  /** Show what the text and the choice are now. @param {{isBusy: boolean}} options */
  update({ isBusy }) {
    if (!this.#part) return;
    this.#offer();
    if (this.#button) this.#button.disabled = isBusy || this.#speaker === "";
    const cues = this.hasSpeakers ? this.#findCues() : [];
    // Without CSS highlights in the browser, the names are plain text like all that is typed.
    globalThis.CSS?.highlights?.set("cue", new Highlight(...cues));
  }

  /** Say what the model makes of words that it does not know. @param {string[]} words */
  explain(words) {
    return this.hasSpeakers ? explainUnknown(words) : "";
  }

  /** Offer the speakers of the text, then the other ones of the model. */
  #offer() {
    if (!this.#select || !this.hasSpeakers) return;
    const names = choicesOf(speakersIn(this.#surface.text, this.#pattern), this.#names);
    const { value, options } = this.#select;
    if (String(names) === String([...options].slice(1).map((option) => option.value))) return;
    const choices = names.map((name) => make("option", { value: name, dir: "auto" }, name));
    this.#select.replaceChildren(options[0], ...choices);
    this.#select.value = names.includes(value) ? value : "";
  }

  #findCues() {
    return this.#surface
      .findTyped(this.#pattern)
      .filter(({ startContainer: node, startOffset }) => startOffset > 0 || beginsLine(node));
  }

  #writeLine() {
    const { cue } = this;
    const space = /\s$/.test(this.#surface.text) && !cue ? "" : " ";
    this.#surface.record();
    this.#surface.appendText(cue + space);
    this.#surface.changed();
    this.#surface.moveCaretToEnd();
  }
}

/**
 * Return what begins a speaker's line after a text. It is empty where the last line is the
 * speaker's and its sentence has not ended, and where only a name stands in it.
 * @param {string} text @param {string} speaker
 */
export function cueAfter(text, speaker) {
  const line = text.slice(text.lastIndexOf("\n") + 1).trim();
  if (!line) return `${speaker}:`;
  const colon = line.indexOf(":");
  const speech = line.slice(colon + 1);
  const isUnfinished = line.slice(0, colon).trim() === speaker && !SENTENCE_END.test(speech);
  return colon >= 0 && (isUnfinished || !speech) ? "" : `\n${speaker}:`;
}

/** Return a pattern for the names that begin lines, with their colons. @param {string[]} names */
export function cuePattern(names) {
  const longestFirst = [...names].sort((one, other) => other.length - one.length);
  const known = longestFirst.map((name) => name.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"));
  const source = [...known, UNKNOWN_NAME].join("|");
  return new RegExp(`(?<=^[^\\S\\n]*)(?:${source}):(?=\\s|$)`, "gmu");
}

/** Return the names that begin lines of a text. @param {string} text @param {RegExp} pattern */
export function speakersIn(text, pattern) {
  return [...text.matchAll(pattern)].map(([cue]) => cue.slice(0, -1));
}

/**
 * Return the names of a text, each once and as the model writes it, and then the other ones of the
 * model.
 * @param {string[]} named @param {string[]} known
 */
export function choicesOf(named, known) {
  const spellings = new Map(known.map((name) => [name.toLowerCase(), name]));
  /** @type {Map<string, string>} */
  const first = new Map();
  for (const name of named) {
    const key = name.toLowerCase();
    if (!first.has(key)) first.set(key, spellings.get(key) ?? name);
  }
  return [...new Set([...first.values(), ...known])];
}

/** Return whether a token is the name before a line. @param {string} text */
export function isCue(text) {
  return /[\p{L}\p{N}].*:$/u.test(text);
}

/** Say what a model makes of unknown words and speakers. @param {string[]} words */
export function explainUnknown(words) {
  const ofSpeakers = gettext(
    "The model reads a speaker that it does not know as a minor one, who may speak again.",
  );
  const ofWords = gettext(
    "The model reads a name or word that it does not know as another one of its kind, which may come back as you wrote it.",
  );
  const speakers = words.filter(isCue).length;
  return [speakers < words.length ? ofWords : "", speakers ? ofSpeakers : ""].join(" ").trim();
}

/** Return whether a text node is at the beginning of a line. @param {Node} node */
function beginsLine(node) {
  let before = node.previousSibling;
  while (before instanceof Text && !before.data) before = before.previousSibling;
  return before === null || (before instanceof Text && before.data.endsWith("\n"));
}
