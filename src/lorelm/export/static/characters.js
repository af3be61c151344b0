// Characters as Python has them, for patterns with the flag "u". JavaScript's \s and \w differ.

/** What `str.isspace` and `\s` take for white space. */
export const SPACE =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

/** The same without the line break. */
export const SPACE_IN_LINE = SPACE.replace("\\t-\\r", "\\t\\x0b-\\r");

/** What `\w` takes for a part of a word, without the underscore. */
export const LETTERS = "\\p{L}\\p{N}";

const IS_SPACE = new RegExp(`^[${SPACE}]$`, "u");
const LEADING = new RegExp(`^[${SPACE}]+`, "u");

/** @param {string} text */
export const trimStart = (text) => text.replace(LEADING, "");

/** @param {string} text */
export function trimEnd(text) {
  let end = text.length; // a pattern would look at a run of white space again and again
  while (end && IS_SPACE.test(text[end - 1])) end--;
  return text.slice(0, end);
}

/** @param {string} text */
export const trim = (text) => trimEnd(trimStart(text));

/** Return the parts between runs of white space. @param {string} text */
export const split = (text) => text.split(new RegExp(`[${SPACE}]+`, "u")).filter(Boolean);

/** @param {string} text */
export const endsInSpace = (text) => IS_SPACE.test(text.slice(-1));

/** Number of code points, which Python counts. @param {string} text */
export const lengthOf = (text) => [...text].length;

/**
 * Return a text without differences of case, as `str.casefold` does for all scripts but Cherokee.
 * @param {string} text
 */
export const casefold = (text) =>
  // Letter by letter, or a sigma at the end of a word would become another letter.
  [...text].map((each) => (each === "ı" ? each : each.toUpperCase().toLowerCase())).join("");

/** Return a text with straight quotation marks and apostrophes. @param {string} text */
export const straight = (text) => text.replace(/[‘’‚‛ʼ′＇´]/g, "'").replace(/[“”„‟″＂]/g, '"');

/** Return a word whatever its case and the form of its apostrophes. @param {string} text */
export const letters = (text) => casefold(straight(text));

/** @param {string} text */
export const isUpper = (text) => /\p{Uppercase}/u.test(text) && !/\p{Lowercase}|\p{Lt}/u.test(text);

/** @param {string} text */
export const isLower = (text) => /\p{Lowercase}/u.test(text) && !/\p{Uppercase}|\p{Lt}/u.test(text);

/** @param {string} text */
export const hasLetter = (text) => /\p{L}/u.test(text);

// Raised, lowered and circled digits, and those of three old scripts, which are no \p{Nd}.
const OTHER_DIGITS =
  "\\u{b2}\\u{b3}\\u{b9}\\u{1369}-\\u{1371}\\u{19da}\\u{2070}\\u{2074}-\\u{2079}" +
  "\\u{2080}-\\u{2089}\\u{2460}-\\u{2468}\\u{2474}-\\u{247c}\\u{2488}-\\u{2490}\\u{24ea}" +
  "\\u{24f5}-\\u{24fd}\\u{24ff}\\u{2776}-\\u{277e}\\u{2780}-\\u{2788}\\u{278a}-\\u{2792}" +
  "\\u{10a40}-\\u{10a43}\\u{10e60}-\\u{10e68}\\u{11052}-\\u{1105a}\\u{1f100}-\\u{1f10a}";
const DIGIT = new RegExp(`[\\p{Nd}${OTHER_DIGITS}]`, "u");

/** Whether a text has a digit, raised and circled ones included. @param {string} text */
export const hasDigit = (text) => DIGIT.test(text);
