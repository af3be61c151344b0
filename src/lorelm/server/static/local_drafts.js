// Drafts that the browser keeps, where no server does.

import { RequestError } from "./api.js";
import { textOf } from "./kept_content.js";
import { gettext } from "./translate.js";

const PREFIX = "lorelm.draft.";
const PAGE = 20;
const EXCERPT_LENGTH = 160;

/** @implements {DraftStore} */
export class LocalDrafts {
  place = gettext("Kept in this browser only: they are lost when its data is deleted.");

  /** @param {{search?: string, after?: string | null}} query @returns {Promise<DraftList>} */
  async list({ search = "", after }) {
    const wanted = search.toLowerCase();
    const found = this.#all()
      .filter((each) => searched(each).includes(wanted))
      .sort((one, other) => (placeOf(one) < placeOf(other) ? 1 : -1))
      .filter((each) => !after || placeOf(each) < after);
    const drafts = found.slice(0, PAGE).map((each) => ({ ...each, content: null }));
    return { drafts, next: found.length > PAGE ? placeOf(found[PAGE - 1]) : null };
  }

  /** @param {string} id @returns {Promise<Draft>} */
  async open(id) {
    const text = this.#storage.getItem(PREFIX + id);
    if (text === null)
      throw new RequestError(gettext("This draft was deleted."), [], "draft.unknown");
    return JSON.parse(text);
  }

  /** @param {NewDraft} draft @returns {Promise<Draft>} */
  async add({ name, content, model, starred = false }) {
    const now = new Date().toISOString();
    const times = { created_at: now, changed_at: now };
    const excerpt = excerptOf(content);
    const draft = { id: newId(), name, starred, version: 1, ...times, model, excerpt, content };
    this.#write(draft);
    return draft;
  }

  /** @param {string} id @param {DraftSave} save @returns {Promise<Draft>} */
  async save(id, { version, content, model }) {
    const kept = await this.open(id);
    if (JSON.stringify(kept.content) === JSON.stringify(content)) return kept;
    if (kept.version !== version) {
      const message = gettext("It was saved in another tab meanwhile.");
      throw new RequestError(message, [], "draft.conflict");
    }
    const times = { changed_at: new Date().toISOString(), version: version + 1 };
    const draft = { ...kept, ...times, content, model, excerpt: excerptOf(content) };
    this.#write(draft);
    return draft;
  }

  /**
   * @param {string} id @param {{name?: string, starred?: boolean}} change
   * @returns {Promise<Draft>}
   */
  async change(id, change) {
    const draft = { ...(await this.open(id)), ...change };
    this.#write(draft);
    return draft;
  }

  /** @param {string} id @returns {Promise<Draft>} */
  async remove(id) {
    const draft = await this.open(id);
    this.#storage.removeItem(PREFIX + id);
    return draft;
  }

  /** @returns {Storage} */
  get #storage() {
    try {
      return globalThis.localStorage;
    } catch {
      const message = gettext("This browser keeps nothing for this page.");
      throw new RequestError(message, [], "draft.no_storage");
    }
  }

  /** @returns {Draft[]} */
  #all() {
    const storage = this.#storage;
    const keys = Array.from({ length: storage.length }, (_, i) => storage.key(i) ?? "");
    const texts = keys.filter((key) => key.startsWith(PREFIX)).map((key) => storage.getItem(key));
    return texts.map((text) => JSON.parse(text ?? ""));
  }

  /** @param {Draft} draft */
  #write(draft) {
    try {
      this.#storage.setItem(PREFIX + draft.id, JSON.stringify(draft));
    } catch (error) {
      if (error instanceof RequestError) throw error;
      const message = gettext(
        "The browser has no more room for drafts: delete drafts that you no longer need, or download this text.",
      );
      throw new RequestError(message, [], "draft.no_room");
    }
  }
}

/** Sorts drafts: starred ones and the last changed have the highest. @param {Draft} draft */
function placeOf({ id, starred, changed_at: changedAt }) {
  return `${Number(starred)}.${changedAt}.${id}`;
}

/** @param {Draft} draft */
function searched({ name, content }) {
  return `${name}\n${textOf(content ?? [])}`.toLowerCase();
}

/** @param {KeptContent} content */
function excerptOf(content) {
  const line = textOf(content).replace(/\s+/g, " ").trim();
  return line.length > EXCERPT_LENGTH ? `${line.slice(0, EXCERPT_LENGTH - 1)}…` : line;
}

/** crypto.randomUUID() is missing on pages of plain HTTP. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
