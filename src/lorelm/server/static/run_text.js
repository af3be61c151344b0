// What the page of a training run says, and how events change what is known; no elements here.

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

/** @type {Record<string, string>} */
const STAGES = {
  waiting: "Waiting for its turn …",
  preparing: "Reading the text and getting ready …",
  evaluating: "Evaluating the best epoch on the test part …",
  finished: "Finished. The model is saved.",
};

/** Say in a sentence what the run is doing. @param {RunState} run */
export function stageOf({ progress, epochs }) {
  if (!progress) return "";
  const done = epochs?.length ?? 0;
  switch (progress.stage) {
    case "training":
      return trainingText(done, progress.epochs);
    case "stopped":
      return `Stopped after ${
        done < progress.epochs
          ? `${done} of ${progress.epochs} epochs`
          : `${done} epoch${done === 1 ? "" : "s"}`
      }.`;
    default:
      return STAGES[progress.stage] ?? "Failed.";
  }
}

/**
 * Say which epoch is trained; a time budget may last for more epochs than were expected.
 * @param {number} done @param {number} expected
 */
function trainingText(done, expected) {
  return done < expected
    ? `Training: epoch ${done + 1} of ${expected}.`
    : `Training: epoch ${done} is over.`;
}

/** Return the title of the window, which tells how far it is. @param {RunState} run @param {string} source */
export function titleOf({ progress }, source) {
  const share =
    progress?.stage === "training" ? `${Math.floor(progress.share * 100)} %` : progress?.stage;
  return `${share ? `${share} – ` : ""}${source} – LoreLM trains`;
}

/** Return a time as people say it: 42 s, 3 min, 1.5 h. @param {number} seconds */
export function duration(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** Return a number with three digits, or all those of a large one: 0.0064, 74.3, 12,080. @param {number} value */
export function number(value) {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}
