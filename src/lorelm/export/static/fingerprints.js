// Index of the training text without the text: a fingerprint of 40 bits for every three consecutive
// tokens, as ngrams/fingerprints.py, which explains it.

/** @typedef {import("./model_file.js").ModelFile} ModelFile */

const WINDOW = 3;
const MULTIPLIER = 0x9e3779b97f4a7c15n;
const MASK = (1n << 64n) - 1n;

/**
 * Return 40 bits for three tokens.
 * @param {bigint} base Of the first two, from `baseOf`. @param {bigint} third
 */
function fingerprint(base, third) {
  let mixed = (base + third) & MASK;
  mixed ^= mixed >> 30n;
  mixed = (mixed * 0xbf58476d1ce4e5b9n) & MASK;
  mixed ^= mixed >> 27n;
  mixed = (mixed * 0x94d049bb133111ebn) & MASK;
  mixed ^= mixed >> 31n;
  return Number(mixed >> 24n);
}

/** @param {bigint} first @param {bigint} second */
const baseOf = (first, second) => ((first * MULTIPLIER + second) * MULTIPLIER) & MASK;

/** @param {bigint[]} keys */
const windowsOf = (keys) =>
  keys.slice(WINDOW - 1).map((third, i) => fingerprint(baseOf(keys[i], keys[i + 1]), third));

export class FingerprintIndex {
  #fingerprints;
  /** For each hash, 1 + the last position that has it, else 0. */
  #heads;
  /** For each position, 1 + the one before it with the same hash, else 0. */
  #previous;

  /** @param {ModelFile} file */
  constructor(file) {
    const high = file.counts("copies.high");
    const low = file.counts("copies.low");
    this.#fingerprints = Float64Array.from(high, (bits, i) => bits * 256 + low[i]);
    const size = 1 << Math.max(4, 32 - Math.clz32(high.length));
    this.#heads = new Uint32Array(size);
    this.#previous = new Uint32Array(high.length);
    for (let position = 0; position < high.length; position++) {
      const slot = high[position] & (size - 1);
      this.#previous[position] = this.#heads[slot];
      this.#heads[slot] = position + 1;
    }
  }

  /** Return the positions of a fingerprint in the text. @param {number} wanted */
  #positions(wanted) {
    const found = [];
    const high = Math.floor(wanted / 256);
    for (let next = this.#heads[high & (this.#heads.length - 1)]; next;) {
      if (this.#fingerprints[next - 1] === wanted) found.push(next - 1);
      next = this.#previous[next - 1];
    }
    return found;
  }

  /**
   * Return the length of the longest run at each index of a query that is in the text, in tokens; 0
   * if it is below three.
   * @param {bigint[]} keys
   */
  longestMatches(keys) {
    const lengths = new Array(keys.length).fill(0);
    const windows = windowsOf(keys);
    /** How long the runs are that begin at the next index, by position. @type {Map<number, number>} */
    let runs = new Map();
    for (let place = windows.length - 1; place >= 0; place--) {
      const longer = new Map();
      for (const position of this.#positions(windows[place])) {
        const length = (runs.get(position + 1) ?? 0) + 1;
        longer.set(position, length);
        lengths[place] = Math.max(lengths[place], length + WINDOW - 1);
      }
      runs = longer;
    }
    return lengths;
  }

  /**
   * Return whether each candidate completes, after a context, a run of the text.
   * @param {bigint[]} context Of two tokens or more. @param {BigUint64Array} candidates
   */
  completing(context, candidates) {
    const base = baseOf(context[context.length - 2], context[context.length - 1]);
    const complete = new Uint8Array(candidates.length);
    const standing = this.#following(context);
    if (standing?.size === 0) return complete;
    for (let i = 0; i < candidates.length; i++) {
      const window = fingerprint(base, candidates[i]);
      const isIn = standing ? standing.has(window) : this.#positions(window).length > 0;
      if (isIn) complete[i] = 1;
    }
    return complete;
  }

  /**
   * Return the fingerprints that end one token after a run of the text; null for a run that is too
   * short to be looked up.
   * @param {bigint[]} keys
   */
  #following(keys) {
    if (keys.length < WINDOW) return null;
    const [first, ...others] = windowsOf(keys);
    let positions = this.#positions(first);
    for (const [i, window] of others.entries())
      positions = positions.filter((each) => this.#fingerprints[each + i + 1] === window);
    const lasts = positions.map((each) => each + keys.length - WINDOW + 1);
    const known = lasts.filter((each) => each < this.#fingerprints.length);
    return new Set(known.map((each) => this.#fingerprints[each]));
  }
}
