// Links to texts that everybody who has one can read: make, copy, revoke.

import { ROOT, send } from "./api.js";
import { Dialog, shownTime } from "./dialog.js";
import { button, load, make, save } from "./dom.js";
import { copyText } from "./text_files.js";
import { gettext } from "./translate.js";

const KEY = "lorelm.links"; // the server keeps no addresses: the browser that made them does

export class LinkList {
  #text;
  #list = make("ul", { className: "drafts" });
  #add = button(gettext("Make a link to this text"), () =>
    this.#dialog.attempt(() => this.#make()),
  );
  #dialog;

  /** @param {() => NewDraft} text Returns the text of the editor, with its name. */
  constructor(text) {
    this.#text = text;
    const note = make(
      "p",
      { className: "note" },
      gettext(
        "Anyone who has the link can read the text as it is now, until you revoke the link here. Deleting a draft does not revoke its links.",
      ),
    );
    this.#dialog = new Dialog("links", gettext("Share by a link"), note, this.#add, this.#list);
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
      this.#dialog.say(gettext("There is no text yet."));
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
    this.#dialog.say(
      isCopied ? gettext("The link is copied.") : gettext("Copy the link from its field."),
    );
  }

  /** @param {SharedLink} link */
  #item(link) {
    const { id, name } = link;
    const path = link.path ?? load("localStorage", KEY)?.[id];
    const item = make(
      "li",
      {},
      make("strong", { dir: "auto" }, name),
      make("span", { dir: "auto", lang: "" }, link.excerpt),
    );
    const row = make("div", {}, make("small", {}, shownTime(link.created_at)));
    if (path) {
      const field = make("input", { value: new URL(path, ROOT).href, readOnly: true, dir: "ltr" });
      field.setAttribute("aria-label", gettext("Link to %(name)s", { name }));
      field.addEventListener("focus", () => field.select());
      item.append(field);
      const label = gettext("Copy link: %(name)s", { name });
      row.append(quiet(gettext("Copy link"), label, () => this.#copy(path)));
    }
    const revoke = () => this.#dialog.attempt(() => this.#revoke(item, link));
    row.append(quiet(gettext("Revoke"), gettext("Revoke: %(name)s", { name }), revoke));
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
    this.#dialog.say(gettext("The link to “%(name)s” is revoked: it no longer works.", { name }));
    this.#add.focus();
  }
}

/** @param {string} text @param {string} label @param {() => void} onClick */
function quiet(text, label, onClick) {
  const element = button(text, onClick);
  element.className = "quiet";
  element.setAttribute("aria-label", label);
  return element;
}
