// The transport of an exported page: what the server's api.js asks the server, this one asks the
// model in a worker. Its messages have a `kind`; those of one request have its `id`.

import { pageData } from "./dom.js";
import { Loading } from "./loading.js";
import { ApiError, RequestError } from "./requests.js";

export { promptOf, RequestError } from "./requests.js";

/** The address of the page. */
export const ROOT = new URL(".", import.meta.url);

/** @type {Map<number, (message: any) => void>} */
const listeners = new Map();
let lastId = 0;
let failure = "";

const worker = start();

/**
 * Yield the events of a generation as they arrive.
 * @param {RequestBody} body @param {AbortSignal} signal
 */
export async function* generate(body, signal) {
  const id = ++lastId;
  /** @type {ApiEvent[]} */
  let events = [];
  /** @type {RequestError | null} */
  let error = null;
  let wake = () => {};
  signal.addEventListener("abort", () => wake());
  listeners.set(id, (message) => {
    if (message.kind === "error") error = new ApiError(message.message, message.fields);
    else if (message.kind === "failed") error = new RequestError(failure);
    else events.push(...message.events);
    wake();
  });
  try {
    if (failure) throw new RequestError(failure);
    worker.postMessage({ kind: "generate", id, body });
    for (;;) {
      if (signal.aborted) throw signal.reason;
      if (error) throw error;
      if (!events.length) await new Promise((resolve) => (wake = () => resolve(undefined)));
      const arrived = events;
      events = [];
      yield* arrived;
      if (arrived.at(-1)?.name === "done") return;
    }
  } finally {
    listeners.delete(id);
    worker.postMessage({ kind: "stop", id });
  }
}

/**
 * Return the words of a text that are not in the vocabulary; of very many, only the first.
 * @param {string} text @param {string | undefined} _model @param {AbortSignal} signal
 * @returns {Promise<UnknownWordList>}
 */
export function checkWords(text, _model, signal) {
  const id = ++lastId;
  return new Promise((resolve, reject) => {
    const end = (/** @type {() => void} */ settle) => {
      listeners.delete(id);
      settle();
    };
    signal.addEventListener("abort", () => end(() => reject(signal.reason)));
    listeners.set(id, (message) => {
      const isFound = message.kind === "checked";
      end(() => (isFound ? resolve(message.found) : reject(new RequestError(failure))));
    });
    worker.postMessage({ kind: "check", id, text });
  });
}

/** Start the worker, and load the model. */
function start() {
  const site = /** @type {SiteData} */ (pageData().site);
  const loading = new Loading(site.num_bytes);
  const started = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const fail = (/** @type {string} */ message) => {
    failure = loading.fail(message);
    for (const [id, listener] of listeners) listener({ kind: "failed", id });
  };
  started.addEventListener("error", ({ message }) => fail(message));
  started.addEventListener("message", ({ data }) => {
    if (data.kind === "progress") loading.show(data.numBytes);
    else if (data.kind === "ready") loading.end();
    else if (data.kind === "failed") fail(data.message);
    else listeners.get(data.id)?.(data);
  });
  const addressOf = (/** @type {string | null} */ name) => name && String(new URL(name, ROOT));
  started.postMessage({
    kind: "load",
    model: addressOf(site.model),
    copies: addressOf(site.copies),
  });
  stayOpenable();
  return started;
}

/** Let the page be opened again without the network. */
async function stayOpenable() {
  try {
    await navigator.serviceWorker.register(new URL("offline.js", ROOT));
  } catch {
    // On a page without https, or in a frame, there may be none: it needs the network then.
  }
}
