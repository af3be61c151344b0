// A text as a document for Word and other word processors (ECMA-376, WordprocessingML).

import { zip } from "./zip.js";

export const DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

const DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
const WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const PACKAGE = "http://schemas.openxmlformats.org/package/2006";
const RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

const TYPES =
  `${DECLARATION}<Types xmlns="${PACKAGE}/content-types">` +
  '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>' +
  `<Override PartName="/word/document.xml" ContentType="${DOCX_TYPE}.main+xml"/>` +
  '<Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/>' +
  '<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/>' +
  "</Types>";

// Without it, Word writes in 10 points. Sizes are in half points, line heights in 240ths.
const STYLES =
  `${DECLARATION}<w:styles xmlns:w="${WORD}"><w:docDefaults>` +
  '<w:rPrDefault><w:rPr><w:rFonts w:ascii="Georgia" w:hAnsi="Georgia"/><w:sz w:val="24"/></w:rPr></w:rPrDefault>' +
  '<w:pPrDefault><w:pPr><w:spacing w:line="300" w:lineRule="auto"/></w:pPr></w:pPrDefault>' +
  "</w:docDefaults></w:styles>";

/**
 * Return a document with a paragraph for each line, and the names of speakers in bold.
 * @param {import("./text_files.js").Line[]} lines @param {string} title
 */
export function docxOf(lines, title) {
  return zip({
    "[Content_Types].xml": TYPES,
    "_rels/.rels": relations([
      [`${RELATIONS}/officeDocument`, "word/document.xml"],
      [`${PACKAGE}/relationships/metadata/core-properties`, "docProps/core.xml"],
    ]),
    "word/document.xml":
      `${DECLARATION}<w:document xmlns:w="${WORD}"><w:body>` +
      `${lines.map(paragraph).join("")}</w:body></w:document>`,
    "word/_rels/document.xml.rels": relations([[`${RELATIONS}/styles`, "styles.xml"]]),
    "word/styles.xml": STYLES,
    "docProps/core.xml":
      `${DECLARATION}<cp:coreProperties xmlns:cp="${PACKAGE}/metadata/core-properties" ` +
      `xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>${escaped(title)}</dc:title>` +
      "</cp:coreProperties>",
  });
}

/** @param {string[][]} pairs The type and the target of each. */
function relations(pairs) {
  const items = pairs.map(
    ([type, target], i) => `<Relationship Id="r${i}" Type="${type}" Target="${target}"/>`,
  );
  return `${DECLARATION}<Relationships xmlns="${PACKAGE}/relationships">${items.join("")}</Relationships>`;
}

/** @param {import("./text_files.js").Line} line */
function paragraph({ cue, rest }) {
  return `<w:p>${run(cue, "<w:rPr><w:b/></w:rPr>")}${run(rest)}</w:p>`;
}

/** @param {string} text @param {string} [properties] */
function run(text, properties = "") {
  if (!text) return "";
  const parts = text.split("\t").map((part) => `<w:t xml:space="preserve">${escaped(part)}</w:t>`);
  return `<w:r>${properties}${parts.join("<w:tab/>")}</w:r>`;
}

/** Return a text for XML, which has no control characters and no halves of characters. */
function escaped(/** @type {string} */ text) {
  return text
    .replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, "\uFFFD");
}
