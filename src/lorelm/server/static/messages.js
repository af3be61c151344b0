// The lines of the page that say what happened and what went wrong.

import { byId, make } from "./dom.js";
import { ApiError } from "./requests.js";

/** @typedef {import("./api.js").RequestError} RequestError */

/**
 * Return a sentence of an error as the page shows it: one of the API says that it is English.
 * @param {Error} error @param {string} [sentence] @returns {Node | string}
 */
export function quoted(error, sentence = error.message) {
  const isEnglish = error instanceof ApiError;
  return isEnglish ? make("span", { lang: "en", dir: "auto" }, sentence) : sentence;
}

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
  const parts = error.fields.flatMap(({ field, message }, i) => [
    `${i ? " " : ""}${names.get(field) ?? field}: `,
    quoted(error, `${message}.`),
  ]);
  showStatus("");
  byId("error").replaceChildren(...(parts.length ? parts : [quoted(error)]));
  byId("error").hidden = false;
}
