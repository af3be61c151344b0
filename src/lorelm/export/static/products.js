// Products of int8 matrices with the operand of one text, by products.wat.

/** @typedef {import("./model_file.js").ModelFile} ModelFile */

const round = Math.fround;

/** The memory of WebAssembly: an operand, sums, and then the weights. */
export class Memory {
  #end;

  /** @param {WebAssembly.Module} module @param {ModelFile} file */
  constructor(module, file) {
    const shapes = file.names.filter((name) => name.includes(".weight_")).map((n) => file.shape(n));
    const numRows = roundedUp(Math.max(...shapes.map(([rows]) => rows)), 4);
    const width = roundedUp(Math.max(...shapes.map(([, columns]) => columns)), 8);
    const numBytes = shapes.reduce((sum, shape) => sum + paddedBytes(shape), 0);
    const sumsAddress = 2 * width;
    this.#end = sumsAddress + 4 * numRows;
    const initial = Math.ceil((this.#end + numBytes) / 65536);
    const memory = new WebAssembly.Memory({ initial });
    this.int8 = new Int8Array(memory.buffer);
    this.operand = new Int16Array(memory.buffer, 0, width);
    this.sums = new Int32Array(memory.buffer, sumsAddress, numRows);
    const { exports } = new WebAssembly.Instance(module, { lorelm: { memory } });
    const multiply = /** @type {(...numbers: number[]) => void} */ (exports.multiply);
    /**
     * Multiply weights with the operand; the result is in `sums`.
     * @param {number} weights @param {number} rows @param {number} columns
     */
    this.multiply = (weights, rows, columns) => multiply(weights, 0, sumsAddress, rows, columns);
  }

  /** Reserve bytes for weights; return their address. @param {number} numBytes */
  take(numBytes) {
    const address = this.#end;
    this.#end += numBytes;
    return address;
  }
}

/** A matrix of weights in the memory, with the scale and the bias of each row. */
export class Product {
  #memory;
  #address;
  #numRows;
  #width;
  #scale;
  #bias;

  /**
   * @param {Memory} memory @param {ModelFile} file
   * @param {string} name Of the tensors. @param {string} axes Of the weights.
   * @param {number} operandScale
   */
  constructor(memory, file, name, axes, operandScale) {
    const [numRows, numColumns] = file.shape(`${name}.weight_${axes}`);
    this.#memory = memory;
    this.#numRows = roundedUp(numRows, 4);
    this.#width = roundedUp(numColumns, 8);
    this.#address = memory.take(this.#numRows * this.#width);
    // ONNX Runtime multiplies the two scales first, in float32.
    this.#scale = file.floats(`${name}.scale_${axes[0]}`).map((scale) => scale * operandScale);
    const bias = `${name}.bias_${axes[0]}`;
    this.#bias = file.has(bias) ? file.floats(bias) : null;
    const weights = file.bytes(`${name}.weight_${axes}`);
    for (let row = 0; row < numRows; row++) {
      const ofRow = weights.subarray(row * numColumns, (row + 1) * numColumns);
      memory.int8.set(ofRow, this.#address + row * this.#width);
    }
  }

  get size() {
    return this.#scale.length;
  }

  /** Multiply with the operand in the memory; return `out`. @param {Float32Array} out */
  into(out) {
    const { sums } = this.#memory;
    this.#memory.multiply(this.#address, this.#numRows, this.#width);
    const scale = this.#scale;
    const bias = this.#bias;
    for (let i = 0; i < scale.length; i++) {
      const scaled = round(round(sums[i]) * scale[i]);
      out[i] = bias ? scaled + bias[i] : scaled;
    }
    return out;
  }
}

/** @param {number[]} shape */
const paddedBytes = ([rows, columns]) => roundedUp(rows, 4) * roundedUp(columns, 8);

/** @param {number} number @param {number} unit */
const roundedUp = (number, unit) => Math.ceil(number / unit) * unit;
