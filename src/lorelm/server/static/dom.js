// Helpers for elements, for values from the server, and for the browser's storage.

/** @type {PageData | undefined} */
let data;

/** Return the values that the server wrote into the page. */
export function pageData() {
  data ??= JSON.parse(byId("page-data").textContent ?? "");
  return /** @type {PageData} */ (data);
}

/**
 * Return the element with this id; the template always renders it.
 * @template {HTMLElement} [T=HTMLElement] @param {string} id @param {new () => T} [type]
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof (type ?? HTMLElement))) throw new Error(`no element #${id}`);
  return /** @type {T} */ (element);
}

/**
 * Make an element with these properties and children.
 * @template {keyof HTMLElementTagNameMap} K @param {K} tag
 * @param {Partial<HTMLElementTagNameMap[K]>} [properties] @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Make a button that does not submit the form. @param {string} text @param {() => void} onClick */
export function button(text, onClick) {
  const element = make("button", { type: "button" }, text);
  element.addEventListener("click", onClick);
  return element;
}

/**
 * @typedef {"localStorage" | "sessionStorage"} StorageName A name, as a frame in a page of another
 *   site may not even touch the object.
 */

/**
 * Store a value; return false where the browser keeps nothing or its 5 MB are used up.
 * @param {StorageName} storage @param {string} key @param {unknown} value
 */
export function save(storage, key, value) {
  try {
    globalThis[storage].setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** Return a stored value, or null. @param {StorageName} storage @param {string} key */
export function load(storage, key) {
  try {
    return JSON.parse(globalThis[storage].getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/**
 * Change the address of the page for the next reload; links and forms keep their targets.
 * @param {URL} address
 */
export function replaceAddress(address) {
  for (const link of document.links) link.setAttribute("href", link.href);
  for (const each of document.forms) each.setAttribute("action", each.action);
  history.replaceState(null, "", address);
}
