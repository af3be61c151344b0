// Drafts that the server keeps.

import { send } from "./api.js";
import { textOf } from "./kept_content.js";
import { gettext } from "./translate.js";

const OTHER_FIELDS_BYTES = 2000;

/** @implements {DraftStore} */
export class ServerDrafts {
  place = gettext(
    "Kept on the server. Only this browser and the operator of the server can read them.",
  );
  #maxBytes;

  /** @param {number} maxBytes The longest request that the server reads. */
  constructor(maxBytes) {
    this.#maxBytes = maxBytes;
  }

  /** @param {{search?: string, after?: string | null}} query @returns {Promise<DraftList>} */
  list({ search, after }) {
    const query = new URLSearchParams({ q: search ?? "", after: after ?? "" });
    return this.#ask("GET", `?${query}`);
  }

  /** @param {string} id @returns {Promise<Draft>} */
  open(id) {
    return this.#ask("GET", `/${id}`);
  }

  /** @param {NewDraft} draft @returns {Promise<Draft>} */
  add(draft) {
    return this.#ask("POST", "", this.#shortened(draft));
  }

  /**
   * @param {string} id @param {DraftSave} save @param {{keepalive?: boolean}} [options]
   * @returns {Promise<Draft>}
   */
  save(id, save, options) {
    return this.#ask("PUT", `/${id}`, this.#shortened(save), options);
  }

  /**
   * @param {string} id @param {{name?: string, starred?: boolean}} change
   * @returns {Promise<Draft>}
   */
  change(id, change) {
    return this.#ask("PATCH", `/${id}`, change);
  }

  /** @param {string} id @returns {Promise<Draft>} */
  remove(id) {
    return this.#ask("DELETE", `/${id}`);
  }

  /**
   * @param {string} method @param {string} path @param {RequestBody} [body]
   * @param {{keepalive?: boolean}} [options]
   */
  async #ask(method, path, body, options) {
    const response = await send(method, `api/drafts${path}`, { body, ...options });
    return response.json();
  }

  /**
   * Leave out the tints of a text that would be too long with them.
   * @template {{content: KeptContent}} T @param {T} body
   */
  #shortened(body) {
    const bytes = new TextEncoder().encode(JSON.stringify(body.content)).length;
    const isShort = bytes + OTHER_FIELDS_BYTES <= this.#maxBytes;
    return isShort ? body : { ...body, content: [textOf(body.content)] };
  }
}
