// The row of tools for the text as a whole: draft, copy, download, share.

import { docxOf, DOCX_TYPE } from "./docx.js";
import { DraftKeeper } from "./draft_keeper.js";
import { DraftList } from "./draft_list.js";
import { button, byId, make } from "./dom.js";
import { editorContent, keptContent, nameOf } from "./kept_content.js";
import { quoted } from "./messages.js";
import { copyText, fileNameOf, linesOf, markdownOf, saveFile } from "./text_files.js";
import { gettext, pgettext } from "./translate.js";

const formats = () => [
  { label: pgettext("file format", "Text"), extension: "txt" },
  { label: pgettext("file format", "Markdown"), extension: "md" },
  { label: pgettext("file format", "Word"), extension: "docx" },
];

/**
 * @typedef {object} ToolOptions
 * @property {DraftStore | null} store Where drafts are kept; null where none are.
 * @property {boolean} canShare
 * @property {() => string} model Returns what people call the model that writes.
 * @property {() => RegExp | null} cuePattern Returns what finds the names before lines, if any.
 * @property {(text: string) => void} tell Shows what happened.
 * @property {() => void} onReplaced Called when another text is in the editor.
 */

export class Tools {
  #surface;
  #options;
  /** @type {Drafts | null} */
  #drafts = null;
  /** @type {import("./link_list.js").LinkList | null} */
  #links = null;
  /** Need a text. @type {HTMLButtonElement[]} */
  #buttons = [];
  /** @type {HTMLButtonElement | null} */
  #shareButton = null;

  /**
   * @param {HTMLElement} container
   * @param {import("./surface.js").Surface} surface @param {ToolOptions} options
   */
  constructor(container, surface, options) {
    this.#surface = surface;
    this.#options = options;
    if (options.store) {
      this.#drafts = new Drafts(options.store, surface, options);
      container.append(this.#drafts.element);
    }
    const files = formats().map((format) => {
      const save = this.#button(format.label, () => this.#download(format.extension));
      save.setAttribute("aria-label", gettext("Download as %(format)s", { format: format.label }));
      return save;
    });
    container.append(
      this.#button(gettext("Copy"), () => this.#copy()),
      make("span", {}, `${gettext("Download:")} `, ...files),
    );
    if (!options.canShare) return;
    this.#shareButton = button(gettext("Share…"), () => this.#share());
    this.#shareButton.className = "quiet";
    container.append(this.#shareButton);
  }

  /** Show what the text is now. @param {{isBusy: boolean}} options */
  update({ isBusy }) {
    const isEmpty = this.#surface.text === "";
    for (const each of this.#buttons) each.disabled = isBusy || isEmpty;
    if (this.#shareButton) this.#shareButton.disabled = isBusy; // links are revoked there, too
    this.#drafts?.update({ isBusy });
  }

  /** Go on with the draft of this tab after the page was loaded again. */
  resume() {
    this.#drafts?.resume();
  }

  /** Note that the text is not the draft that this tab had. */
  forget() {
    this.#drafts?.forget();
  }

  /** @param {string} text @param {() => void} onClick */
  #button(text, onClick) {
    const element = button(text, onClick);
    element.className = "quiet";
    this.#buttons.push(element);
    return element;
  }

  get #name() {
    return this.#drafts?.name ?? nameOf(this.#surface.text);
  }

  async #copy() {
    const isCopied = await copyText(this.#surface.text);
    this.#options.tell(
      isCopied ? gettext("Copied.") : gettext("The browser does not let the page copy."),
    );
  }

  /** @param {string} extension */
  #download(extension) {
    const { text } = this.#surface;
    const name = fileNameOf(this.#name, extension);
    const lines = () => linesOf(text, this.#options.cuePattern());
    if (extension === "txt") saveFile(text, "text/plain;charset=utf-8", name);
    else if (extension === "md") saveFile(markdownOf(lines()), "text/markdown;charset=utf-8", name);
    else saveFile(docxOf(lines(), this.#name), DOCX_TYPE, name);
    this.#options.tell(gettext("Downloaded as %(name)s.", { name }));
  }

  async #share() {
    const { LinkList } = await import("./link_list.js");
    this.#links ??= new LinkList(() => ({
      name: this.#name,
      ...textOf(this.#surface, this.#options),
    }));
    this.#links.show();
  }
}

/**
 * Return what a draft or a link keeps of the editor; the model only if it has written a part.
 * @param {import("./surface.js").Surface} surface @param {ToolOptions} options
 */
function textOf(surface, options) {
  const content = keptContent(surface.content());
  const hasTokens = content.some((part) => typeof part !== "string");
  return { content, model: hasTokens ? options.model() : "" };
}

/** The name of the draft, and the list of all drafts. */
class Drafts {
  element = make("div", { className: "draft" });
  #surface;
  #options;
  #keeper;
  #list;
  #field = make("input", { id: "draft_name", maxLength: 100, dir: "auto" });
  #save = make("button", { className: "quiet" }, gettext("Save as draft"));
  #all = button(gettext("Drafts…"), () => this.#list.show());
  #state = make("small");
  #isBusy = false;

  /**
   * @param {DraftStore} store @param {import("./surface.js").Surface} surface
   * @param {ToolOptions} options
   */
  constructor(store, surface, options) {
    this.#surface = surface;
    this.#options = options;
    this.#keeper = new DraftKeeper(store, {
      text: () => textOf(surface, options),
      onState: (state) => this.#show(state),
      onFailed: (error) => this.#show(...notSaved(error)),
    });
    this.#list = new DraftList(store, {
      onOpen: (id) => this.#open(id),
      onRenamed: (id, name) => this.#keeper.renamed(id, name),
      onRemoved: (id) => this.#keeper.isCurrent(id) && this.#keeper.forget(),
    });
    this.#field.placeholder = gettext("Name of the draft");
    this.#field.setAttribute("aria-label", this.#field.placeholder);
    // A form of its own: Enter in the field of the page's form would write.
    const form = make("form", { id: "draft_form", hidden: true });
    document.body.append(form);
    for (const each of [this.#field, this.#save]) each.setAttribute("form", form.id);
    this.#all.className = "quiet";
    this.#state.setAttribute("aria-live", "polite");
    this.element.append(this.#field, this.#save, this.#all, this.#state);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#attempt(() => this.#keep());
    });
    this.#field.addEventListener("change", () => {
      if (this.name !== null) this.#attempt(() => this.#keep());
    });
    // Before the page empties the editor: what follows is another text.
    byId("clear").addEventListener("click", () => this.#keeper.leave());
    addEventListener("pagehide", () => this.#keeper.save({ keepalive: true }));
  }

  get name() {
    return this.#keeper.name;
  }

  /** @param {{isBusy: boolean}} options */
  update({ isBusy }) {
    this.#isBusy = isBusy;
    this.#all.disabled = isBusy;
    this.#showControls();
    if (!isBusy) this.#keeper.changed();
  }

  resume() {
    this.#keeper.resume();
  }

  forget() {
    this.#keeper.forget();
  }

  /** Keep the text as a new draft, or rename the one that it is. */
  async #keep() {
    const name = this.#field.value.trim() || nameOf(this.#surface.text);
    if (this.name === null) await this.#keeper.add(name);
    else await this.#keeper.rename(name);
  }

  /** Show a draft in the editor. A text that is no draft yet becomes one first. @param {string} id */
  async #open(id) {
    const { text } = this.#surface;
    const isUnsaved = this.name === null && text.trim() !== "";
    if (isUnsaved) await this.#keeper.add(nameOf(text));
    const kept = isUnsaved
      ? gettext("Your text is kept as the draft “%(name)s”.", { name: this.name ?? "" })
      : "";
    const draft = await this.#keeper.open(id);
    this.#surface.replace(editorContent(draft.content ?? []));
    this.#options.onReplaced();
    return () => {
      this.#surface.moveCaretToEnd();
      this.#options.tell(kept);
    };
  }

  /** @param {() => Promise<void>} action */
  async #attempt(action) {
    try {
      await action();
    } catch (error) {
      this.#state.replaceChildren(...notSaved(/** @type {Error} */ (error)));
    }
  }

  /** @param {(Node | string)[]} state */
  #show(...state) {
    this.#state.replaceChildren(...state);
    if (document.activeElement !== this.#field || this.name === null)
      this.#field.value = this.name ?? "";
    this.#showControls();
  }

  #showControls() {
    this.#save.hidden = this.name !== null;
    this.#save.disabled = this.#isBusy || this.#surface.text.trim() === "";
  }
}

/** @param {Error} error */
function notSaved(error) {
  const place = "\0";
  const [before, after] = gettext("Not saved: %(reason)s", { reason: place }).split(place);
  return [before, quoted(error), after];
}
