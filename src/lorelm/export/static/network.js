// One step of the network: an id and the state in, logits and the state out.
//
// Every number is the one that ONNX Runtime computes from the same int8 graph on a processor with
// fused multiply-adds, so the text is the same too: sums of whole numbers are exact, and the rest is
// float32 arithmetic, which Math.fround and Float32Array make of that of JavaScript.

import { quantised, sigmoid, tanh } from "./activations.js";
import { Memory, Product } from "./products.js";

/** @typedef {import("./model_file.js").ModelFile} ModelFile */

const round = Math.fround;
const STATE_SCALE = round(1 / 127);

/** The hidden and the cell state of each layer. */
export class State {
  /** @param {Float32Array[]} h @param {Float32Array[]} c */
  constructor(h, c) {
    this.h = h;
    this.c = c;
  }

  copy() {
    return new State(
      this.h.map((each) => each.slice()),
      this.c.map((each) => each.slice()),
    );
  }
}

export class Network {
  #file;
  #operand;
  #layers;
  #projection;
  #output;
  #words;
  #sizes;
  #gates;
  #projected;
  /** The products of words with the first layer. @type {Map<number, Float32Array>} */
  #ofWords = new Map();

  /** @param {ModelFile} file @param {WebAssembly.Module} module products.wat */
  constructor(file, module) {
    this.#file = file;
    this.#sizes = file.metadata.network;
    const memory = new Memory(module, file);
    this.#operand = memory.operand;
    const { num_layers: numLayers, hidden_size: hiddenSize } = this.#sizes;
    /** @param {string} name @param {string} axes */
    const product = (name, axes, scale = STATE_SCALE) =>
      file.has(`${name}.weight_${axes}`) ? new Product(memory, file, name, axes, scale) : null;
    this.#layers = Array.from(
      { length: numLayers },
      (_, i) => /** @type {Product} */ (product(`layer_${i}`, "GK")),
    );
    this.#projection = product("projection", "EH");
    this.#output = /** @type {Product} */ (product("output", "VK"));
    this.#words = product("words", "GE", 1);
    this.#gates = new Float32Array(4 * hiddenSize);
    this.#projected = new Float32Array(this.#projection?.size ?? 0);
  }

  /** Return the state before the first id. */
  newState() {
    const zeros = () => this.#layers.map(() => new Float32Array(this.#sizes.hidden_size));
    return new State(zeros(), zeros());
  }

  /**
   * Read an id; return the logits of the next one, and change the state to that after it.
   * @param {number} id @param {State} state
   */
  step(id, state) {
    const gates = this.#gates;
    const ofWord = this.#ofWord(id);
    for (const [layer, product] of this.#layers.entries()) {
      const inputs = layer > 0 ? this.#putState(state.h[layer - 1], 0) : 0;
      this.#putState(state.h[layer], layer === 0 && !ofWord ? this.#putRow(id) : inputs);
      product.into(gates);
      if (layer === 0 && ofWord) for (let i = 0; i < gates.length; i++) gates[i] += ofWord[i];
      updateCell(gates, state.c[layer], state.h[layer]);
    }
    this.#putState(state.h[state.h.length - 1], 0);
    if (this.#projection) this.#putState(this.#projection.into(this.#projected).map(tanh), 0);
    return this.#output.into(new Float32Array(this.#output.size));
  }

  /**
   * Return the products of a word with the first layer; null where its row is in the operand.
   * @param {number} id
   */
  #ofWord(id) {
    const known = this.#ofWords.get(id);
    if (known) return known;
    const size = this.#gates.length;
    let ofWord = null;
    if (this.#words) {
      this.#putRow(id);
      ofWord = this.#words.into(new Float32Array(size));
    } else if (this.#file.has("table_VG")) {
      ofWord = this.#file.floats("table_VG").subarray(id * size, (id + 1) * size);
    }
    if (ofWord) this.#ofWords.set(id, ofWord);
    return ofWord;
  }

  /** Write the row of a word into the operand; return the place after it. @param {number} id */
  #putRow(id) {
    const file = this.#file;
    const size = this.#sizes.embedding_size;
    const isTied = file.has("rows_scale");
    const rows = isTied ? file.bytes("output.weight_VK") : file.bytes("rows_VE");
    const row = rows.subarray(id * size, (id + 1) * size);
    if (isTied) {
      // The rows of the output layer have a scale each; operands have one.
      const scale = file.floats("output.scale_V")[id];
      const scaleOfAll = file.floats("rows_scale")[0];
      for (let i = 0; i < size; i++)
        this.#operand[i] = quantised(round(row[i] * scale), scaleOfAll);
    } else this.#operand.set(row);
    this.#operand.fill(0, size);
    return size;
  }

  /**
   * Write a state into the operand at a place; return the place after it.
   * @param {Float32Array} state @param {number} place
   */
  #putState(state, place) {
    for (let i = 0; i < state.length; i++)
      this.#operand[place + i] = quantised(state[i], STATE_SCALE);
    this.#operand.fill(0, place + state.length);
    return place + state.length;
  }
}

/**
 * Update a layer's states from the sums of its gates, in the order i, f, g, o.
 * @param {Float32Array} gates @param {Float32Array} c @param {Float32Array} h
 */
function updateCell(gates, c, h) {
  const size = c.length;
  for (let i = 0; i < size; i++) {
    const kept = round(sigmoid(gates[size + i]) * c[i]);
    const added = round(sigmoid(gates[i]) * tanh(gates[2 * size + i]));
    c[i] = kept + added;
    h[i] = sigmoid(gates[3 * size + i]) * tanh(c[i]);
  }
}
