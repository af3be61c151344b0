import assert from "node:assert/strict";
import { test } from "node:test";

import {
  gettext,
  listed,
  ngettext,
  pgettext,
  setMessages,
  shownNumber,
} from "../../../src/lorelm/server/static/translate.js";

test("without messages, texts are in English", () => {
  assert.equal(gettext("%(n)s of %(all)s", { n: 1, all: "two" }), "1 of two");
  assert.equal(pgettext("file format", "Text"), "Text");
  assert.equal(gettext("100%%"), "100%");
  const forms = [0, 1, 2, 1200].map((n) => ngettext("%(n)s word", "%(n)s words", n));
  assert.deepEqual(forms, ["0 words", "1 word", "2 words", "1,200 words"]);
  assert.equal(listed(["a", "b"]), "a, b");
  assert.equal(shownNumber(0.42, { style: "percent" }), "42%");
});

test("messages give texts, contexts and the forms of numbers", () => {
  // One form for 1, 21, 101, …; another for 2 to 4; a third for all other numbers.
  const form = (/** @type {number} */ n) => (n % 10 === 1 ? 0 : [2, 3, 4].includes(n % 10) ? 1 : 2);
  setMessages({
    plurals: Array.from({ length: 200 }, (_, n) => form(n)).join(""),
    texts: {
      Save: "Speichern",
      "verb\u0004Save": "Sparen",
      "%(n)s word": ["%(n)s A", "%(n)s B", "%(n)s C"],
    },
  });
  assert.equal(gettext("Save"), "Speichern");
  assert.equal(pgettext("verb", "Save"), "Sparen");
  assert.equal(gettext("Unknown"), "Unknown");
  const forms = [1, 2, 5, 21, 99, 101, 102, 1001].map((n) => ngettext("%(n)s word", "words", n));
  const expected = ["1 A", "2 B", "5 C", "21 A", "99 C", "101 A", "102 B", "1,001 A"];
  assert.deepEqual(forms, expected);
});

test("a value that looks like a placeholder stays as it is", () => {
  assert.equal(gettext("Delete %(name)s", { name: "%(n)s %%" }), "Delete %(n)s %%");
});
