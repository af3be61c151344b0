// The n-gram model of the training text, and its mixture with the network; ngrams/kneser_ney.py
// explains the formulas.

import { logarithms } from "./sampling.js";

/** @typedef {import("./model_file.js").ModelFile} ModelFile */

/**
 * The n-grams of one length. Those of one context are adjacent, in the order of their last words.
 * @typedef {object} Level
 * @property {Uint8Array | Uint16Array | Uint32Array} words The last word of each.
 * @property {Uint32Array} begins Where the n-grams of each context begin, and the end of all.
 * @property {Float64Array} discounted (c - D(c)) / c(h) of each.
 * @property {Float64Array} backoff b(h) of each context.
 */

const FALLBACK_DISCOUNTS = [0.5, 1, 1.5];

export class KneserNey {
  #vocabularySize;
  #levels;

  /** @param {ModelFile} file @param {number} vocabularySize */
  constructor(file, vocabularySize) {
    this.#vocabularySize = vocabularySize;
    /** @type {Level[]} */
    this.#levels = [];
    for (let n = 1; file.has(`ngram.words_${n}`); n++) this.#levels.push(levelOf(file, n));
  }

  get order() {
    return this.#levels.length;
  }

  /** Return the probability of every id after some ids. @param {number[]} context */
  distribution(context) {
    const ids = context.slice(Math.max(0, context.length - this.order + 1));
    const probabilities = new Float64Array(this.#vocabularySize).fill(1 / this.#vocabularySize);
    for (const [n, level] of this.#levels.slice(0, ids.length + 1).entries()) {
      const place = this.#find(ids.slice(ids.length - n));
      if (place < 0) break;
      const backoff = level.backoff[place];
      for (let id = 0; id < probabilities.length; id++) probabilities[id] *= backoff;
      const end = level.begins[place + 1];
      for (let i = level.begins[place]; i < end; i++)
        probabilities[level.words[i]] += level.discounted[i];
    }
    return probabilities;
  }

  /** Return the place of an n-gram among those of its length, -1 if it is unseen. */
  #find(/** @type {number[]} */ ids) {
    let place = 0;
    for (const [n, id] of ids.entries()) {
      const { words, begins } = this.#levels[n];
      let [low, high] = [begins[place], begins[place + 1]];
      const end = high;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (words[middle] < id) low = middle + 1;
        else high = middle;
      }
      if (low === end || words[low] !== id) return -1;
      place = low;
    }
    return place;
  }
}

/** @param {ModelFile} file @param {number} n @returns {Level} */
function levelOf(file, n) {
  const words = file.counts(`ngram.words_${n}`);
  const counts = file.counts(`ngram.counts_${n}`);
  const wordsPerContext = file.counts(`ngram.words_per_context_${n}`);
  const begins = new Uint32Array(wordsPerContext.length + 1);
  for (let i = 0; i < wordsPerContext.length; i++) begins[i + 1] = begins[i] + wordsPerContext[i];
  const discounts = [0, ...discountsOf(counts)];
  const discounted = new Float64Array(counts.length);
  const backoff = new Float64Array(wordsPerContext.length).fill(1);
  for (let context = 0; context < wordsPerContext.length; context++) {
    let [total, freed] = [0, 0];
    for (let i = begins[context]; i < begins[context + 1]; i++) {
      total += counts[i];
      freed += discounts[Math.min(counts[i], 3)];
    }
    if (total > 0) backoff[context] = freed / total;
    for (let i = begins[context]; i < begins[context + 1]; i++)
      discounted[i] = (counts[i] - discounts[Math.min(counts[i], 3)]) / Math.max(total, 1);
  }
  return { words, begins, discounted, backoff };
}

/** Return D1, D2 and D3+ from the counts of counts. @param {ArrayLike<number>} counts */
function discountsOf(counts) {
  const seen = [0, 0, 0, 0, 0];
  for (let i = 0; i < counts.length; i++) if (counts[i] < 5) seen[counts[i]]++;
  const [, n1, n2, n3, n4] = seen;
  if (!n1 || !n2 || !n3 || !n4) return FALLBACK_DISCOUNTS;
  const y = n1 / (n1 + 2 * n2);
  const estimates = [1 - (2 * y * n2) / n1, 2 - (3 * y * n3) / n2, 3 - (4 * y * n4) / n3];
  return estimates.map((estimate, i) =>
    0 < estimate && estimate < i + 1 ? estimate : FALLBACK_DISCOUNTS[i],
  );
}

/** The mixture of the network with the n-gram model. */
export class Mixture {
  #ngram;
  #logWeight;
  #logRest;

  /** @param {KneserNey} ngram @param {number} weight Of the network. */
  constructor(ngram, weight) {
    this.#ngram = ngram;
    this.#logWeight = Math.log(weight);
    this.#logRest = Math.log1p(-weight);
  }

  /** Return the logits of the mixture. @param {Float32Array} logits @param {number[]} context */
  apply(logits, context) {
    const logOf = logarithms(logits);
    const counted = this.#ngram.distribution(context);
    const mixed = new Float32Array(logits.length);
    for (let id = 0; id < mixed.length; id++) {
      const ofNetwork = this.#logWeight + logOf(logits[id]);
      mixed[id] = logAddExp(ofNetwork, this.#logRest + Math.log(counted[id]));
    }
    return mixed;
  }
}

/** @param {number} one @param {number} other */
export function logAddExp(one, other) {
  if (one === other) return one + Math.LN2; // also where both are infinite
  const difference = one - other;
  return difference > 0
    ? one + Math.log1p(Math.exp(-difference))
    : other + Math.log1p(Math.exp(difference));
}
