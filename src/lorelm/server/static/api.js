// Client of the JSON API. Addresses are relative to this file, so any path prefix works. In an
// exported site, export/static/api.js takes its place.

import { ApiError, RequestError } from "./requests.js";
import { gettext } from "./translate.js";

export { promptOf, RequestError } from "./requests.js";

/** The address of the page. */
export const ROOT = new URL("..", import.meta.url);

/**
 * Yield the events of a generation as they arrive.
 * @param {RequestBody} body @param {AbortSignal} signal
 */
export async function* generate(body, signal) {
  // Some proxies stream a response only when the request asks for events.
  const accept = "text/event-stream";
  const options = { body: { ...body, stream: true }, signal, accept };
  const response = await send("POST", "api/generate", options);
  if (!response.body) throw new RequestError(gettext("The server sent an empty response."));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let isDone = false;
  while (!isDone) {
    const { value, done } = await reader.read().catch((error) => rethrow(error, signal));
    if (done) throw new RequestError(gettext("The connection broke before the text was finished."));
    const parts = (rest + value).split("\n\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const event = parseEvent(part);
      if (event.name === "error") throw new ApiError(`${event.data.message}.`);
      isDone ||= event.name === "done";
      yield event;
    }
  }
}

/**
 * Return the words of a text that are not in the vocabulary; of very many, only the first.
 * @param {string} text @param {string | undefined} model @param {AbortSignal} signal
 * @returns {Promise<UnknownWordList>}
 */
export async function checkWords(text, model, signal) {
  const response = await send("POST", "api/check", { body: { text, model }, signal });
  return response.json();
}

/**
 * Send a request to the API; return a successful response.
 * @param {string} method @param {string} path
 * @param {object} [options]
 * @param {RequestBody} [options.body] @param {AbortSignal} [options.signal]
 * @param {string} [options.accept]
 * @param {boolean} [options.keepalive] Whether it outlives the page; the body has at most 64 kB.
 */
export async function send(method, path, options = {}) {
  const { body, signal, accept = "application/json", keepalive } = options;
  const response = await fetch(new URL(path, ROOT), {
    method,
    headers: { "Content-Type": "application/json", "Lorelm-Page": "1", Accept: accept },
    body: body && JSON.stringify(body),
    signal,
    keepalive,
  }).catch((error) => rethrow(error, signal));
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  if (!answer.error) {
    const message = gettext("The server answers %(status)s", { status: response.status });
    throw new RequestError(`${message}.`);
  }
  throw new ApiError(`${answer.error.message}.`, answer.error.fields, answer.error.code);
}

/** @param {unknown} error @param {AbortSignal} [signal] @returns {never} */
function rethrow(error, signal) {
  if (signal?.aborted) throw error;
  throw new RequestError(gettext("The server does not answer. Is it still running?"));
}

/**
 * Parse one server-sent event; one without a name has tokens.
 * @param {string} text @returns {ApiEvent}
 */
export function parseEvent(text) {
  const event = { name: "tokens", data: null };
  for (const line of text.split("\n")) {
    if (line.startsWith("event: ")) event.name = line.slice(7);
    if (line.startsWith("data: ")) event.data = JSON.parse(line.slice(6));
  }
  return event;
}
