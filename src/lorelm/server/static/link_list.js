// Links to texts that everybody who has one can read: make, copy, revoke.

import { ROOT, send } from "./api.js";
import { Dialog, shownTime } from "./dialog.js";
import { button, load, make, save } from "./dom.js";
import { copyText } from "./text_files.js";

const KEY = "lorelm.links"; // the server keeps no addresses: the browser that made them does

export class LinkList {
  #text;
  #list = make("ul", { className: "drafts" });
  #add = button("Make a link to this text", () => this.#dialog.attempt(() => this.#make()));
  #dialog;

  /** @param {() => NewDraft} text Returns the text of the editor, with its name. */
  constructor(text) {
    this.#text = text;
    const note = make(
      "p",
      { className: "note" },
      "Everybody who has the link can read the text as it is now, until you revoke the link here. " +
        "Deleting a draft does not revoke its links.",
    );
    this.#dialog = new Dialog("links", "Share by a link", note, this.#add, this.#list);
  }

  show() {
    this.#dialog.show(this.#add);
    return this.#dialog.attempt(async () => {
      const reply = await send("GET", "api/links");
      /** @type {{links: SharedLink[]}} */
      const { links } = await reply.json();
      this.#list.replaceChildren(...links.map((link) => this.#item(link)));
    });
  }

  async #make() {
    const { name, content, model } = this.#text();
    if (!content.length) {
      this.#dialog.say("There is no text yet.");
      return;
    }
    const reply = await send("POST", "api/links", { body: { name, content, model } });
    /** @type {SharedLink} */
    const link = await reply.json();
    save("localStorage", KEY, { ...load("localStorage", KEY), [link.id]: link.path });
    this.#list.prepend(this.#item(link));
    await this.#copy(/** @type {string} */ (link.path));
  }

  /** @param {string} path */
  async #copy(path) {
    const isCopied = await copyText(new URL(path, ROOT).href);
    this.#dialog.say(isCopied ? "The link is copied." : "Copy the link from its field.");
  }

  /** @param {SharedLink} link */
  #item(link) {
    const { id, name } = link;
    const path = link.path ?? load("localStorage", KEY)?.[id];
    const item = make("li", {}, make("strong", {}, name), make("span", {}, link.excerpt));
    const row = make("div", {}, make("small", {}, shownTime(link.created_at)));
    if (path) {
      const field = make("input", { value: new URL(path, ROOT).href, readOnly: true });
      field.setAttribute("aria-label", `Link to ${name}`);
      field.addEventListener("focus", () => field.select());
      item.append(field);
      row.append(quiet("Copy link", name, () => this.#copy(path)));
    }
    row.append(quiet("Revoke", name, () => this.#dialog.attempt(() => this.#revoke(item, link))));
    item.append(row);
    return item;
  }

  /** @param {HTMLElement} item @param {SharedLink} link */
  async #revoke(item, { id, name }) {
    await send("DELETE", `api/links/${id}`);
    const paths = load("localStorage", KEY) ?? {};
    delete paths[id];
    save("localStorage", KEY, paths);
    item.remove();
    this.#dialog.say(`The link to “${name}” is revoked: it leads nowhere now.`);
    this.#add.focus();
  }
}

/** @param {string} text @param {string} name @param {() => void} onClick */
function quiet(text, name, onClick) {
  const element = button(text, onClick);
  element.className = "quiet";
  element.setAttribute("aria-label", `${text}: ${name}`);
  return element;
}
