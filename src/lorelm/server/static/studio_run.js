// Loads the page of a run again when its state changes: the buttons are others then.

import { byId } from "./dom.js";

const MILLISECONDS_BETWEEN_TRIES = 1000;
const MILLISECONDS_TO_LOAD = 20_000;

const { state, events } = byId("run-state").dataset;
if (["waiting", "running", "stopping"].includes(state ?? "")) {
  const source = new EventSource(/** @type {string} */ (events));
  source.addEventListener("message", ({ data }) => {
    const { end, epochs } = JSON.parse(data);
    // The best epoch can be kept as soon as there is one.
    const keep = document.getElementById("keep");
    if (keep && epochs?.rows.length) keep.hidden = false;
    if (end) again(source);
  });
  // The stream ends when the state changes, and when the studio ends.
  source.addEventListener("error", () => again(source));
}

/** @param {EventSource} source */
async function again(source) {
  source.close();
  const answer = await fetch(location.href, { method: "HEAD" }).catch(() => null);
  if (answer?.ok) location.reload();
  // Also after that: another navigation may have come first and led nowhere.
  setTimeout(() => again(source), answer?.ok ? MILLISECONDS_TO_LOAD : MILLISECONDS_BETWEEN_TRIES);
}
