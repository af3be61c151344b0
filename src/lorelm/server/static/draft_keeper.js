// The draft that the editor is working on, which is saved by itself. It touches no element.
//
// No text is lost silently: if another tab has saved the draft meanwhile, the text of this one goes
// on as a draft of its own.

import { load, save } from "./dom.js";
import { textOf } from "./kept_content.js";
import { gettext } from "./translate.js";

const SAVE_AFTER_MS = 2000;
const RETRY_AFTER_MS = 15_000; // where no answer came
const KEY = "lorelm.draft";
const NAME_LENGTH = 100;

/** @typedef {{id: string, name: string, version: number, print: string}} CurrentDraft */

export class DraftKeeper {
  /** @type {CurrentDraft | null} */
  #draft = null;
  #store;
  #options;
  #timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  /** @type {Promise<void> | null} */
  #adding = null;
  #numLeft = 0; // how often another text began: a late answer is about the one before
  #last = Promise.resolve(); // requests follow one another, as each names a version

  /**
   * @param {DraftStore} store
   * @param {object} options
   * @param {() => {content: KeptContent, model: string}} options.text The text of the editor now,
   *   and what people call the model that wrote parts of it.
   * @param {(state: string) => void} options.onState Called with a sentence after every change.
   * @param {(error: Error) => void} options.onFailed Called in its place when a text is not saved.
   */
  constructor(store, options) {
    this.#store = store;
    this.#options = options;
  }

  /** The name of the current draft; null if the text is not one. */
  get name() {
    return this.#draft?.name ?? null;
  }

  /** @param {string} id */
  isCurrent(id) {
    return this.#draft?.id === id;
  }

  /** Keep the text as a new draft; a second call meanwhile adds no other. @param {string} name */
  add(name) {
    this.#adding ??= this.#add(name.slice(0, NAME_LENGTH)).finally(() => (this.#adding = null));
    return this.#adding;
  }

  /** @param {string} name */
  async #add(name) {
    const text = this.#options.text();
    const numLeft = this.#numLeft;
    const draft = await this.#store.add({ name, ...text });
    if (numLeft === this.#numLeft) this.#become(draft, text.content, gettext("Saved."));
  }

  /** @param {string} name */
  async rename(name) {
    const draft = this.#draft;
    if (!draft || name === draft.name) return;
    await this.#store.change(draft.id, { name: name.slice(0, NAME_LENGTH) });
    this.renamed(draft.id, name);
  }

  /** Note that a draft has another name. @param {string} id @param {string} name */
  renamed(id, name) {
    if (this.#draft?.id !== id) return;
    this.#draft.name = name;
    this.#report(gettext("Saved."));
  }

  /**
   * Return a draft with its text, which becomes the current one. It fails while the text of the
   * present one cannot be saved, which it would replace.
   * @param {string} id
   */
  async open(id) {
    await this.#adding;
    await this.save();
    const { content } = this.#options.text();
    if (this.#draft && this.#draft.print !== printOf(content) && textOf(content).trim()) {
      throw new Error(
        gettext(
          "The text in the editor could not be saved. Download it, then press Clear, to open another draft.",
        ),
      );
    }
    const draft = await this.#store.open(id);
    this.#become(draft, draft.content ?? [], gettext("Saved."));
    return draft;
  }

  /** Note that the editor has changed. */
  changed() {
    if (!this.#draft) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.save(), SAVE_AFTER_MS);
  }

  /**
   * Save the text as it is now.
   * @param {{keepalive?: boolean}} [options] With `keepalive`, the page is about to go.
   */
  save(options) {
    clearTimeout(this.#timer);
    const draft = this.#draft;
    const text = this.#options.text();
    const request = () => this.#save(draft, text, options);
    if (options?.keepalive) return request(); // there is no later
    this.#last = this.#last.then(request);
    return this.#last;
  }

  /** Save the text and go on without a draft. */
  leave() {
    const saved = this.save();
    this.forget();
    return saved;
  }

  /** Go on without a draft. */
  forget(state = "") {
    clearTimeout(this.#timer);
    this.#numLeft++;
    this.#draft = null;
    save("sessionStorage", KEY, null);
    this.#options.onState(state);
  }

  /** Go on with the draft of this tab after the page was loaded again. */
  resume() {
    this.#draft = load("sessionStorage", KEY);
    if (!this.#draft) return;
    this.#report(gettext("Saved."));
    // What was typed last may not be saved, or the reply did not arrive.
    if (this.#draft.print !== printOf(this.#options.text().content)) this.save();
  }

  /**
   * @param {CurrentDraft | null} draft @param {{content: KeptContent, model: string}} text
   * @param {{keepalive?: boolean}} [options]
   */
  async #save(draft, text, options) {
    const { content } = text;
    // An emptied editor leaves the draft as it was.
    if (!draft || !textOf(content).trim() || draft.print === printOf(content)) return;
    if (draft === this.#draft) this.#report(gettext("Saving…"));
    const { version } = draft;
    try {
      const kept = await this.#store.save(draft.id, { version, ...text }, options);
      draft.version = kept.version;
      draft.print = printOf(content);
      if (draft === this.#draft) this.#report(gettext("Saved."));
    } catch (error) {
      await this.#recover(draft, text, error);
    }
  }

  /**
   * @param {CurrentDraft} draft @param {{content: KeptContent, model: string}} text
   * @param {any} error
   */
  async #recover(draft, text, error) {
    const isCurrent = draft === this.#draft;
    if (error.code === "draft.unknown" && isCurrent) {
      this.forget(
        gettext("This draft was deleted elsewhere. Save the text as a new one to keep it."),
      );
    } else if (error.code === "draft.conflict") {
      await this.#branch(draft, text).catch((failure) => this.#fail(failure));
    } else if (isCurrent) {
      this.#fail(error);
      if (!error.code) this.#timer = setTimeout(() => this.save(), RETRY_AFTER_MS);
    }
  }

  /**
   * Keep a text beside the draft that another tab has changed.
   * @param {CurrentDraft} draft @param {{content: KeptContent, model: string}} text
   */
  async #branch(draft, text) {
    const name = nextName(draft.name);
    const added = await this.#store.add({ name, ...text });
    const state = gettext(
      "“%(draft)s” was changed in another tab: this text continues as “%(copy)s”.",
      { draft: draft.name, copy: name },
    );
    if (draft === this.#draft) this.#become(added, text.content, state);
  }

  /** @param {Draft} draft @param {KeptContent} content @param {string} state */
  #become({ id, name, version }, content, state) {
    this.#draft = { id, name, version, print: printOf(content) };
    this.#report(state);
  }

  /** @param {string} state */
  #report(state) {
    save("sessionStorage", KEY, this.#draft);
    this.#options.onState(state);
  }

  /** @param {Error} error */
  #fail(error) {
    save("sessionStorage", KEY, this.#draft);
    this.#options.onFailed(error);
  }
}

/** Return a short text that differs for different contents. @param {KeptContent} content */
function printOf(content) {
  const text = JSON.stringify(content);
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return `${text.length}.${hash}`;
}

/** Return "Name (2)" for "Name", and "Name (3)" for that. @param {string} name */
export function nextName(name) {
  const [, stem, number] = /^(.*?)(?: \((\d+)\))?$/su.exec(name) ?? [];
  const end = ` (${number ? Number(number) + 1 : 2})`;
  return stem.slice(0, NAME_LENGTH - end.length) + end;
}
