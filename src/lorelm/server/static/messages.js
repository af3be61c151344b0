// The lines of the page that say what happened and what went wrong.

import { byId, make } from "./dom.js";
import { ApiError } from "./requests.js";

/** @typedef {import("./api.js").RequestError} RequestError */

/** @param {string} text */
export function showStatus(text) {
  byId("status").textContent = text;
}

/** Show why a request was refused, by the labels of the form. @param {RequestError} error */
export function showError(error) {
  const labels = /** @type {NodeListOf<HTMLLabelElement>} */ (
    document.querySelectorAll("form label")
  );
  const names = new Map([...labels].map((each) => [each.htmlFor, each.textContent]));
  /** @type {(sentence: string) => Node | string} */
  const quoted = (sentence) =>
    error instanceof ApiError ? make("span", { lang: "en", dir: "auto" }, sentence) : sentence;
  const parts = error.fields.flatMap(({ field, message }, i) => [
    `${i ? " " : ""}${names.get(field) ?? field}: `,
    quoted(`${message}.`),
  ]);
  showStatus("");
  byId("error").replaceChildren(...(parts.length ? parts : [quoted(error.message)]));
  byId("error").hidden = false;
}
