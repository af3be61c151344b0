// The random numbers of NumPy: Generator(Philox(seed)).random(), one number at a time.

/**
 * Return four numbers of 32 bits that NumPy's SeedSequence makes of a seed.
 * (Melissa O'Neill's seed_seq_fe, https://www.pcg-random.org/posts/developing-a-seed_seq-alternative.html)
 * @param {number} seed From 0 to 2**53 - 1.
 */
function seedWords(seed) {
  const entropy = [seed >>> 0];
  if (seed >= 2 ** 32) entropy.push(Math.floor(seed / 2 ** 32));
  let multiplier = 0x43b0d7e5;
  /** @param {number} value */
  const hash = (value) => {
    const changed = value ^ multiplier;
    multiplier = Math.imul(multiplier, 0x931e8875);
    const product = Math.imul(changed, multiplier);
    return product ^ (product >>> 16);
  };
  /** @param {number} one @param {number} other */
  const mix = (one, other) => {
    const mixed = (Math.imul(0xca01f9dd, one) - Math.imul(0x4973f715, other)) | 0;
    return mixed ^ (mixed >>> 16);
  };
  const pool = [0, 1, 2, 3].map((i) => hash(entropy[i] ?? 0));
  for (let source = 0; source < 4; source++) {
    for (let target = 0; target < 4; target++) {
      if (source !== target) pool[target] = mix(pool[target], hash(pool[source]));
    }
  }
  let state = 0x8b51f9dd;
  return pool.map((word) => {
    const changed = word ^ state;
    state = Math.imul(state, 0x58f38ded);
    const product = Math.imul(changed, state);
    return (product ^ (product >>> 16)) >>> 0;
  });
}

const MASK = (1n << 64n) - 1n;

/** Philox4x64-10 (Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405). */
export class Philox {
  #key;
  #counter = 0n;
  /** @type {bigint[]} */
  #buffer = [];

  /** @param {number} seed */
  constructor(seed) {
    const words = seedWords(seed).map(BigInt);
    this.#key = [words[0] | (words[1] << 32n), words[2] | (words[3] << 32n)];
  }

  /** Return the next number, uniform in [0, 1). */
  random() {
    if (!this.#buffer.length) this.#fill();
    const bits = /** @type {bigint} */ (this.#buffer.shift());
    return Number(bits >> 11n) * 2 ** -53;
  }

  #fill() {
    this.#counter += 1n;
    let [c0, c1, c2, c3] = [this.#counter, 0n, 0n, 0n];
    let [k0, k1] = this.#key;
    for (let round = 0; round < 10; round++) {
      const first = c0 * 0xd2e7470ee14c6c93n;
      const second = c2 * 0xca5a826395121157n;
      [c0, c1, c2, c3] = [
        (second >> 64n) ^ c1 ^ k0,
        second & MASK,
        (first >> 64n) ^ c3 ^ k1,
        first & MASK,
      ];
      k0 = (k0 + 0x9e3779b97f4a7c15n) & MASK;
      k1 = (k1 + 0xbb67ae8584caa73bn) & MASK;
    }
    this.#buffer = [c0, c1, c2, c3];
  }
}
