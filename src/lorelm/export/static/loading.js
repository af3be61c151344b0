// The line that says how far the model is loaded.

import { byId, make } from "./dom.js";

export class Loading {
  #line = byId("loading");
  #bar;
  #note = make("span");

  /** @param {number} numBytes Of the file of the model. */
  constructor(numBytes) {
    this.#bar = make("progress", { max: numBytes, value: 0, id: "progress" });
    this.#bar.setAttribute("aria-label", "Loading the model");
    this.#line.replaceChildren(this.#bar, this.#note);
    this.show(0);
  }

  /** @param {number} numBytes That have arrived; more than expected where a server unpacks them. */
  show(numBytes) {
    const { max } = this.#bar;
    this.#bar.value = Math.min(numBytes, max);
    const parts = [this.#bar.value, max].map((each) => (each / 1e6).toFixed(1));
    this.#note.textContent =
      numBytes < max
        ? ` The model is loading: ${parts.join(" of ")} MB. You can begin to type.`
        : " The model is starting.";
  }

  end() {
    this.#line.remove();
  }

  /** Say what went wrong; return the sentence. @param {string} cause */
  fail(cause) {
    const message =
      "The model cannot be loaded. Reload the page; if that does not help, use a newer browser " +
      `(${cause}).`;
    this.#line.replaceChildren(message);
    this.#line.className = "error";
    return message;
  }
}
