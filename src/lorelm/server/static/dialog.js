// A dialog over the page, with a list and a line that says what happened.

import { button, make } from "./dom.js";
import { quoted } from "./messages.js";
import { gettext, shownDate } from "./translate.js";

/** A modal dialog: the browser keeps the focus in it, and Escape closes it. */
export class Dialog {
  element;
  #status = make("p", { className: "note" });

  /**
   * @param {string} id @param {string} title @param {(Node | string)[]} content
   */
  constructor(id, title, ...content) {
    const heading = make("h2", { id: `${id}_title` }, title);
    const close = button(gettext("Close"), () => this.element.close());
    close.className = "quiet";
    this.#status.setAttribute("role", "status");
    const head = make("div", { className: "head" }, heading, close);
    this.element = make("dialog", { id }, head, ...content, this.#status);
    this.element.setAttribute("aria-labelledby", heading.id);
    this.element.addEventListener("click", (event) => {
      if (event.target === this.element) this.element.close(); // beside its content
    });
    document.body.append(this.element);
  }

  /** @param {HTMLElement} first Gets the focus. */
  show(first) {
    this.say("");
    this.element.showModal();
    first.focus();
  }

  close() {
    this.element.close();
  }

  /** Say what happened. @param {Node | string} text @param {Node[]} more Such as a button. */
  say(text, ...more) {
    this.#status.replaceChildren(text, ...more);
  }

  /** Run an action; say why it failed. @param {() => Promise<void>} action */
  async attempt(action) {
    try {
      await action();
    } catch (error) {
      this.say(quoted(/** @type {Error} */ (error)));
    }
  }
}

/** Return a time as the language of the page writes it. @param {string} iso */
export function shownTime(iso) {
  return make("time", { dateTime: iso }, shownDate(iso));
}
