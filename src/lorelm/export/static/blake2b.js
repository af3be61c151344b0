// BLAKE2b of short texts, to eight bytes (https://www.rfc-editor.org/rfc/rfc7693). A number of 64
// bits is two of 32, the lower one first: bigints would take twenty times as long.

const IV = new Uint32Array([
  0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a,
  0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19,
]);

const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

const MIXES = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

const BLOCK = 128;
const DIGEST_SIZE = 8;

const v = new Uint32Array(32);
const m = new Uint32Array(32);

/** Add number b, and then a number of 64 bits, to number a. */
function add(/** @type {number} */ a, /** @type {number} */ low, /** @type {number} */ high) {
  const sum = v[2 * a] + low;
  v[2 * a + 1] += high + (sum >= 2 ** 32 ? 1 : 0);
  v[2 * a] = sum;
}

/** Set number a to (a xor b), rotated to the right. */
function rotate(/** @type {number} */ a, /** @type {number} */ b, /** @type {number} */ bits) {
  const low = v[2 * a] ^ v[2 * b];
  const high = v[2 * a + 1] ^ v[2 * b + 1];
  if (bits === 32) {
    [v[2 * a], v[2 * a + 1]] = [high, low];
  } else if (bits === 63) {
    v[2 * a] = (low << 1) | (high >>> 31);
    v[2 * a + 1] = (high << 1) | (low >>> 31);
  } else {
    v[2 * a] = (low >>> bits) | (high << (32 - bits));
    v[2 * a + 1] = (high >>> bits) | (low << (32 - bits));
  }
}

/** @param {number[]} places Of a, b, c and d. @param {number} x @param {number} y */
function mix([a, b, c, d], x, y) {
  add(a, v[2 * b], v[2 * b + 1]);
  add(a, m[2 * x], m[2 * x + 1]);
  rotate(d, a, 32);
  add(c, v[2 * d], v[2 * d + 1]);
  rotate(b, c, 24);
  add(a, v[2 * b], v[2 * b + 1]);
  add(a, m[2 * y], m[2 * y + 1]);
  rotate(d, a, 16);
  add(c, v[2 * d], v[2 * d + 1]);
  rotate(b, c, 63);
}

/**
 * Return the digest of some bytes as a number.
 * @param {Uint8Array} bytes
 */
export function blake2b64(bytes) {
  const h = IV.slice();
  h[0] ^= 0x01010000 ^ DIGEST_SIZE;
  const numBlocks = Math.max(1, Math.ceil(bytes.length / BLOCK));
  for (let block = 0; block < numBlocks; block++) {
    const part = new Uint8Array(BLOCK);
    part.set(bytes.subarray(block * BLOCK, (block + 1) * BLOCK));
    const view = new DataView(part.buffer);
    for (let i = 0; i < 32; i++) m[i] = view.getUint32(4 * i, true);
    v.set(h);
    v.set(IV, 16);
    const isLast = block === numBlocks - 1;
    v[24] ^= isLast ? bytes.length : (block + 1) * BLOCK;
    if (isLast) [v[28], v[29]] = [~v[28], ~v[29]];
    for (let round = 0; round < 12; round++) {
      const order = SIGMA[round % 10];
      for (const [i, places] of MIXES.entries()) mix(places, order[2 * i], order[2 * i + 1]);
    }
    for (let i = 0; i < 16; i++) h[i] ^= v[i] ^ v[i + 16];
  }
  return (BigInt(h[1]) << 32n) | BigInt(h[0]);
}
