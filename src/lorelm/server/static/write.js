// Entry point of the page: connects the editor, the generation, the samples and the settings.
// Without this script the page is a plain form.

import { generate, promptOf, RequestError, ROOT } from "./api.js";
import { byId, pageData, replaceAddress } from "./dom.js";
import { draftStore } from "./drafts.js";
import { describeEnd, Generation } from "./generation.js";
import { showError, showStatus } from "./messages.js";
import { SamplePanel, Samples } from "./samples.js";
import { Scene } from "./scene.js";
import { requestsOf, Settings } from "./settings.js";
import { savedContent, Surface } from "./surface.js";
import { Tools } from "./tools.js";
import { gettext, shownNumber } from "./translate.js";
import { UnknownWords } from "./unknown_words.js";
import { SampleView, tokenOf, WordCard, wordAt } from "./words.js";

const page = pageData();
const form = byId("write", HTMLFormElement);
const generation = new Generation(generate);
const surface = new Surface(byId("prompt", HTMLTextAreaElement), byId("prompt_label"), onChange);
const card = new WordCard(byId("card"), form, {
  isEnabled: () => generation.isIdle,
  onContinue: continueFrom,
});
const samples = new Samples(
  byId("samples"),
  (title, cue) => new SamplePanel(title, cue, card, keep),
);
const scene = new Scene(surface);
const settings = new Settings(form, (model) => scene.useModel(model));
const unknownWords = new UnknownWords(
  surface,
  byId("unknown"),
  () => ({ text: prompt(), model: settings.model }),
  (words) => scene.explain(words),
);
const tools = new Tools(byId("tools"), surface, {
  store: draftStore(page),
  canShare: page.can_share,
  model: () => page.titles[settings.model ?? ""] ?? Object.values(page.titles)[0],
  cuePattern: () => scene.cuePattern,
  tell: showStatus,
  onReplaced: () => {
    lastContent = null;
    samples.close();
  },
});
const buttonIds = ["generate", "stop", "again", "undo", "redo", "clear"];
const buttons = Object.fromEntries(buttonIds.map((id) => [id, byId(id, HTMLButtonElement)]));

/** The text that Again continues once more. @type {Content | null} */
let lastContent = null;

/**
 * Continue the text, with `cue` before the continuation. If the text was changed for that,
 * `undoTo` is the one before: Undo returns to it, and so does a generation that fails before its
 * first token.
 * @param {{undoTo?: Content, isAgain?: boolean, cue?: string}} options
 */
async function write({ undoTo, isAgain, cue = scene.cue } = {}) {
  if (!isReady()) return;
  const common = { prompt: prompt(cue), num_alternatives: page.num_alternatives, ...scene.fields };
  const requests = requestsOf(settings.fields, common, { isAgain });
  const isSideBySide = requests.length > 1 || requests[0].body.num_samples > 1;
  const note = cutNote();
  const focused = lock();
  let hasBegun = false;
  // A request that fails before its first token must not change Undo and Again.
  const onFirstToken = () => {
    hasBegun = true;
    lastContent = surface.content();
    if (undoTo || !isSideBySide) surface.record(undoTo ?? lastContent);
  };
  try {
    const run = isSideBySide ? writeSideBySide : writeInText;
    showStatus((await run(requests, cue, onFirstToken)) + note);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    samples.removeEmpty();
    showError(error);
  } finally {
    if (undoTo && !hasBegun) surface.restore(undoTo);
    unlock(focused);
  }
}

/** @param {TitledRequest[]} requests @param {string} cue @param {() => void} onFirstToken */
async function writeInText([{ body }], cue, onFirstToken) {
  const view = new SampleView((token) => surface.append(token));
  const begin = () => {
    onFirstToken();
    samples.close();
    surface.appendText(cue);
  };
  const [result] = await generation.run([body], [[view]], begin);
  return describeEnd(result.samples[0], view.tokens.length, result.seed);
}

/** @param {TitledRequest[]} requests @param {string} cue @param {() => void} onFirstToken */
async function writeSideBySide(requests, cue, onFirstToken) {
  const columns = samples.open(requests, cue);
  const bodies = requests.map(({ body }) => body);
  await generation.run(bodies, columns, onFirstToken, (i, result) => {
    samples.showEnds(columns[i], result);
  });
  return gettext("Choose one to make it part of the text.");
}

/** Return whether a generation can begin; the browser reports what is wrong in the form. */
function isReady() {
  byId("error").hidden = true;
  return generation.isIdle && form.reportValidity();
}

/** Prepare the page for a generation; return the element that had the focus. */
function lock() {
  const focused = document.activeElement;
  surface.isLocked = true;
  surface.element.setAttribute("aria-busy", "true");
  card.hide();
  document.getElementById("results")?.remove();
  showStatus(gettext("Writing…"));
  buttons.stop.hidden = false;
  buttons.generate.hidden = true;
  if (!surface.hasCaret) buttons.stop.focus({ preventScroll: true });
  return focused;
}

/** End what `lock` began; give the focus back. @param {Element | null} focused */
function unlock(focused) {
  surface.isLocked = false;
  surface.element.removeAttribute("aria-busy");
  buttons.generate.hidden = false;
  surface.changed();
  const isControl =
    focused instanceof HTMLElement &&
    focused !== surface.element &&
    form.contains(focused) &&
    !byId("card").contains(focused);
  if (isControl) focused.focus({ preventScroll: true });
  else surface.moveCaretToEnd();
  buttons.stop.hidden = true;
}

function again() {
  if (!lastContent || !isReady()) return;
  const undoTo = surface.content();
  surface.restore(lastContent);
  write({ undoTo, isAgain: true });
}

/**
 * Continue after a word of the model, or after an alternative in its place.
 * @param {HTMLElement} word @param {Alternative} [alternative] An empty text is the end of the text.
 */
function continueFrom(word, alternative) {
  if (!isReady()) return;
  const undoTo = surface.content();
  surface.cutAt(inText(word), { keepsWord: !alternative });
  if (alternative?.text === "") {
    surface.record(undoTo);
    surface.changed();
    return;
  }
  const token = /** @type {Token} */ (tokenOf(word));
  if (alternative) surface.append({ ...token, ...alternative, copied: 0 });
  write({ undoTo, cue: "" });
}

/** @param {SamplePanel} sample */
function keep(sample) {
  if (!generation.isIdle) return;
  surface.record();
  appendSample(sample);
  surface.changed();
  surface.moveCaretToEnd();
}

/**
 * Return the element of a word in the text; a sample that contains it becomes part of the text.
 * @param {HTMLElement} word
 */
function inText(word) {
  const sample = samples.find(word);
  return sample ? appendSample(sample)[sample.words.indexOf(word)] : word;
}

/** @param {SamplePanel} sample */
function appendSample({ cue, tokens }) {
  samples.close();
  surface.appendText(cue);
  return tokens.map((token) => surface.append(token)).filter((word) => word !== null);
}

function prompt(cue = "") {
  return promptOf(surface.text + cue, page.max_prompt_length);
}

function cutNote() {
  const limit = page.max_prompt_length;
  if (surface.text.length <= limit) return "";
  return ` ${gettext("The model has read the last %(limit)s characters.", { limit: shownNumber(limit) })}`;
}

/**
 * Show a text from the server; Undo returns to the one before.
 * @param {Given} given @param {Content | null} before
 */
function showGiven(given, before) {
  if (before?.length) surface.record(before);
  surface.restore([given.prompt]);
  const view = new SampleView((token) => surface.append(token));
  for (const token of given.tokens) view.add(token);
  view.end(given);
  document.getElementById("results")?.remove();
  // The settings of a regenerated text are those of its record, not of the user.
  if (view.words.length) settings.restore();
  else settings.save();
  replaceAddress(ROOT);
}

function onChange() {
  card.leaveRemovedWord(surface.element);
  const isBusy = !generation.isIdle;
  buttons.undo.disabled = isBusy || !surface.canUndo;
  buttons.redo.disabled = isBusy || !surface.canRedo;
  buttons.clear.disabled = isBusy || surface.text === "";
  buttons.again.disabled = isBusy || !lastContent;
  scene.update({ isBusy });
  tools.update({ isBusy });
  if (isBusy) return;
  surface.saveSoon();
  unknownWords.checkSoon();
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.isComposing) return;
  if (event.key === "Escape") onEscape();
  const command = event.ctrlKey || event.metaKey ? commandOf(event) : null;
  if (!command) return;
  event.preventDefault();
  command();
}

/** Return what a key does with Ctrl or Cmd. @param {KeyboardEvent} event */
function commandOf({ key, shiftKey }) {
  const name = key.toLowerCase();
  if (name === "enter") return () => write();
  if (!surface.hasCaret) return null;
  if (name === "z" && !shiftKey) return () => surface.undo();
  return name === "z" || name === "y" ? () => surface.redo() : null;
}

function onEscape() {
  generation.stop();
  if (!card.isShown) return;
  card.leave(surface.element);
  handledCaret = caret();
}

/** A click or Escape has opened or closed the card at this caret; it stays so until it moves. */
let handledCaret = /** @type {ReturnType<typeof caret> | null} */ (null);

function caret() {
  const selection = document.getSelection();
  return { node: selection?.anchorNode, offset: selection?.anchorOffset };
}

function onCaret() {
  if (!generation.isIdle || document.activeElement !== surface.element) return;
  const { node, offset } = caret();
  if (handledCaret?.node === node && handledCaret?.offset === offset) return;
  handledCaret = null;
  const word = surface.wordAtCaret;
  if (word) card.show(word, { isPinned: true });
  else if (!card.hasSelection) card.hide();
}

function listen() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    write();
  });
  form.addEventListener("change", ({ target }) => {
    settings.save();
    const isModel = target instanceof HTMLSelectElement && target.name === "model";
    if (isModel) surface.changed(); // each model has its own vocabulary
  });
  const unfold = (/** @type {Event} */ { target }) => {
    let details = target instanceof Element ? target.closest("details") : null;
    for (; details; details = details.parentElement?.closest("details") ?? null) {
      details.open = true; // the browser points to an invalid field
    }
  };
  form.addEventListener("invalid", unfold, { capture: true });
  form.addEventListener("click", ({ target }) => {
    // It may have put the caret at the border of the word, where it is not in the word.
    if (wordAt(target)) handledCaret = caret();
  });
  for (const id of ["actions", "tools", "unknown", "samples"]) {
    // A click on a button leaves the caret in the text, so that the user can type on.
    byId(id).addEventListener("mousedown", (event) => {
      const isButton = event.target instanceof Element && event.target.closest("button");
      if (surface.hasCaret && isButton) event.preventDefault();
    });
  }
  buttons.stop.addEventListener("click", ({ detail }) => {
    // The second click of a double click on Generate hits Stop, which has taken its place.
    if (detail < 2) generation.stop();
  });
  buttons.again.addEventListener("click", again);
  buttons.undo.addEventListener("click", () => surface.undo());
  buttons.redo.addEventListener("click", () => surface.redo());
  buttons.clear.addEventListener("click", () => {
    surface.record();
    surface.restore([]);
    surface.moveCaretToEnd();
  });
  byId("reset").addEventListener("click", () => settings.reset());
  addEventListener("pagehide", () => surface.save());
  document.addEventListener("keydown", onKey);
  document.addEventListener("selectionchange", onCaret);
}

function start() {
  for (const element of document.querySelectorAll(".with-script"))
    element.removeAttribute("hidden");
  const { given } = page;
  const saved = savedContent();
  if (given) {
    showGiven(given, saved);
    tools.forget();
  } else {
    if (saved && !surface.text) surface.restore(saved);
    tools.resume();
    settings.restore(); // after the text, whose speakers can be chosen
  }
  surface.changed();
  // A frame must not take the focus, and with it the scroll position, of the page around it.
  if (window === window.top) surface.moveCaretToEnd();
  listen();
}

start();
