// Translates the texts of the scripts. A page in another language than English loads its messages,
// messages-de.js, before the scripts that show them.

/**
 * @typedef {object} Messages
 * @property {string} plurals The form, as a digit, for the numbers from 0 to 199: every rule
 *   repeats itself from there on after each hundred.
 * @property {Record<string, string | string[]>} texts By the English text, after the context and
 *   "\u0004" if it has one; the forms of a text with a number are a list.
 */

/** @type {Messages} */
let messages = { plurals: "1".repeat(200).replace(/^11/, "10"), texts: {} };

/** Use the messages of a language from now on. @param {Messages} given */
export function setMessages(given) {
  messages = given;
}

/** The language of the page. */
function language() {
  return globalThis.document?.documentElement.lang || "en";
}

/**
 * Return a text in the language of the page.
 * @param {string} message In English, with placeholders such as %(name)s.
 * @param {Record<string, string | number>} [values]
 */
export function gettext(message, values) {
  return filled(String(messages.texts[message] ?? message), values);
}

/**
 * Return a text that is translated differently in another context.
 * @param {string} context @param {string} message @param {Record<string, string | number>} [values]
 */
export function pgettext(context, message, values) {
  return filled(String(messages.texts[`${context}\u0004${message}`] ?? message), values);
}

/**
 * Return the text for a number, which is its placeholder %(n)s.
 * @param {string} one @param {string} many @param {number} n
 * @param {Record<string, string | number>} [values]
 */
export function ngettext(one, many, n, values) {
  const forms = messages.texts[one] ?? [one, many];
  const form = forms[Number(messages.plurals[n < 200 ? n : 100 + (n % 100)])];
  return filled(form, { n: n.toLocaleString(language()), ...values });
}

/** @param {string} text @param {Record<string, string | number>} [values] */
function filled(text, values = {}) {
  return text.replace(/%(?:\((\w+)\)s|%)/g, (_, name) => (name ? String(values[name]) : "%"));
}

/**
 * Return a number as the language writes it.
 * @param {number} value @param {Intl.NumberFormatOptions} [options]
 */
export function shownNumber(value, options) {
  return new Intl.NumberFormat(language(), options).format(value);
}

/** Return texts as a list. @param {string[]} items */
export function listed(items) {
  return items.join(pgettext("separator of a list", ", "));
}

/** Return a time of day and its date. @param {string} iso */
export function shownDate(iso) {
  const options = /** @type {const} */ ({ dateStyle: "medium", timeStyle: "short" });
  return new Intl.DateTimeFormat(language(), options).format(new Date(iso));
}
