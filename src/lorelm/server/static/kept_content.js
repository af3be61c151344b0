// The text of a draft: like the content of the editor, without what else the model could have
// written, which takes 18 times the room.

import { gettext } from "./translate.js";

const NAME_LENGTH = 40;

/** Return the content of the editor as a draft keeps it. @param {Content} content */
export function keptContent(content) {
  /** @type {KeptContent} */
  const kept = [];
  for (const part of content) {
    const last = kept.at(-1);
    if (typeof part !== "string") kept.push(keptToken(part));
    else if (typeof last === "string") kept[kept.length - 1] = last + part;
    else if (part) kept.push(part);
  }
  return kept;
}

/** @param {Token} token @returns {KeptToken} */
function keptToken({ text, log_probability: score, copied }) {
  const word = text.trimStart(); // the white space before it is a part of its own
  const rounded = Math.round(1000 * score) / 1000;
  return copied ? [word, rounded, copied] : [word, rounded];
}

/** Return the text of a draft for the editor. @param {KeptContent} kept @returns {Content} */
export function editorContent(kept) {
  return kept.map((part) => {
    if (typeof part === "string") return part;
    const [text, score, copied = 0] = part;
    return { text, log_probability: score, alternatives: [], copied };
  });
}

/** Return the plain text of a draft. @param {KeptContent} kept */
export function textOf(kept) {
  return kept.map((part) => (typeof part === "string" ? part : part[0])).join("");
}

/** Return the first words of a text as a name; "Untitled" if it has none. @param {string} text */
export function nameOf(text) {
  const line = text
    .slice(0, 4 * NAME_LENGTH)
    .replace(/\s+/g, " ")
    .trim();
  if (line.length <= NAME_LENGTH) return line || gettext("Untitled");
  const words = line.slice(0, NAME_LENGTH + 1).replace(/ [^ ]*$/, "");
  return `${words.slice(0, NAME_LENGTH).replace(/[\uD800-\uDBFF]$/, "")}…`;
}
