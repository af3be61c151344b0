// The model in a thread of its own, so that the page stays responsive. See api.js for the messages.

import { TrainingText } from "./copies.js";
import { FingerprintIndex } from "./fingerprints.js";
import { LanguageModel } from "./language_model.js";
import { fetchModelFile } from "./model_file.js";
import { WrongRequest } from "./request.js";

/** @typedef {import("./sequence.js").Sequence} Sequence */

const SLICE_MS = 12; // after which messages are looked at, and the tokens so far are sent

/** A request that is being answered. */
class Task {
  #model;
  #sequences;
  #numSent;
  /** What has not been sent yet. @type {ApiEvent[]} */
  #events;
  /** The samples whose end has not been sent yet. @type {number[]} */
  #ended = [];

  /** @param {number} id @param {LanguageModel} model @param {RequestBody} body */
  constructor(id, model, body) {
    this.id = id;
    this.#model = model;
    const { prompt, sequences } = model.request(body);
    this.#sequences = sequences;
    this.#numSent = sequences.map(() => 0);
    const seeds = sequences.map((sequence) => sequence.seed);
    this.#events = [{ name: "start", data: { unknown_words: prompt.unknownWords, seeds } }];
  }

  get isFinished() {
    return this.#sequences.every((sequence) => sequence.isFinished);
  }

  get hasEnds() {
    return this.#ended.length > 0;
  }

  /** Advance each sample by a token; the first one reads the prompt for all. */
  advance() {
    const [first] = this.#sequences;
    for (const [i, sequence] of this.#sequences.entries()) {
      if (sequence.isFinished || (i > 0 && first.isReading)) continue;
      this.#model.advance(sequence);
      const tokens = [];
      while (this.#numSent[i] < sequence.detokenizer.numCertain) {
        tokens.push(this.#model.tokenAt(sequence, this.#numSent[i]++));
      }
      if (tokens.length) this.#events.push({ name: "tokens", data: { sample: i, tokens } });
      if (sequence.isFinished) this.#ended.push(i);
    }
  }

  takeEvents() {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** Return the events of the samples that have ended, with what they have copied. */
  takeEnds() {
    const events = this.#ended.map((i) => ({ name: "sample", data: this.#endOf(i) }));
    this.#ended = [];
    if (this.isFinished) events.push({ name: "done", data: /** @type {any} */ ({}) });
    return events;
  }

  /** @param {number} i */
  #endOf(i) {
    const sequence = this.#sequences[i];
    return {
      sample: i,
      text: sequence.detokenizer.chunks.join(""),
      finish_reason: sequence.finishReason,
      seed: sequence.seed,
      num_tokens: sequence.numTokens,
      copied_spans: this.#model.trainingText?.copiedSpans(sequence) ?? null,
    };
  }
}

/** @type {Map<number, Task>} */
const tasks = new Map();
/** The requests that have no task yet. @type {Set<number>} */
const waiting = new Set();
/** @type {Promise<LanguageModel>} */
let loading;
/** Ends when the index of the training text is there; the first words do not wait for it. */
let loadingCopies = Promise.resolve();
let isRunning = false;

/** @param {{model: string, copies: string | null}} urls */
async function load({ model: url, copies }) {
  const [module, file] = await Promise.all([
    fetch(new URL("products.wasm", import.meta.url)).then(compiled),
    fetchModelFile(url, (numBytes) => postMessage({ kind: "progress", numBytes })),
  ]);
  const model = new LanguageModel(file, module);
  // Without the index, copies are not marked.
  if (copies) loadingCopies = loadCopies(model, copies).catch(console.error);
  return model;
}

/** @param {Response} response */
async function compiled(response) {
  return WebAssembly.compile(await response.arrayBuffer());
}

/** @param {LanguageModel} model @param {string} url */
async function loadCopies(model, url) {
  const index = new FingerprintIndex(await fetchModelFile(url));
  model.trainingText = new TrainingText(index, model.tokenizer, model.vocabulary);
}

/** @param {number} id @param {RequestBody} body */
async function generate(id, body) {
  waiting.add(id);
  const model = await loading;
  if (body.novel_span) await loadingCopies;
  if (!waiting.delete(id)) return; // it was stopped
  tasks.set(id, new Task(id, model, body));
  if (!isRunning) run();
}

async function run() {
  isRunning = true;
  while (tasks.size) {
    const end = performance.now() + SLICE_MS;
    let unfinished = [...tasks.values()];
    while (unfinished.length && performance.now() < end) {
      for (const task of unfinished) attempt(task);
      unfinished = unfinished.filter((task) => !task.isFinished && tasks.has(task.id));
    }
    for (const task of tasks.values()) await send(task);
    await nextTurn();
  }
  isRunning = false;
}

/** @param {Task} task */
function attempt(task) {
  try {
    task.advance();
  } catch (error) {
    fail(task.id, error);
  }
}

/** @param {Task} task */
async function send(task) {
  const { id } = task;
  postMessage({ kind: "events", id, events: task.takeEvents() });
  if (task.isFinished) tasks.delete(id);
  if (!task.hasEnds) return;
  await loadingCopies;
  try {
    postMessage({ kind: "events", id, events: task.takeEnds() });
  } catch (error) {
    fail(id, error);
  }
}

/** Return when the messages that have arrived were handled. */
function nextTurn() {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = resolve;
    port2.postMessage(null);
  });
}

/** End a request with an error. @param {number} id @param {unknown} error */
function fail(id, error) {
  tasks.delete(id);
  const isOurs = error instanceof WrongRequest;
  if (!isOurs) console.error(error);
  const message = isOurs ? `${error.message}.` : "Something went wrong in the model.";
  postMessage({ kind: "error", id, message, fields: isOurs ? error.fields : [] });
}

/** @type {Record<string, (message: any) => unknown>} */
const HANDLERS = {
  load(urls) {
    loading = load(urls);
    loading.then(
      () => postMessage({ kind: "ready" }),
      (error) => postMessage({ kind: "failed", message: String(error) }),
    );
  },
  generate: ({ id, body }) => generate(id, body),
  stop({ id }) {
    tasks.delete(id);
    waiting.delete(id);
  },
  async check({ id, text }) {
    const found = (await loading).check(text);
    postMessage({ kind: "checked", id, found });
  },
};

addEventListener("message", ({ data }) => {
  Promise.resolve(HANDLERS[data.kind](data)).catch((error) => fail(data.id, error));
});
