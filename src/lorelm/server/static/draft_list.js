// The list of drafts: search, open, rename, star, delete.

import { Dialog, shownTime } from "./dialog.js";
import { button, make } from "./dom.js";
import { gettext } from "./translate.js";

const SEARCH_AFTER_MS = 250;

export class DraftList {
  #store;
  #options;
  #list = make("ul", { className: "drafts" });
  #search = make("input", { type: "search", id: "draft_search", dir: "auto" });
  #more = button(gettext("More"), () => this.#dialog.attempt(() => this.#load()));
  #dialog;
  #timer = 0;
  /** Where the next page begins. @type {string | null} */
  #next = null;
  #query = 0; // counts the searches: a late answer to an earlier one is left out

  /**
   * @param {DraftStore} store
   * @param {object} options
   * @param {(id: string) => Promise<() => void>} options.onOpen Called when one is chosen; returns
   *   what is to be done when the list is closed.
   * @param {(id: string, name: string) => void} options.onRenamed
   * @param {(id: string) => void} options.onRemoved
   */
  constructor(store, options) {
    this.#store = store;
    this.#options = options;
    const label = make("label", { htmlFor: this.#search.id }, gettext("Search names and texts"));
    const place = make("p", { className: "note" }, store.place);
    this.#more.className = "quiet";
    const content = [place, label, this.#search, this.#list, this.#more];
    this.#dialog = new Dialog("drafts", gettext("Your drafts"), ...content);
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#dialog.attempt(() => this.#reload()), SEARCH_AFTER_MS);
    });
  }

  show() {
    this.#search.value = "";
    this.#dialog.show(this.#search);
    return this.#dialog.attempt(() => this.#reload());
  }

  async #reload() {
    this.#next = null;
    await this.#load();
  }

  /** Show the next page; the first one takes the place of all. */
  async #load() {
    const query = ++this.#query;
    const after = this.#next;
    const page = await this.#store.list({ search: this.#search.value.trim(), after });
    if (query !== this.#query) return;
    if (after === null) this.#list.replaceChildren();
    const items = page.drafts.map((draft) => this.#item(draft));
    this.#list.append(...items);
    if (after !== null) items[0]?.querySelector("button")?.focus();
    this.#next = page.next;
    this.#more.hidden = page.next === null;
    if (!this.#list.childElementCount) this.#sayEmpty();
    else if (after === null) this.#dialog.say("");
  }

  #sayEmpty() {
    const isSearch = this.#search.value.trim() !== "";
    this.#dialog.say(
      isSearch ? gettext("No draft contains this.") : gettext("No drafts yet: save a text as one."),
    );
  }

  /** @param {Draft} draft */
  #item(draft) {
    const item = make("li");
    const name = make("strong", { dir: "auto" }, draft.name);
    const open = button("", () => this.#dialog.attempt(() => this.#open(draft)));
    open.className = "open";
    open.append(name, make("span", { dir: "auto", lang: "" }, draft.excerpt));
    const facts = make("small", {}, shownTime(draft.changed_at));
    if (draft.model) facts.append(" · ", make("bdi", {}, draft.model));
    const { name: called } = draft;
    const rename = quiet(gettext("Rename"), () => this.#rename(item, draft));
    rename.setAttribute("aria-label", gettext("Rename %(name)s", { name: called }));
    const remove = quiet(gettext("Delete"), () => this.#remove(item, draft));
    remove.setAttribute("aria-label", gettext("Delete %(name)s", { name: called }));
    item.append(this.#star(draft), open, make("div", {}, facts, rename, remove));
    return item;
  }

  /** @param {Draft} draft */
  #star(draft) {
    const star = button("", () =>
      this.#dialog.attempt(async () => {
        await this.#store.change(draft.id, { starred: !draft.starred });
        draft.starred = !draft.starred;
        show();
      }),
    );
    const show = () => {
      star.textContent = draft.starred ? "★" : "☆";
      star.setAttribute("aria-pressed", String(draft.starred));
    };
    star.className = "star";
    star.setAttribute("aria-label", gettext("Star %(name)s", { name: draft.name }));
    show();
    return star;
  }

  /** @param {Draft} draft */
  async #open(draft) {
    const show = await this.#options.onOpen(draft.id);
    this.#dialog.close(); // while it is open, the editor cannot have the focus
    show();
  }

  /**
   * Put a field for the new name in the place of the draft.
   * @param {HTMLElement} item @param {Draft} draft
   */
  #rename(item, draft) {
    const properties = { value: draft.name, maxLength: 100, required: true, dir: "auto" };
    const field = make("input", properties);
    field.setAttribute("aria-label", gettext("New name of %(name)s", { name: draft.name }));
    const form = make("form", { method: "dialog" }, field, make("button", {}, gettext("Rename")));
    const restore = () => {
      const renamed = this.#item(draft);
      item.replaceWith(renamed);
      renamed.querySelector("button")?.focus();
    };
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault(); // it would close the dialog
      restore();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#dialog.attempt(async () => {
        const { name } = await this.#store.change(draft.id, { name: field.value.trim() });
        draft.name = name;
        this.#options.onRenamed(draft.id, name);
        restore();
      });
    });
    item.replaceChildren(form);
    field.select();
  }

  /** @param {HTMLElement} item @param {Draft} draft */
  #remove(item, draft) {
    return this.#dialog.attempt(async () => {
      const { name, starred, model, content } = await this.#store.remove(draft.id);
      this.#options.onRemoved(draft.id);
      item.remove();
      const undo = quiet(gettext("Undo"), () =>
        this.#dialog.attempt(async () => {
          await this.#store.add({ name, starred, model, content: content ?? [] });
          await this.#reload();
          this.#search.focus();
        }),
      );
      this.#dialog.say(`${gettext("“%(name)s” is deleted.", { name })} `, undo);
      undo.focus();
    });
  }
}

/** @param {string} text @param {() => void} onClick */
function quiet(text, onClick) {
  const element = button(text, onClick);
  element.className = "quiet";
  return element;
}
