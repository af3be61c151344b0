// The line that says how far the model is loaded.

import { byId, make } from "./dom.js";
import { gettext, shownNumber } from "./translate.js";

export class Loading {
  #line = byId("loading");
  #bar;
  #note = make("span");

  /** @param {number} numBytes Of the file of the model. */
  constructor(numBytes) {
    this.#bar = make("progress", { max: numBytes, value: 0, id: "progress" });
    this.#bar.setAttribute("aria-label", gettext("Loading the model"));
    this.#line.replaceChildren(this.#bar, this.#note);
    this.show(0);
  }

  /** @param {number} numBytes That have arrived; more than expected where a server unpacks them. */
  show(numBytes) {
    const { max } = this.#bar;
    this.#bar.value = Math.min(numBytes, max);
    const digits = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
    const [loaded, all] = [this.#bar.value, max].map((each) => shownNumber(each / 1e6, digits));
    this.#note.textContent =
      numBytes < max
        ? gettext("The model is loading: %(loaded)s of %(all)s MB. You can begin to type.", {
            ...{ loaded, all },
          })
        : gettext("The model is starting.");
  }

  end() {
    this.#line.remove();
  }

  /** Say what went wrong; return the sentence. @param {string} cause In English. */
  fail(cause) {
    const place = "\0";
    const [before, after] = gettext(
      "The model cannot be loaded. Reload the page; if that does not help, use a newer browser (%(cause)s).",
      { cause: place },
    ).split(place);
    this.#line.replaceChildren(before, make("span", { lang: "en", dir: "auto" }, cause), after);
    this.#line.className = "error";
    return before + cause + after;
  }
}
