import assert from "node:assert/strict";
import { test } from "node:test";

import { cuePattern } from "../../../src/lorelm/server/static/scene.js";
import { fileNameOf, linesOf, markdownOf } from "../../../src/lorelm/server/static/text_files.js";

const SPEAKERS = cuePattern(["OLD MOLE", "OWL"]);

test("lines have the names of speakers apart, where the model has speakers", () => {
  const text = "OWL: Who is there?\n  Stranger: I\nNote it: OWL: no\n\nOWL:";
  assert.deepEqual(linesOf(text, SPEAKERS), [
    { cue: "OWL:", rest: " Who is there?" },
    { cue: "Stranger:", rest: " I" },
    { cue: "Note it:", rest: " OWL: no" }, // a name that the model may not know
    { cue: "", rest: "" },
    { cue: "OWL:", rest: "" },
  ]);
  assert.deepEqual(linesOf("OWL: Who?", null), [{ cue: "", rest: "OWL: Who?" }]);
});

const markdown = (text, pattern = null) => markdownOf(linesOf(text, pattern));

test("Markdown has the lines of the text, with speakers in bold", () => {
  const text = "OWL: Who?\nHARE: I.\n\nNobody.";
  assert.equal(markdown(text, SPEAKERS), "**OWL:** Who?  \n**HARE:** I.\n\nNobody.\n");
});

test("Markdown shows the characters of the text", () => {
  assert.equal(
    markdown("*no* _no_ [a](b) <b> `c` ~~d~~ a\\b &amp;"),
    ["\\*no\\* \\_no\\_ \\[a\\](b) \\<b\\> \\`c\\` \\~\\~d\\~\\~ a\\\\b \\&amp;\n"].join(),
  );
  for (const [line, written] of [
    ["# no heading", "\\# no heading"],
    ["- no item", "\\- no item"],
    ["+ no item", "\\+ no item"],
    ["1. no item", "1\\. no item"],
    ["12) no item", "12\\) no item"],
    ["=== no heading", "\\=== no heading"],
    ["> no quote", "\\> no quote"],
    ["    no code", "no code"],
    ["| no | table", "\\| no | table"],
    ["In 1998. A year - of # peace", "In 1998. A year - of # peace"],
  ]) {
    assert.equal(markdown(line), `${written}\n`);
  }
});

test("a file name is one that every system takes", () => {
  for (const [name, file] of [
    ["The mill", "The mill.txt"],
    ['a/b\\c:d*e?f"g<h>i|j\n', "a b c d e f g h i j.txt"],
    ["../../etc/passwd", "etc passwd.txt"],
    [" .hidden. ", "hidden.txt"],
    ["First words…", "First words.txt"],
    ["CON", "_CON.txt"],
    ["lpt1", "_lpt1.txt"],
    ["evil\u202Egpj", "evil gpj.txt"],
    ["…", "text.txt"],
    ["Тихий Дон 🦊", "Тихий Дон 🦊.txt"],
    ["\ud800x", "x.txt"],
  ]) {
    assert.equal(fileNameOf(name, "txt"), file);
  }
  assert.equal([...fileNameOf("🦊".repeat(100), "md")].length, 63);
});
