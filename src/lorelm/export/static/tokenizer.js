// Text to tokens, and tokens back to text, exactly as corpus/tokenizer.py, which explains it.

import { LETTERS, lengthOf, SPACE, SPACE_IN_LINE, split, trim, trimEnd } from "./characters.js";
import {
  NEWLINE,
  SOMEONE,
  speakerName,
  speakerToken,
  UNK,
  UNKNOWN_NAME,
} from "./special_tokens.js";

/** Stands on the side of a sign on which no white space is. */
export const MARK = "￭";

/** Cuts text into tokens and joins tokens to text. */
class Tokenizer {
  #cue;
  #hasSpeakers;
  hasLineBreaks = false;

  /** @param {string[]} speakers Their names; none if the model has no speakers. */
  constructor(speakers) {
    this.#hasSpeakers = speakers.length > 0;
    const names = [...new Set([...speakers, SOMEONE])];
    names.sort((one, other) => lengthOf(other) - lengthOf(one));
    const known = names.map((name) => name.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&"));
    const name = [...known, UNKNOWN_NAME].join("|");
    // Python's ^ is at the beginning of lines that end in \n alone.
    const source = `(?<![^\\n])[${SPACE_IN_LINE}]*(${name}):(?=[${SPACE}]|$)[${SPACE}]*`;
    this.#cue = new RegExp(source, "gu");
  }

  /** Return the tokens of a text. @param {string} text @returns {string[]} */
  tokenize(text) {
    if (!this.#hasSpeakers) return this.cut(text);
    // The text before the first cue, then by turns a name and a speech.
    const [before, ...turns] = text.split(this.#cue);
    const tokens = this.cut(before);
    for (let i = 0; i < turns.length; i += 2) {
      if (tokens.length && this.hasLineBreaks) tokens.push(NEWLINE);
      tokens.push(speakerToken(turns[i]));
      for (const token of this.cut(turns[i + 1])) tokens.push(token);
    }
    return tokens;
  }

  /** Return the tokens of a text to continue. @param {string} text */
  tokenizePrompt(text) {
    return this.tokenize(text);
  }

  /**
   * Return the text of a token, after the white space between it and `previous`.
   * @param {string} token @param {string | null} previous Null at the start of a text.
   */
  piece(token, previous) {
    const name = speakerName(token);
    if (name !== null) return `${previous === null || previous === NEWLINE ? "" : "\n"}${name}:`;
    if (previous !== null && token !== NEWLINE && speakerName(previous) !== null)
      return ` ${this.joined(token, null)}`;
    return this.joined(token, previous);
  }

  /** Return the tokens of a text without speakers. @param {string} text @returns {string[]} */
  cut(text) {
    throw new Error(`only a tokenizer of a style can cut ${text}`);
  }

  /**
   * Return the text of a token after one that is no speaker's.
   * @param {string} token @param {string | null} previous
   */
  joined(token, previous) {
    return previous === null ? token : ` ${token}`;
  }
}

class ClassicTokenizer extends Tokenizer {
  /** @param {string} text */
  cut(text) {
    return text.toLowerCase().match(/[a-z0-9']+/g) ?? [];
  }
}

/** @type {[string, string][]} */
const REPLACEMENTS = [
  ["'", " '  "],
  ['"', ""],
  [".", " . "],
  ["<br />", " "],
  [",", " , "],
  ["(", " ( "],
  [")", " ) "],
  ["!", " ! "],
  ["?", " ? "],
  [";", " "],
  [":", " "],
];
const CLOSING = new Set([...".,)!?"]);
const CONTRACTED = new Set(["s", "t", "m", "d", "ll", "re", "ve", "em"]);

class BasicEnglishTokenizer extends Tokenizer {
  /** @param {string} text */
  cut(text) {
    let cut = text.toLowerCase();
    for (const [old, replacement] of REPLACEMENTS) cut = cut.replaceAll(old, replacement);
    return split(cut);
  }

  /** @param {string} token @param {string | null} previous */
  joined(token, previous) {
    if (previous === null || CLOSING.has(token) || previous === "(") return token;
    if (token === "'" && !CLOSING.has(previous)) return token;
    if (previous === "'" && CONTRACTED.has(token)) return token;
    return ` ${token}`;
  }
}

const MARKS =
  "\\u0300-\\u036f\\u0483-\\u0489\\u0591-\\u05bd\\u0610-\\u061a\\u064b-\\u065f\\u0900-\\u0963" +
  "\\u0966-\\u0dff\\u0e31-\\u0e4e\\u200c\\u200d";
const RUN = `[${LETTERS}${MARKS}]+`;
const TOKEN = new RegExp(
  `(?<unk><unk>)|(?<word>${RUN}(?:['’]${RUN})*)|(?<space>[${SPACE}]+)|(?<other>(.)\\5*)`,
  "gsu",
);

class WordsTokenizer extends Tokenizer {
  hasLineBreaks = true;

  /** @param {string} text */
  cut(text) {
    /** @type {string[]} */
    const tokens = [];
    let touched = ""; // the kind of the token that the next one touches; empty after white space
    for (const { 0: piece, groups } of trim(text.replaceAll(MARK, "■")).matchAll(TOKEN)) {
      if (groups?.space) {
        touched = "";
        if (hasLineBreak(piece)) tokens.push(NEWLINE);
      } else if (groups?.other) {
        tokens.push(touched ? MARK + piece : piece);
        touched = "other";
      } else {
        if (touched === "word") tokens.push(MARK);
        else if (touched) tokens[tokens.length - 1] += MARK;
        tokens.push(piece);
        touched = "word";
      }
    }
    return tokens;
  }

  /** @param {string} text */
  tokenizePrompt(text) {
    const tokens = this.tokenize(text);
    const space = text.slice(trimEnd(text).length);
    return tokens.length && hasLineBreak(space) ? [...tokens, NEWLINE] : tokens;
  }

  /** @param {string} token @param {string | null} previous */
  joined(token, previous) {
    if (token === NEWLINE) return NEWLINE;
    const text = token.replaceAll(MARK, "");
    if (previous === null || previous === NEWLINE) return text;
    return token.startsWith(MARK) || previous.endsWith(MARK) ? text : ` ${text}`;
  }
}

class SubwordTokenizer extends WordsTokenizer {
  #pieces;
  #longest;

  /** @param {string[]} speakers @param {string[]} words Of the vocabulary: the pieces. */
  constructor(speakers, words) {
    super(speakers);
    this.#pieces = new Set(words);
    this.#longest = words.reduce((longest, word) => Math.max(longest, lengthOf(word)), 1);
  }

  /** @param {string} text */
  cut(text) {
    return super.cut(text).flatMap((token) => this.#cutWord(token));
  }

  /** Return the longest pieces of a word. @param {string} token */
  #cutWord(token) {
    if (this.#pieces.has(token) || token.includes(MARK) || token === UNK || token === NEWLINE)
      return [token];
    const letters = [...token];
    const found = [];
    for (let begin = 0; begin < letters.length;) {
      const mark = begin ? MARK : "";
      let end = Math.min(letters.length, begin + this.#longest);
      const piece = () => mark + letters.slice(begin, end).join("");
      while (end > begin + 1 && !this.#pieces.has(piece())) end--;
      found.push(piece());
      begin = end;
    }
    return found;
  }
}

/** @param {string} space */
const hasLineBreak = (space) => /[\n\r]/.test(space);

/**
 * Return the tokenizer of a style.
 * @param {string} style @param {string[]} speakers @param {string[]} words Of the vocabulary.
 */
export function makeTokenizer(style, speakers, words) {
  if (style === "subword") return new SubwordTokenizer(speakers, words);
  if (style === "words") return new WordsTokenizer(speakers);
  if (style === "classic") return new ClassicTokenizer(speakers);
  if (style === "basic_english") return new BasicEnglishTokenizer(speakers);
  throw new Error(`there is no tokenizer called ${style}`);
}

/** Whether a token touches the word before it. @param {string} token */
export const isTouching = (token) => token.startsWith(MARK);

/** @typedef {Tokenizer} AnyTokenizer */
