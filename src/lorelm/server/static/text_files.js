// A text as a file: plain text and Markdown. docx.js makes documents for Word.

const FILE_NAME_LENGTH = 60;

/** @typedef {{cue: string, rest: string}} Line `cue` is the name that begins it, or empty. */

/**
 * Return the lines of a text, with the names of speakers apart.
 * @param {string} text @param {RegExp | null} cuePattern
 * @returns {Line[]}
 */
export function linesOf(text, cuePattern) {
  const pattern = cuePattern && new RegExp(cuePattern.source, "u");
  return text.split("\n").map((line) => {
    const match = pattern?.exec(line);
    const end = match ? match.index + match[0].length : 0;
    return { cue: line.slice(0, end).trimStart(), rest: line.slice(end) };
  });
}

/** Return a text as Markdown that looks the same, line by line. @param {Line[]} lines */
export function markdownOf(lines) {
  const written = lines.map(({ cue, rest }) => {
    const name = cue && `**${escaped(cue)}**`;
    return name + (name ? escaped(rest) : beginningEscaped(escaped(rest.trimStart())));
  });
  const isBlank = (/** @type {string | undefined} */ line) => !line?.trim();
  const ended = written.map((line, i) => {
    const breaks = !isBlank(line) && !isBlank(written[i + 1]);
    return line.trimEnd() + (breaks ? "  " : ""); // two spaces are a line break
  });
  return `${ended.join("\n")}\n`;
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/[\\`*_[\]<>&~$]/g, "\\$&");
}

/** Escape what makes a heading, list, rule or table at the beginning of a line. @param {string} line */
function beginningEscaped(line) {
  return line.replace(/^(\d{1,9})([.)])/, "$1\\$2").replace(/^[#+=|:-]/, "\\$&");
}

/**
 * Return a name that every system takes for a file.
 * @param {string} name @param {string} extension
 */
export function fileNameOf(name, extension) {
  const allowed = name
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u001f\u007f\\/:*?"<>|\p{Surrogate}\p{Bidi_Control}]/gu, " ")
    .replace(/\s+/g, " ")
    .trim();
  const stem = [...allowed]
    .slice(0, FILE_NAME_LENGTH)
    .join("")
    .replace(/^[. ]+|[. …]+$/g, "");
  const isReserved = /^(con|prn|aux|nul|com\d|lpt\d)$/i.test(stem); // in Windows
  return `${isReserved ? "_" : ""}${stem || "text"}.${extension}`;
}

/** Let the browser save a file. @param {BlobPart} data @param {string} type @param {string} name */
export function saveFile(data, type, name) {
  const address = URL.createObjectURL(new Blob([data], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // the browser may still read it
}

/** Copy a text; return whether that was possible. @param {string} text */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // no clipboard in plain HTTP, nor in some frames
  }
}

/** @param {string} text */
function copyBySelection(text) {
  const focused = document.activeElement;
  const selection = document.getSelection();
  const caret = selection?.rangeCount ? selection.getRangeAt(0).cloneRange() : null;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "offscreen";
  // What is outside of an open dialog cannot be selected.
  (focused?.closest("dialog") ?? document.body).append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  selection?.removeAllRanges();
  if (caret) selection?.addRange(caret);
  return isCopied;
}
