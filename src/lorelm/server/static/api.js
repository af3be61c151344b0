// Asks the server. All addresses are relative, so the page works under any path prefix.

/** Where the page lies. */
export const ROOT = new URL("..", import.meta.url);

/** What the server, or the lack of one, has to say to a person. */
export class Refusal extends Error {}

/** The events of a generation as they come: `{name, data}`. */
export async function* generate(asked, signal) {
  const accept = "text/event-stream"; // some proxies pass on piece by piece only what is asked for so
  const response = await post("api/generate", { ...asked, stream: true }, signal, accept);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let isDone = false;
  while (!isDone) {
    const { value, done } = await reader.read().catch((error) => broken(error, signal));
    if (done) throw new Refusal("The connection broke before the text was finished.");
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const event = parse(part);
      if (event.name === "error") throw new Refusal(`${event.data.message}.`);
      isDone ||= event.name === "done";
      yield event;
    }
  }
}

/**
 * The words of a text that the model does not know: `{unknown_words: [{word, nearest}],
 * num_unknown_words}`; of very many, only the first are named.
 */
export async function unknownWords(text, model, signal) {
  const response = await post("api/check", { text, model }, signal);
  return response.json();
}

async function post(address, body, signal, accept = "application/json") {
  const response = await fetch(new URL(address, ROOT), {
    method: "POST",
    headers: { "Content-Type": "application/json", "Lorelm-Page": "1", Accept: accept },
    body: JSON.stringify(body),
    signal,
  }).catch((error) => broken(error, signal));
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  const { message, field } = answer.error ?? { message: `The server answers ${response.status}` };
  const refusal = new Refusal(`${message}.`);
  refusal.field = field;
  throw refusal;
}

function broken(error, signal) {
  if (signal?.aborted) throw error;
  throw new Refusal("The server does not answer. Does it still run?");
}

function parse(text) {
  const event = { name: "token", data: null };
  for (const line of text.split("\n")) {
    if (line.startsWith("event: ")) event.name = line.slice(7);
    if (line.startsWith("data: ")) event.data = JSON.parse(line.slice(6));
  }
  return event;
}
