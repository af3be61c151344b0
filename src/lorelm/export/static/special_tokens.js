// Tokens that stand for no word of a text. corpus/special_tokens.py has the same.

import { LETTERS } from "./characters.js";

export const UNK = "<unk>";
export const EOS = "<eos>";
export const UNK_ID = 0;
export const EOS_ID = 1;
export const NEWLINE = "\n";
export const OTHER_SPEAKER = "<other speaker>";
/** How the other speaker is shown in a text. */
export const SOMEONE = "SOMEONE";

const SPEAKER = "<speaker ";
const PART = `[${LETTERS}_.'’-]`;

/** Pattern of a speaker's name that a model need not know. */
export const UNKNOWN_NAME = `[A-ZÀ-ÖØ-ÞΑ-ΩЀ-Я]${PART}*(?: ${PART}+){0,3}`;

/** @param {string} name */
export const speakerToken = (name) => (name === SOMEONE ? OTHER_SPEAKER : `${SPEAKER}${name}>`);

/** Return the name of the speaker whose token it is, or null. @param {string} token */
export function speakerName(token) {
  if (token === OTHER_SPEAKER) return SOMEONE;
  return token.startsWith(SPEAKER) ? token.slice(SPEAKER.length, -1) : null;
}
