// The lines of the page that say what happened and what went wrong.

import { byId } from "./dom.js";

/** @typedef {import("./api.js").RequestError} RequestError */

/** @param {string} text */
export function showStatus(text) {
  byId("status").textContent = text;
}

/** Show why a request was refused, by the labels of the form. @param {RequestError} error */
export function showError({ message, fields }) {
  const labels = /** @type {NodeListOf<HTMLLabelElement>} */ (
    document.querySelectorAll("form label")
  );
  const names = new Map([...labels].map((each) => [each.htmlFor, each.textContent]));
  const parts = fields.map((each) => `${names.get(each.field) ?? each.field}: ${each.message}.`);
  showStatus("");
  byId("error").textContent = parts.join(" ") || message;
  byId("error").hidden = false;
}
