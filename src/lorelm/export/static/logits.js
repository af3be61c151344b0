// What happens to logits between the model and the sampler, as generation/logits.py: processors and
// bans. Each processor returns new logits of the next token.

import { logAddExp } from "./kneser_ney.js";
import { EOS_ID, NEWLINE, OTHER_SPEAKER, UNK_ID } from "./special_tokens.js";
import { isTouching } from "./tokenizer.js";

/** @typedef {import("./request.js").SamplingSettings} SamplingSettings */
/** @typedef {import("./sequence.js").Sequence} Sequence */
/** @typedef {import("./vocabulary.js").Vocabulary} Vocabulary */

const LEAST_LOG_ODDS = Math.log(0.05);

/** Bans some ids from all places. */
export class Ban {
  #ids;

  /** @param {number[]} ids */
  constructor(ids) {
    this.#ids = ids;
  }

  /** @param {Float32Array} logits */
  apply(logits) {
    const changed = logits.slice();
    for (const id of this.#ids) changed[id] = -Infinity;
    return changed;
  }
}

/** Makes the tokens that a sequence already has less likely. */
export class Penalties {
  #settings;
  #isSeen;
  #counts;
  #numCounted = 0;

  /** @param {SamplingSettings} settings @param {number[]} promptIds @param {number} size */
  constructor(settings, promptIds, size) {
    this.#settings = settings;
    this.#isSeen = new Uint8Array(size);
    for (const id of promptIds) this.#isSeen[id] = 1;
    this.#counts = new Float32Array(size);
  }

  /** @param {Float32Array} logits @param {Sequence} sequence */
  apply(logits, { ids }) {
    for (; this.#numCounted < ids.length; this.#numCounted++) {
      this.#isSeen[ids[this.#numCounted]] = 1;
      this.#counts[ids[this.#numCounted]]++;
    }
    const factor = Math.fround(this.#settings.repetition_penalty);
    const frequency = Math.fround(this.#settings.frequency_penalty);
    const presence = Math.fround(this.#settings.presence_penalty);
    return logits.map((logit, id) => {
      const penalized = logit > 0 ? logit / factor : logit * factor;
      const count = this.#counts[id];
      const started = Math.fround(this.#isSeen[id] ? penalized : logit);
      return Math.fround(started - Math.fround(frequency * count)) - (count ? presence : 0);
    });
  }
}

/** What may follow a speaker's token, and who `<other speaker>` is. */
export class SpeakerRules {
  #speakers;
  #other;
  #named;
  #ban;

  /** @param {Vocabulary} vocabulary */
  constructor(vocabulary) {
    this.#speakers = new Set(vocabulary.speakers.values());
    this.#other = vocabulary.idOf(OTHER_SPEAKER);
    this.#named = [...this.#speakers].filter((id) => id !== this.#other);
    const touching = [...vocabulary.words.keys()].filter((id) => isTouching(vocabulary.words[id]));
    const lineBreak = vocabulary.has(NEWLINE) ? [vocabulary.idOf(NEWLINE)] : [];
    this.#ban = new Ban([EOS_ID, ...this.#speakers, ...touching, ...lineBreak]);
  }

  /** @param {Float32Array} logits @param {Sequence} sequence */
  apply(logits, { prompt, tokenIds }) {
    if (this.#speakers.has(tokenIds[tokenIds.length - 1])) return this.#ban.apply(logits);
    if (prompt.otherSpeakers.length > 1) {
      if (prompt.namesKnownSpeaker) return logits;
      return moved(logits, this.#named, [this.#other], LEAST_LOG_ODDS);
    }
    const last = tokenIds.findLast((id) => this.#speakers.has(id));
    if (prompt.otherSpeakers.length && last !== this.#other) return logits;
    return moved(logits, [this.#other], this.#named);
  }
}

/**
 * Give the probability of some ids to others, in proportion to what these have.
 * @param {Float32Array} logits @param {number[]} source @param {number[]} target
 * @param {number} leastLogOdds Of the target against the source; below it, nothing changes.
 */
function moved(logits, source, target, leastLogOdds = -Infinity) {
  const ofSource = logSum(source.map((id) => logits[id]));
  const ofTarget = logSum(target.map((id) => logits[id]));
  if (ofTarget < ofSource + leastLogOdds) return logits;
  const changed = logits.slice();
  for (const id of source) changed[id] = -Infinity;
  if (Number.isFinite(ofTarget)) {
    const added = logAddExp(ofSource, ofTarget) - ofTarget;
    for (const id of target) changed[id] += added;
  }
  return changed;
}

/** Return the logarithm of the sum of exponentials; banned ids add nothing. */
function logSum(/** @type {number[]} */ logits) {
  const allowed = logits.filter(Number.isFinite);
  if (!allowed.length) return -Infinity;
  const top = Math.max(...allowed);
  let sum = 0;
  for (const logit of allowed) sum += Math.fround(Math.exp(Math.fround(logit - top)));
  return top + Math.log(sum);
}

/**
 * Ban `<unk>`, and `<eos>` from a sequence that may not end yet, in place. Where nothing but
 * `<eos>` is left, it stays.
 * @param {Float32Array} logits @param {boolean} isEarly
 */
export function banSpecialTokens(logits, isEarly) {
  logits[UNK_ID] = -Infinity;
  const end = logits[EOS_ID];
  if (!isEarly) return;
  logits[EOS_ID] = -Infinity;
  if (logits.every((logit) => logit === -Infinity)) logits[EOS_ID] = end;
}
