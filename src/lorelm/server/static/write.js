// The page: a person's text, which the model goes on with. Without this script it is a form.

import { generate, Refusal, ROOT, unknownWords } from "./api.js";
import { Surface } from "./surface.js";
import { button, Card, markCopied, nodesOf, tokenOf } from "./words.js";

const NUM_ALTERNATIVES = 5;
const PROMPT_LIMIT = 20000; // characters that the server reads
const CHECK_AFTER_MS = 500;
const UNKNOWN_LIMIT = 8; // of a text in another language, all would fill the page
const REMEMBER_AFTER_MS = 500; // a long text is a megabyte, too much for every key
const SETTINGS_KEY = "lorelm.settings";
const TEXT_KEY = "lorelm.text";

const $ = (id) => document.getElementById(id);
const form = $("write");
const given = JSON.parse($("given")?.textContent ?? "null");

const surface = new Surface($("prompt"), $("prompt_label"), onChange);
const card = new Card($("card"), form, {
  isIdle: () => !writing,
  onChoice: rewrite,
  onContinue: continueFrom,
});

/** What is being written; null when nothing is. */
let writing = null;

/** What Again writes anew: the text that it goes on from, and how. */
let last = null;

/** Samples beside each other, from which to choose one. */
let samples = [];

// ---- Writing

/**
 * Goes on with the text. Where that was changed for it, `undoTo` is what was there: Undo comes back
 * to it, and so does the page where nothing is written.
 */
async function write({ isAgain = false, undoTo = null } = {}) {
  if (!isReady()) return;
  const requests = requestsOf(form, { isAgain });
  begin(undoTo);
  try {
    if (requests.length > 1 || requests[0].num_samples > 1) await writeBeside(requests);
    else await writeOn(requests[0]);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refuse(error);
  } finally {
    if (undoTo && !writing.hasBegun) surface.restore(undoTo);
    end();
  }
}

/** Whether it can be written now; what is wrong in the form, the browser says. */
function isReady() {
  return !writing && form.reportValidity();
}

/** Goes on with the text itself. */
async function writeOn(asked) {
  const target = { tokens: [], elements: [], add: (token) => surface.append(token) };
  const { samples: ended, seed } = await follow(asked, [target]);
  say(ended[0], target.tokens.length, seed);
}

/** Writes several samples, or with several models, to choose from. */
async function writeBeside(requests) {
  const columns = requests.map((asked) => panelsOf(asked, requests.length > 1));
  samples = columns[0].flatMap((_, place) => columns.map((column) => column[place]));
  $("samples").replaceChildren(...samples.map((sample) => sample.panel));
  $("samples").scrollIntoView({ block: "nearest" });
  const { controller } = writing;
  const ends = await Promise.allSettled(
    requests.map(async (asked, i) => {
      try {
        showEnds(columns[i], await follow(asked, columns[i]));
      } catch (error) {
        controller.abort(); // what it was to be compared with is of no use alone
        throw error;
      }
    }),
  );
  const failed = ends.find((each) => each.status === "rejected");
  if (failed) {
    for (const { panel, tokens } of samples) if (!tokens.length) panel.remove();
    throw failed.reason;
  }
  status(`Choose one, and it becomes part of the text.${cutNote()}`);
}

function showEnds(column, { samples: ended, seed }) {
  for (const [place, sample] of column.entries()) {
    sample.note.textContent = ending(ended[place], sample.tokens.length, seed + place);
  }
}

/** Hands the tokens of a request out to its samples as they come. */
async function follow(asked, targets) {
  const ended = [];
  let seed = null;
  try {
    for await (const { name, data } of generate(asked, writing.controller.signal)) {
      if (name === "start") seed = data.seeds[0];
      if (name === "token") add(targets[data.sample], data);
      if (name === "sample") {
        const { tokens, elements } = targets[data.sample];
        markCopied(tokens, data.copied_spans ?? [], elements);
        ended[data.sample] = data;
      }
    }
  } catch (error) {
    if (!writing.controller.signal.aborted) throw error;
  }
  return { samples: ended, seed };
}

function add(target, token) {
  if (!writing.hasBegun) firstComes(target);
  target.tokens.push(token);
  const element = target.add(token);
  if (element) target.elements.push(element);
}

/** Notes what Undo and Again come back to: what is refused changes neither. */
function firstComes({ panel }) {
  const content = surface.content();
  const isSampleBesideUnchangedText = panel && !writing.undoTo;
  if (!isSampleBesideUnchangedText) surface.record(writing.undoTo ?? content);
  if (!panel) dismissSamples();
  last = { content };
  writing.hasBegun = true;
}

function begin(undoTo) {
  const hadFocus = document.activeElement;
  const isCut = surface.text.length > PROMPT_LIMIT;
  writing = { controller: new AbortController(), hadFocus, undoTo, isCut, hasBegun: false };
  surface.isLocked = true;
  surface.element.setAttribute("aria-busy", "true");
  card.hide();
  $("written")?.remove();
  $("error").hidden = true;
  status("Writing…");
  $("stop").hidden = false;
  $("generate").hidden = true;
  if (!surface.hasCaret) $("stop").focus({ preventScroll: true });
}

function end() {
  const { hadFocus } = writing;
  writing = null;
  surface.isLocked = false;
  surface.element.removeAttribute("aria-busy");
  $("generate").hidden = false;
  surface.changed();
  const isHere = hadFocus.isConnected && form.contains(hadFocus) && !$("card").contains(hadFocus);
  if (isHere && hadFocus !== surface.element) hadFocus.focus({ preventScroll: true });
  else surface.moveCaretToEnd();
  $("stop").hidden = true;
}

function stop() {
  writing?.controller.abort();
}

/** Stop takes the place of Generate, where the second click of a double one would hit it. */
function onStopClick(event) {
  if (event.detail < 2) stop();
}

function again() {
  if (!last || !isReady()) return;
  const undoTo = surface.content();
  surface.restore(last.content);
  write({ isAgain: true, undoTo });
}

/** Puts another word in the place of one of the model's and goes on behind it. */
function rewrite(word, alternative) {
  if (!isReady()) return;
  const undoTo = surface.content();
  word = inText(word);
  surface.cutAt(word, { keepsWord: false });
  if (alternative.text === "") {
    surface.record(undoTo); // the text ends there
    return surface.changed();
  }
  surface.append({ ...tokenOf(word), ...alternative, copied: 0 });
  write({ undoTo });
}

function continueFrom(word) {
  if (!isReady()) return;
  const undoTo = surface.content();
  surface.cutAt(inText(word), { keepsWord: true });
  write({ undoTo });
}

// ---- Samples to choose from

function panelsOf(asked, isCompared) {
  return Array.from({ length: asked.num_samples }, (_, place) => {
    const panel = document.createElement("article");
    const heading = document.createElement("h2");
    const name = isCompared ? asked.title : "Sample";
    heading.textContent = asked.num_samples > 1 ? `${name} ${place + 1}` : name;
    const text = document.createElement("p");
    text.className = "sample";
    text.tabIndex = 0;
    const note = document.createElement("p");
    note.className = "note";
    const sample = { panel, note, text, tokens: [], elements: [] };
    sample.add = (token) => {
      const nodes = nodesOf(token);
      text.append(...nodes);
      return nodes.find((node) => tokenOf(node));
    };
    text.addEventListener("keydown", (event) => walk(event, sample));
    panel.append(heading, text, note, button("Keep this one", () => keep(sample)));
    return sample;
  });
}

function keep(sample) {
  if (writing) return;
  surface.record();
  appendSample(sample);
  surface.changed();
  surface.moveCaretToEnd();
}

/** A word as it stands in the text; that of a sample brings the sample there. */
function inText(word) {
  if (surface.element.contains(word)) return word;
  const sample = samples.find((each) => each.elements.includes(word));
  return appendSample(sample)[sample.elements.indexOf(word)];
}

/** Makes a sample part of the text; returns its words there. */
function appendSample({ tokens }) {
  dismissSamples();
  return tokens.map((token) => surface.append(token)).filter(Boolean);
}

function dismissSamples() {
  samples = [];
  $("samples").replaceChildren();
}

/** Arrow keys go from word to word of a sample, and down into the card of one. */
function walk(event, { elements }) {
  if (event.key === "ArrowDown" && card.isShown) {
    event.preventDefault();
    return card.focus();
  }
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || !elements.length) return;
  event.preventDefault();
  const shown = elements.findIndex((element) => element.classList.contains("shown"));
  const next = shown < 0 && step < 0 ? elements.length - 1 : shown + step;
  card.show(elements[(next + elements.length) % elements.length], { isPinned: true });
}

// ---- Settings

/** What the form asks for: a request, or two to compare. */
function requestsOf(form, { isAgain }) {
  const fields = new FormData(form);
  const text = (name) => fields.get(name)?.trim() || undefined;
  const number = (name) => (text(name) === undefined ? undefined : Number(text(name)));
  const isCompared = fields.has("compare");
  const isSeedFree = isAgain || isCompared;
  const seed = isAgain ? undefined : number("seed");
  const asked = {
    prompt: promptOf(surface.text),
    model: text("model"),
    num_alternatives: NUM_ALTERNATIVES,
    seed: seed ?? (isSeedFree ? randomSeed() : undefined),
    novel_span: number("novel_span"),
  };
  for (const name of [
    ...["max_len", "temperature", "num_samples", "top_k", "top_p", "min_p"],
    "repetition_penalty",
  ]) {
    asked[name] = number(name);
  }
  if (!isCompared) return [asked];
  const other = { ...asked, temperature: number("temperature_b") };
  other.model = text("model_b") ?? asked.model;
  for (const each of [asked, other]) {
    const title = `temperature ${each.temperature}`;
    // The server refuses what it does not know, so the title is not sent.
    Object.defineProperty(each, "title", { value: each.model ? `${each.model}, ${title}` : title });
  }
  return [asked, other];
}

/** The end of a text that the server reads, with no half of a character in it. */
function promptOf(text) {
  return text.slice(-PROMPT_LIMIT).replace(/^[\uDC00-\uDFFF]/, "").toWellFormed();
}

function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

function settingInputs() {
  return [...form.elements].filter((each) => each.name);
}

function rememberSettings() {
  const values = settingInputs()
    .filter((each) => each.validity.valid)
    .map((each) => [each.name, each.type === "checkbox" ? each.checked : each.value]);
  const before = recall(localStorage, SETTINGS_KEY);
  remember(localStorage, SETTINGS_KEY, { ...before, ...Object.fromEntries(values) });
  showFacts();
}

function restoreSettings() {
  const values = recall(localStorage, SETTINGS_KEY) ?? {};
  for (const each of settingInputs()) {
    const value = values[each.name];
    if (value === undefined) continue;
    const isOffered = each.tagName !== "SELECT" || [...each.options].some((o) => o.value === value);
    if (each.type === "checkbox") each.checked = value;
    else if (isOffered) each.value = value;
  }
  $("compare").closest("details").open ||= $("compare").checked;
}

function resetSettings() {
  for (const each of form.querySelectorAll("[data-usual]")) each.value = each.dataset.usual;
  for (const each of form.querySelectorAll("input[type=checkbox]")) each.checked = false;
  form.elements.seed.value = "";
  rememberSettings();
}

/** Shows the facts of the model that writes. */
function showFacts() {
  const name = form.elements.model?.value;
  for (const facts of document.querySelectorAll("[data-model]")) {
    facts.hidden = name !== undefined && facts.dataset.model !== name;
  }
}

/** Whether it is kept: a browser may be told to keep nothing, and keeps no more than 5 MB. */
function remember(storage, key, value) {
  try {
    storage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

let rememberTimer = 0;

function rememberTextSoon() {
  clearTimeout(rememberTimer);
  rememberTimer = setTimeout(rememberText, REMEMBER_AFTER_MS);
}

function rememberText() {
  clearTimeout(rememberTimer);
  const isKept = remember(sessionStorage, TEXT_KEY, surface.content());
  if (!isKept) remember(sessionStorage, TEXT_KEY, [surface.text]); // without what else was likely
}

function recall(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}

// ---- What the page says

function status(text) {
  $("status").textContent = text;
}

function say(sample, numTokens, seed) {
  status(ending(sample, numTokens, seed) + cutNote());
}

function cutNote() {
  return writing.isCut ? ` The model has read the last ${PROMPT_LIMIT} characters.` : "";
}

function ending(sample, numTokens, seed) {
  const count = `${numTokens} tokens, seed ${seed}.`;
  if (!sample) return numTokens ? `Stopped: ${count}` : "Stopped.";
  const late = sample.finish_reason === "timeout" ? " The time was over." : "";
  return (sample.finish_reason === "eos" ? "The model ended here: " : "") + count + late;
}

function refuse(refusal) {
  const label = refusal.field && form.querySelector(`label[for="${refusal.field}"]`);
  const text = label
    ? refusal.message.replace(`${refusal.field}:`, `${label.textContent}:`)
    : refusal.message;
  status("");
  $("error").textContent = text;
  $("error").hidden = false;
}

// ---- Words that the model does not know

let check = { timer: 0, text: null, controller: new AbortController() };

function checkSoon() {
  clearTimeout(check.timer);
  check.timer = setTimeout(checkWords, CHECK_AFTER_MS);
}

async function checkWords() {
  const text = promptOf(surface.text);
  const model = form.elements.model?.value;
  check.controller.abort();
  check.controller = new AbortController();
  try {
    const none = { unknown_words: [], num_unknown_words: 0 };
    const found = text ? await unknownWords(text, model, check.controller.signal) : none;
    const isAsBefore = text === promptOf(surface.text) && model === form.elements.model?.value;
    if (isAsBefore) showUnknown(found);
  } catch {
    // Nobody asked for it; what a person does ask for says that the server is away.
  }
}

function showUnknown({ unknown_words: found, num_unknown_words: count }) {
  const ranges = found.map(({ word }) => rangesOf(word));
  // Without this part of the browser, the words are named below all the same.
  globalThis.CSS?.highlights?.set("unknown", new Highlight(...ranges.flat()));
  const parts = found.slice(0, UNKNOWN_LIMIT).map(({ word, nearest }) => {
    const part = document.createElement("span");
    const name = document.createElement("u");
    name.textContent = word;
    part.append(name, nearest.length ? " → " : "");
    for (const other of nearest) {
      const act = () => {
        surface.record();
        for (const range of rangesOf(word)) surface.replaceWord(range, other);
      };
      const choice = button(other, act);
      choice.className = "quiet";
      choice.setAttribute("aria-label", `Write ${other} in place of ${word}`);
      part.append(choice);
    }
    return part;
  });
  const more = count > parts.length ? `and ${count - parts.length} more` : "";
  $("unknown").replaceChildren(...(parts.length ? ["Not known: ", ...parts, more] : []));
}

/** Where a person has written a word: in this spelling, or else with other capitals. */
function rangesOf(word) {
  const ranges = rangesOfSpelling(word, "gu");
  // A tokenizer without capitals names its words without.
  return ranges.length ? ranges : rangesOfSpelling(word, "giu");
}

function rangesOfSpelling(word, flags) {
  const escaped = word.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
  const isWord = /[\p{L}\p{N}]/u.test(word);
  const border = ["(?<![\\p{L}\\p{N}])", "(?![\\p{L}\\p{N}])"];
  const pattern = isWord ? `${border[0]}${escaped}${border[1]}` : escaped;
  const ranges = [];
  for (const node of surface.element.childNodes) {
    if (node.nodeType !== Node.TEXT_NODE) continue;
    for (const match of node.data.matchAll(new RegExp(pattern, flags))) {
      const range = document.createRange();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      ranges.push(range);
    }
  }
  return ranges.reverse(); // the last first, so that what is replaced moves none of the others
}

// ---- Events

function onChange() {
  card.leaveWordThatIsGone(surface.element);
  $("undo").disabled = !surface.canUndo || Boolean(writing);
  $("redo").disabled = !surface.canRedo || Boolean(writing);
  $("clear").disabled = surface.text === "" || Boolean(writing);
  $("again").disabled = !last || Boolean(writing);
  if (writing) return;
  rememberTextSoon();
  checkSoon();
}

function onKey(event) {
  if (event.isComposing) return;
  const isCommand = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (event.key === "Enter" && isCommand) {
    event.preventDefault();
    write();
  } else if (event.key === "Escape") {
    if (writing) stop();
    else if (card.isShown) {
      card.leave(surface.element);
      decidedAt = caret();
    }
  } else if (isCommand && surface.hasCaret && (key === "z" || key === "y")) {
    event.preventDefault();
    if (key === "y" || event.shiftKey) surface.redo();
    else surface.undo();
  }
}

/** Where the caret was when a click or Escape decided about the card: until it moves, that counts. */
let decidedAt = null;

function caret() {
  const { anchorNode, anchorOffset } = document.getSelection();
  return { anchorNode, anchorOffset };
}

function onCaret() {
  if (writing || document.activeElement !== surface.element) return;
  const { anchorNode, anchorOffset } = caret();
  if (decidedAt?.anchorNode === anchorNode && decidedAt.anchorOffset === anchorOffset) return;
  decidedAt = null;
  const word = surface.wordAtCaret;
  if (word) card.show(word, { isPinned: true });
  else if (!card.isOfSelection) card.hide();
}

/** Puts what the server has written, or is to, into the text; Undo comes back to what was there. */
function showGiven(kept) {
  if (kept?.length) surface.record(kept);
  surface.restore([given.prompt]);
  const elements = given.tokens.map((token) => surface.append(token)).filter(Boolean);
  markCopied(given.tokens, given.copied_spans ?? [], elements);
  $("written")?.remove();
  // The settings of a text that was made again are not those of who looks at it.
  if (elements.length) restoreSettings();
  else rememberSettings();
  moveTo(ROOT);
}

/** Has the browser load another address when it loads the page again; links lead where they led. */
function moveTo(address) {
  for (const link of document.links) link.href = link.href;
  for (const each of document.forms) each.action = each.action;
  history.replaceState(null, "", address);
}

function openAround({ target }) {
  const details = target.closest("details");
  if (details) details.open = true;
}

function start() {
  for (const each of document.querySelectorAll(".with-script")) each.hidden = false;
  if (!given) restoreSettings();
  const kept = recall(sessionStorage, TEXT_KEY);
  if (given) showGiven(kept);
  else if (kept && !surface.text) surface.restore(kept);
  showFacts();
  surface.changed();
  surface.moveCaretToEnd();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    write();
  });
  form.addEventListener("change", (event) => {
    rememberSettings();
    if (event.target.name === "model") checkSoon(); // which knows other words
  });
  // What the browser complains of has to be seen.
  form.addEventListener("invalid", openAround, { capture: true });
  addEventListener("pagehide", rememberText);
  document.addEventListener("keydown", onKey);
  document.addEventListener("selectionchange", onCaret);
  form.addEventListener("click", (event) => {
    // It may have put the caret at the word's border, where it does not count as within.
    if (event.target.closest(".word")) decidedAt = caret();
  });
  for (const id of ["actions", "unknown", "samples"]) {
    // A click there leaves the caret where it is: who goes on typing types into the text.
    $(id).addEventListener("mousedown", (event) => {
      if (surface.hasCaret && event.target.closest("button")) event.preventDefault();
    });
  }
  $("stop").addEventListener("click", onStopClick);
  $("again").addEventListener("click", again);
  $("undo").addEventListener("click", () => surface.undo());
  $("redo").addEventListener("click", () => surface.redo());
  $("reset").addEventListener("click", resetSettings);
  $("clear").addEventListener("click", () => {
    surface.record();
    surface.clear();
    surface.moveCaretToEnd();
  });
}

start();
