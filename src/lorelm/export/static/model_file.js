// Read a file of tensors: a gzip of the layout of safetensors, see export/tensor_file.py.

import { keep, openStore } from "./store.js";

const FORMAT = 1; // model_files.py writes it

const KINDS = {
  F32: Float32Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  I8: Int8Array,
};

/** @typedef {Float32Array | Uint32Array | Uint16Array | Uint8Array | Int8Array} Tensor */

export class ModelFile {
  #tensors;

  /**
   * @param {Map<string, {values: Tensor, shape: number[]}>} tensors
   * @param {any} metadata
   */
  constructor(tensors, metadata) {
    this.#tensors = tensors;
    this.metadata = metadata;
  }

  /** Parse the bytes of a file, decompressed. @param {ArrayBuffer} bytes */
  static parse(bytes) {
    const size = Number(new DataView(bytes).getBigUint64(0, true));
    const text = new TextDecoder().decode(new Uint8Array(bytes, 8, size));
    const { __metadata__: metadata, ...entries } = JSON.parse(text);
    const tensors = new Map();
    for (const [name, entry] of Object.entries(entries)) {
      const { dtype, shape, data_offsets: offsets } = entry;
      const Kind = KINDS[/** @type {keyof KINDS} */ (dtype)];
      const length = (offsets[1] - offsets[0]) / Kind.BYTES_PER_ELEMENT;
      tensors.set(name, { values: new Kind(bytes, 8 + size + offsets[0], length), shape });
    }
    const ofModel = JSON.parse(metadata.lorelm);
    if (ofModel.format !== FORMAT) throw new Error(`the file is of format ${ofModel.format}`);
    return new ModelFile(tensors, ofModel);
  }

  get names() {
    return [...this.#tensors.keys()];
  }

  /** @param {string} name */
  has(name) {
    return this.#tensors.has(name);
  }

  /** @param {string} name */
  shape(name) {
    return this.#of(name).shape;
  }

  /** Return a tensor of 32-bit floats. @param {string} name */
  floats(name) {
    return /** @type {Float32Array} */ (this.#of(name).values);
  }

  /** Return a tensor of 8-bit integers with their sign. @param {string} name */
  bytes(name) {
    return /** @type {Int8Array} */ (this.#of(name).values);
  }

  /** Return a tensor of whole numbers without a sign. @param {string} name */
  counts(name) {
    return /** @type {Uint8Array | Uint16Array | Uint32Array} */ (this.#of(name).values);
  }

  /** @param {string} name */
  #of(name) {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`the model file has no ${name}`);
    return tensor;
  }
}

/**
 * Fetch a file, from the browser's store if it is there, and decompress it unless the server has
 * made the browser do so.
 * @param {string} url @param {(numBytes: number) => void} [onProgress]
 */
export async function fetchModelFile(url, onProgress) {
  const store = await openStore(new URL(".", url));
  const stored = await store?.match(url);
  const content = await (stored?.blob() ?? download(url, onProgress));
  const file = ModelFile.parse(await decompressed(content));
  // A browser that has no room for it loads it again the next time.
  if (!stored) await keep(store, url, content).catch(() => {});
  return file;
}

/** @param {string} url @param {(numBytes: number) => void} [onProgress] */
async function download(url, onProgress) {
  const response = await fetch(url);
  if (!response.ok || !response.body) throw new Error(`${response.status} for ${url}`);
  const reader = response.body.getReader();
  /** @type {BlobPart[]} */
  const parts = [];
  let numBytes = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return new Blob(parts);
    parts.push(/** @type {BlobPart} */ (value));
    numBytes += value.length;
    onProgress?.(numBytes);
  }
}

/** @param {Blob} blob */
async function decompressed(blob) {
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  if (first !== 0x1f || second !== 0x8b) return blob.arrayBuffer();
  const stream = blob.stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
