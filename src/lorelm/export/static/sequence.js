// One sample, from prompt to finish, as generation/sequence.py.

import { banSpecialTokens } from "./logits.js";
import { Philox } from "./random.js";
import { sample, scoreToken } from "./sampling.js";
import { EOS_ID } from "./special_tokens.js";

/** @typedef {import("./detokenizer.js").Detokenizer} Detokenizer */
/** @typedef {import("./network.js").State} State */
/** @typedef {import("./prompts.js").Prompt} Prompt */
/** @typedef {import("./request.js").Settings} Settings */
/** @typedef {import("./tokenizer.js").AnyTokenizer} Tokenizer */
/** @typedef {{apply: (logits: Float32Array, sequence: Sequence) => Float32Array}} Processor */

export class Sequence {
  /** Why it is finished: "eos", "stop" or "length"; empty until then. */
  finishReason = "";
  /** How many of the ids the network has read. */
  numRead = 0;
  /** The state after those; null before the first. @type {State | null} */
  state = null;
  /** @type {ReturnType<typeof scoreToken>[]} */
  scores = [];
  #random;
  #processors;

  /**
   * @param {object} options
   * @param {Prompt} options.prompt
   * @param {Settings} options.settings
   * @param {number[]} options.inputIds Of the prompt, with the `<eos>` that it is read after.
   * @param {number} options.seed
   * @param {Detokenizer} options.detokenizer
   * @param {Processor[]} options.processors
   */
  constructor({ prompt, settings, inputIds, seed, detokenizer, processors }) {
    this.prompt = prompt;
    this.settings = settings;
    this.tokenIds = [...inputIds];
    this.numPromptIds = inputIds.length;
    this.seed = seed;
    this.detokenizer = detokenizer;
    this.#processors = processors;
    this.#random = new Philox(seed);
  }

  /** The generated ids. */
  get ids() {
    return this.tokenIds.slice(this.numPromptIds);
  }

  get numTokens() {
    return this.tokenIds.length - this.numPromptIds;
  }

  /** Whether there is more of the prompt to be read before the first token is sampled. */
  get isReading() {
    return this.numRead < this.numPromptIds;
  }

  get isFinished() {
    return this.finishReason !== "";
  }

  /** Sample the next token. @param {Float32Array} modelLogits Of the network, or the mixture. */
  append(modelLogits) {
    const { settings } = this;
    /** @type {Float32Array} */
    let logits = modelLogits.slice(); // a processor that changes nothing returns its array
    for (const processor of this.#processors) logits = processor.apply(logits, this);
    banSpecialTokens(logits, this.numTokens < settings.min_len);
    const id = sample(logits, settings, this.#random.random());
    if (id === EOS_ID) {
      this.#finish("eos");
      return;
    }
    this.scores.push(scoreToken(modelLogits, id, settings.num_alternatives));
    this.tokenIds.push(id);
    this.detokenizer.append(id);
    if (this.detokenizer.isStopped) this.#finish("stop");
    else if (this.numTokens === settings.max_len) this.#finish("length");
  }

  /** @param {string} reason */
  #finish(reason) {
    this.finishReason = reason;
    this.detokenizer.flush();
  }
}
