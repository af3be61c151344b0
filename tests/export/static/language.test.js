import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

const SCRIPT = readFileSync(
  new URL("../../../src/lorelm/export/static/language.js", import.meta.url),
  "utf8",
);

/**
 * Return the page that a visitor of index.html is led to.
 * @param {string} languages Of the site. @param {string[]} preferred Of the browser.
 * @param {string} search Of the address.
 */
function ledTo(languages, preferred, search = "") {
  let page = "index.html";
  runInNewContext(SCRIPT, {
    document: { currentScript: { dataset: { here: "en", languages } } },
    navigator: { languages: preferred },
    location: { search, replace: (/** @type {string} */ name) => (page = name) },
    localStorage: { getItem: () => null },
    URLSearchParams,
    addEventListener() {},
  });
  return page;
}

test("a visitor is led to the nearest language, as by a server", () => {
  for (const [languages, preferred, page] of [
    ["en pt-BR", "pt-BR", "pt-BR.html"],
    ["en pt-BR", "pt", "pt-BR.html"],
    ["en pt-BR", "pt-PT en", "pt-BR.html"],
    ["en pt pt-BR", "pt-PT", "pt.html"],
    ["en pt pt-BR", "pt-br", "pt-BR.html"],
    ["en pt", "pt-BR", "pt.html"],
    ["en zh-Hans zh-Hant", "zh-Hant-TW", "zh-Hant.html"],
    ["en de pt-BR", "nl de-AT pt", "de.html"],
    ["en pt-BR", "en-GB pt-BR", "index.html"],
    ["en pt-BR", "p ptx", "index.html"],
  ])
    assert.equal(ledTo(languages, preferred.split(" ")), page, `${languages}: ${preferred}`);
});

test("an address names a language in any case; one that is unknown is English", () => {
  for (const [search, page] of [
    ["?lang=pt-br", "pt-BR.html"],
    ["?lang=DE", "de.html"],
    ["?lang=EN", "index.html"],
    ["?lang=tlh", "index.html"],
    ["?lang=", "index.html"],
  ])
    assert.equal(ledTo("en de pt-BR", ["de"], search), page, search);
});
