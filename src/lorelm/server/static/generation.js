// The state of a generation: idle -> waiting -> streaming -> idle. It touches no element.

import { gettext, listed, ngettext } from "./translate.js";

/** Runs one request, or several side by side. */
export class Generation {
  /** @type {"idle" | "waiting" | "streaming"} */
  state = "idle";
  #generate;
  #controller = new AbortController();

  /** @param {(body: RequestBody, signal: AbortSignal) => AsyncIterable<ApiEvent>} generate */
  constructor(generate) {
    this.#generate = generate;
  }

  get isIdle() {
    return this.state === "idle";
  }

  /**
   * Run requests and pass their tokens to the sinks, one list of sinks per request.
   *
   * If one request fails, the others are stopped and its error is thrown. A generation that was
   * stopped is no failure.
   * @param {RequestBody[]} requests @param {SampleSink[][]} sinks @param {() => void} onFirstToken
   * @param {(request: number, result: Result) => void} [onEnd] Called when a request ends.
   */
  async run(requests, sinks, onFirstToken, onEnd) {
    if (!this.isIdle) throw new Error("a generation is running");
    this.state = "waiting";
    this.#controller = new AbortController();
    const controller = this.#controller;
    const ends = await Promise.allSettled(
      requests.map(async (request, i) => {
        try {
          const result = await this.#follow(request, sinks[i], onFirstToken);
          onEnd?.(i, result);
          return result;
        } catch (error) {
          controller.abort();
          throw error;
        }
      }),
    );
    this.state = "idle";
    return ends.map((end) => {
      if (end.status === "rejected") throw end.reason;
      return end.value;
    });
  }

  /** Stop the requests; what has arrived stays. */
  stop() {
    this.#controller.abort();
  }

  /**
   * @param {RequestBody} request @param {SampleSink[]} sinks @param {() => void} onFirstToken
   * @returns {Promise<Result>}
   */
  async #follow(request, sinks, onFirstToken) {
    const { signal } = this.#controller;
    /** @type {Result} */
    const result = { seed: NaN, samples: [] };
    try {
      for await (const { name, data } of this.#generate(request, signal)) {
        if (name === "start") result.seed = data.seeds[0];
        if (name === "tokens") {
          if (this.state === "waiting") {
            this.state = "streaming";
            onFirstToken();
          }
          for (const token of data.tokens) sinks[data.sample].add(token);
        }
        if (name === "sample") {
          sinks[data.sample].end(data);
          result.samples[data.sample] = data;
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return result;
  }
}

/**
 * Describe how a sample ended.
 * @param {SampleEnd | undefined} sample Undefined where it was stopped. @param {number} numTokens
 * @param {number} seed
 */
export function describeEnd(sample, numTokens, seed) {
  const count = ngettext("%(n)s token, seed %(seed)s.", "%(n)s tokens, seed %(seed)s.", numTokens, {
    seed,
  });
  if (!sample) return numTokens ? gettext("Stopped: %(count)s", { count }) : gettext("Stopped.");
  const notes = [count];
  if (sample.finish_reason === "eos")
    notes[0] = gettext("The model ended here: %(count)s", { count });
  if (sample.finish_reason === "stop")
    notes[0] = gettext("The line ends here: %(count)s", { count });
  if (sample.finish_reason === "timeout") notes.push(gettext("The time limit was reached."));
  const missing = sample.missing_words ?? [];
  if (missing.length)
    notes.push(gettext("These words found no place: %(words)s.", { words: listed(missing) }));
  return notes.join(" ");
}
