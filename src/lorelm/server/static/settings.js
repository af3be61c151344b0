// The settings of the form: what they ask the server for, and how the browser keeps them.

import { byId, load, save } from "./dom.js";
import { gettext, shownNumber } from "./translate.js";

const KEY = "lorelm.settings";
const SPEAKER = "next_speaker"; // is in the prompt that `common` has
const SECOND = "_b"; // ends the names of the fields of the second request of a comparison

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} FormControl */

/** The form's settings, kept in the browser for all tabs. */
export class Settings {
  #form;
  #onModel;

  /**
   * @param {HTMLFormElement} form
   * @param {(model: string | undefined) => void} onModel Called when the model may be another.
   */
  constructor(form, onModel) {
    this.#form = form;
    this.#onModel = onModel;
    form.addEventListener("input", () => this.#showShare());
  }

  /** The chosen model; undefined where the server has only one. */
  get model() {
    return this.fields.find((field) => field.name === "model")?.value;
  }

  /** The fields of the form that have a name. */
  get fields() {
    const elements = /** @type {FormControl[]} */ ([...this.#form.elements]);
    return elements.filter((element) => element.name);
  }

  save() {
    const values = this.fields
      .filter((field) => field.validity.valid)
      .map((field) => [field.name, isCheckbox(field) ? field.checked : field.value]);
    save("localStorage", KEY, { ...load("localStorage", KEY), ...Object.fromEntries(values) });
    this.#showModel();
  }

  restore() {
    const values = load("localStorage", KEY) ?? {};
    const fields = this.fields;
    const model = fields.find((field) => field.name === "model");
    if (model) fill(model, values);
    this.#showModel(); // the speakers of the model are the options of another field
    for (const field of fields) fill(field, values);
    const compare = byId("compare", HTMLInputElement);
    const details = compare.closest("details");
    const memory = this.fields.find((field) => field.name === "memory");
    if (details && (compare.checked || memory?.value)) details.open = true;
    this.#showShare();
  }

  reset() {
    for (const field of this.fields) {
      if (isCheckbox(field)) field.checked = false;
      else if (!(field instanceof HTMLSelectElement)) field.value = field.dataset.default ?? "";
    }
    this.#showShare();
    this.save();
  }

  /** Show the number that the slider of the blend stands at. */
  #showShare() {
    const slider = this.fields.find((field) => field.name === "blend_share");
    if (slider)
      byId("shown_share").textContent = shownNumber(Number(slider.value), { style: "percent" });
  }

  /** Show the facts and the speakers of the chosen model only. */
  #showModel() {
    this.#onModel(this.model);
    for (const facts of document.querySelectorAll("[data-model]")) {
      if (facts instanceof HTMLElement)
        facts.hidden = this.model !== undefined && facts.dataset.model !== this.model;
    }
  }
}

/**
 * Return one request, or two to compare, which share a seed.
 * @param {Field[]} fields
 * @param {RequestBody} common Fields of the body that the form does not have.
 * @param {{isAgain?: boolean}} options With `isAgain`, the seed is a new one.
 * @returns {TitledRequest[]}
 */
export function requestsOf(fields, common, { isAgain }) {
  const settings = fields.filter(({ name }) => name !== SPEAKER);
  const values = settings.map((field) => [field.name, valueOf(field)]);
  const {
    compare,
    blend_share: share,
    ...given
  } = Object.fromEntries(values.filter(([, value]) => value !== null));
  const own = Object.entries(given).filter(([name]) => !name.endsWith(SECOND));
  /** @type {RequestBody & {num_samples: number}} */
  const body = { num_samples: 1, ...common, ...Object.fromEntries(own) };
  if (isAgain || (compare && body.seed === undefined)) body.seed = randomSeed();
  if (!compare) {
    const second = /** @type {string} */ (given[`model${SECOND}`]);
    if (share && second !== body.model) body.blend = { [second]: share };
    return [{ title: gettext("Sample"), body }];
  }
  const changes = Object.entries(given)
    .filter(([name]) => name.endsWith(SECOND))
    .map(([name, value]) => [name.slice(0, -SECOND.length), value]);
  const bodies = [body, { ...body, ...Object.fromEntries(changes) }];
  return bodies.map((each) => {
    const temperature = shownNumber(Number(each.temperature), { maximumFractionDigits: 3 });
    const title = gettext("temperature %(temperature)s", { temperature });
    return { title: each.model ? `${each.model}, ${title}` : title, body: each };
  });
}

/** Return the value of a field; null where it is empty. @param {Field} field */
function valueOf({ type, value, checked }) {
  const text = value.trim();
  if (text === "" || (type === "checkbox" && !checked)) return null;
  if (type === "checkbox" && text === "true") return true;
  return ["number", "range", "checkbox"].includes(type) ? Number(text) : text;
}

function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

/**
 * @param {FormControl} field
 * @param {Record<string, any>} values By the names of fields.
 */
function fill(field, values) {
  const value = values[field.name];
  if (value === undefined) return;
  if (isCheckbox(field)) field.checked = value;
  else if (!(field instanceof HTMLSelectElement) || hasOption(field, value)) field.value = value;
}

/** @param {Element} field @returns {field is HTMLInputElement} */
function isCheckbox(field) {
  return field instanceof HTMLInputElement && field.type === "checkbox";
}

/** @param {HTMLSelectElement} select @param {string} value */
function hasOption(select, value) {
  return [...select.options].some((option) => option.value === value);
}
