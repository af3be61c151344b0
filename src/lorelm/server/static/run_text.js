// What the page of a training run says, and how events change what is known; no elements here.

import { gettext, ngettext, shownNumber } from "./translate.js";

/**
 * Merge an event into what is known of the run; return the names of the parts that changed.
 * @param {RunState} run @param {Record<string, any>} event
 */
export function mergeEvent(run, event) {
  const known = /** @type {Record<string, any>} */ (run);
  for (const [name, value] of Object.entries(event)) {
    if (value && typeof value === "object" && "rows" in value)
      known[name] = [...(known[name] ?? []).slice(0, value.from), ...value.rows];
    else known[name] = value;
  }
  return Object.keys(event);
}

/** @type {Record<string, () => string>} */
const STAGES = {
  waiting: () => gettext("Waiting for its turn …"),
  preparing: () => gettext("Reading the text and preparing …"),
  evaluating: () => gettext("Evaluating the best epoch on the test part …"),
  finished: () => gettext("Finished. The model is saved."),
  failed: () => gettext("Failed."),
};

/** Say in a sentence what the run is doing. @param {RunState} run */
export function stageOf({ progress, epochs }) {
  if (!progress) return "";
  const done = epochs?.length ?? 0;
  const all = progress.epochs;
  switch (progress.stage) {
    case "training": // a time budget may last for more epochs than were expected
      return done < all
        ? gettext("Training: epoch %(epoch)s of %(all)s.", { epoch: done + 1, all })
        : gettext("Training: epoch %(epoch)s is over.", { epoch: done });
    case "stopped":
      return done < all
        ? gettext("Stopped after %(done)s of %(all)s epochs.", { done, all })
        : ngettext("Stopped after %(n)s epoch.", "Stopped after %(n)s epochs.", done);
    default:
      return (STAGES[progress.stage] ?? STAGES.failed)();
  }
}

/** @type {Record<string, () => string>} */
const SHORT_STAGES = {
  waiting: () => gettext("waiting"),
  preparing: () => gettext("preparing"),
  evaluating: () => gettext("evaluating"),
  finished: () => gettext("finished"),
  stopped: () => gettext("stopped"),
  failed: () => gettext("failed"),
};

/** Return the title of the window, which tells how far it is. @param {RunState} run @param {string} source */
export function titleOf({ progress }, source) {
  const title = gettext("%(source)s – LoreLM trains", { source });
  if (!progress) return title;
  const share = Math.floor(progress.share * 100) / 100;
  const stage =
    progress.stage === "training"
      ? shownNumber(share, { style: "percent" })
      : (SHORT_STAGES[progress.stage] ?? SHORT_STAGES.failed)();
  return `${stage} – ${title}`;
}

/** Return a time as people say it: 42 s, 3 min, 1.5 h. @param {number} seconds */
export function duration(seconds) {
  if (seconds < 120) return gettext("%(seconds)s s", { seconds: Math.round(seconds) });
  if (seconds < 7200) return gettext("%(minutes)s min", { minutes: Math.round(seconds / 60) });
  return gettext("%(hours)s h", { hours: fixed(seconds / 3600, 1) });
}

/** Return a number with that many digits after the decimal sign. @param {number} value @param {number} digits */
export function fixed(value, digits) {
  return shownNumber(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Return a number with three digits, or all those of a large one: 0.0064, 74.3, 12,080. @param {number} value */
export function number(value) {
  if (Math.abs(value) >= 1000) return shownNumber(value, { maximumFractionDigits: 0 });
  return shownNumber(value, { maximumSignificantDigits: 3 });
}
