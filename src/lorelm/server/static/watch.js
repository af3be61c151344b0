// The page of a training run: it draws what the run sends, and keeps it when the run is over.

import { Chart } from "./chart.js";
import { byId, make } from "./dom.js";
import { duration, fixed, mergeEvent, number, stageOf, titleOf } from "./run_text.js";
import { gettext, ngettext } from "./translate.js";

/** @type {RunState} */
const run = {};

/** Of what the command says: it is not translated. */
const ENGLISH = /** @type {const} */ ({ lang: "en", dir: "auto" });

const NEWEST_SAMPLES = 3;
const EARLIER_SAMPLES = 50;

const table = byId("table", HTMLDetailsElement);
table.addEventListener("toggle", drawTable);

// In the studio there is no command to resume a run with, but a button.
const { source, resume, events: address } = byId("run").dataset;

const charts = {
  loss: new Chart(byId("loss"), {
    ...{
      label: gettext("Loss by epoch"),
      x: "epoch",
      empty: gettext("The first point appears after epoch 1."),
    },
    showX: (epoch) => gettext("epoch %(epoch)s", { epoch }),
    showY: (loss) => fixed(loss, 2),
    lines: [
      { name: gettext("validation"), key: "valid" },
      { name: gettext("training"), key: "train" },
    ],
  }),
  learning: new Chart(byId("learning"), {
    ...{
      label: gettext("Training loss by time"),
      x: "seconds",
      empty: gettext("It begins with the training."),
    },
    showX: (seconds) => duration(seconds),
    showY: (loss) => fixed(loss, 2),
    lines: [{ name: gettext("training"), key: "loss" }],
  }),
  rate: new Chart(byId("rate"), {
    ...{
      label: gettext("Learning rate by epoch"),
      x: "epoch",
      empty: gettext("After the first epoch."),
      fromZero: true,
    },
    showX: (epoch) => gettext("epoch %(epoch)s", { epoch }),
    showY: (rate) => number(rate),
    lines: [{ name: "", key: "rate" }],
  }),
  pace: new Chart(byId("pace"), {
    ...{ label: gettext("Tokens per second"), x: "seconds", empty: "", fromZero: true },
    showX: (seconds) => duration(seconds),
    showY: (speed) => number(speed),
    lines: [{ name: "", key: "speed" }],
  }),
  resident: new Chart(byId("resident"), {
    ...{ label: gettext("Memory in megabytes"), x: "seconds", empty: "", fromZero: true },
    showX: (seconds) => duration(seconds),
    showY: (megabytes) => gettext("%(megabytes)s MB", { megabytes: number(megabytes) }),
    lines: [{ name: "", key: "memory" }],
  }),
};

/** Draw the parts that an event brought. @type {Record<string, () => void>} */
const drawers = {
  progress: drawProgress,
  epochs: drawEpochs,
  usage: drawUsage,
  samples: drawSamples,
  messages: drawMessages,
  corpus: () => byId("corpus").replaceChildren(...(run.corpus ?? []).flatMap(fact)),
  settings: drawSettings,
  end: drawEnd,
};

const events = new EventSource(/** @type {string} */ (address));
events.addEventListener("message", ({ data }) => {
  const changed = mergeEvent(run, JSON.parse(data));
  for (const part of changed) drawers[part]?.();
  if (run.end) events.close();
});
// The browser tries again by itself: a computer that slept finds its run again.
events.addEventListener("error", () => {
  if (run.end) return;
  byId("stage").textContent = resume
    ? gettext(
        "This page has lost its connection to the command that fills it. lorelm runs shows the state of the run; if it was stopped, continue with %(command)s",
        { command: resume },
      )
    : gettext(
        "The studio does not answer. The run continues without it, and this page when the studio is back.",
      );
});

function drawProgress() {
  const { progress } = run;
  if (!progress) return;
  const bar = byId("share", HTMLProgressElement);
  const isCounted = ["training", "stopped", "failed"].includes(progress.stage);
  if (isCounted) bar.value = Math.min(progress.share, 0.99);
  else if (progress.stage === "finished") bar.value = 1;
  else bar.removeAttribute("value");
  setText("stage", stageOf(run));
  setText("seconds", duration(progress.seconds));
  setText(
    "left",
    progress.secondsLeft === null
      ? "–"
      : gettext("about %(time)s", { time: duration(progress.secondsLeft) }),
  );
  setText("speed", progress.tokensPerSecond === null ? "–" : number(progress.tokensPerSecond));
  document.title = titleOf(run, source ?? "");
}

function drawEpochs() {
  const rows = run.epochs ?? [];
  charts.loss.draw(rows);
  charts.rate.draw(rows);
  const best = bestEpoch();
  if (best)
    byId("best").replaceChildren(
      number(best.perplexity),
      make("small", {}, gettext("epoch %(epoch)s", { epoch: best.epoch })),
    );
  if (table.open) drawTable();
  drawSamples();
  setText("stage", stageOf(run));
}

function drawTable() {
  byId("epochs").replaceChildren(...(run.epochs ?? []).map(epochRow));
}

/** @param {EpochRow} row */
function epochRow(row) {
  const cells = [
    fixed(row.train, 3),
    fixed(row.valid, 3),
    number(row.perplexity),
    number(row.rate),
  ];
  cells.push(number(row.speed), duration(row.seconds));
  const label = row.isBest
    ? gettext("%(epoch)s, the best so far", { epoch: row.epoch })
    : String(row.epoch);
  const name = make("th", { scope: "row" }, label);
  return make("tr", {}, name, ...cells.map((cell) => make("td", {}, cell)));
}

function drawUsage() {
  const points = (run.usage ?? []).map(([seconds, speed, memory, cores, loss]) => ({
    ...{ seconds, speed, memory, cores },
    loss: loss ?? null,
  }));
  charts.learning.draw(points.filter(({ loss }) => typeof loss === "number"));
  charts.pace.draw(points);
  charts.resident.draw(points);
  const last = points.at(-1);
  if (!last || !run.progress) return;
  setText("memory", gettext("%(megabytes)s MB", { megabytes: number(last.memory) }));
  const { threads = 1, cores = 1 } = run.progress;
  const busy = ngettext(
    "of %(cores)s cores; %(n)s thread",
    "of %(cores)s cores; %(n)s threads",
    threads,
    {
      cores,
    },
  );
  byId("cores").replaceChildren(fixed(last.cores, 1), make("small", {}, busy));
}

function drawSamples() {
  const samples = (run.samples ?? []).toReversed();
  const best = bestEpoch()?.epoch;
  byId("no-samples").hidden = samples.length > 0;
  const isNew = (/** @type {number} */ i) => i < NEWEST_SAMPLES || samples[i].epoch === best;
  const articles = samples.map(({ epoch, text }) =>
    make(
      "article",
      { className: epoch === best ? "best" : "" },
      make(
        "h3",
        {},
        epoch === best
          ? gettext("Epoch %(epoch)s, the best", { epoch })
          : gettext("Epoch %(epoch)s", { epoch }),
      ),
      text
        ? make("p", { lang: "", dir: "auto" }, text)
        : make("p", {}, gettext("(an empty sample)")),
    ),
  );
  byId("newest").replaceChildren(...articles.filter((_, i) => isNew(i)));
  const earlier = articles.filter((_, i) => !isNew(i)).slice(0, EARLIER_SAMPLES);
  byId("earlier-box").hidden = !earlier.length;
  byId("earlier").replaceChildren(...earlier);
}

function bestEpoch() {
  return run.epochs?.findLast((row) => row.isBest);
}

function drawMessages() {
  byId("message-box").hidden = false;
  byId("messages").replaceChildren(...(run.messages ?? []).map((each) => make("li", {}, each)));
}

function drawSettings() {
  const items = (run.settings ?? []).map(([name, value]) =>
    make("div", { className: name === "recipe" ? "whole" : "" }, ...fact([name, value])),
  );
  byId("settings").replaceChildren(...items);
}

/** @param {[string, string]} fact */
function fact([name, value]) {
  return [make("dt", ENGLISH, name.replaceAll("_", " ")), make("dd", ENGLISH, value)];
}

function drawEnd() {
  const { end, progress } = run;
  if (!end) return;
  const content = byId("end-content");
  byId("end").hidden = false;
  if (end.message) content.replaceChildren(make("p", { dir: "auto" }, end.message));
  else
    content.replaceChildren(
      make("dl", {}, ...(end.facts ?? []).flatMap(fact)),
      ...(end.findings ?? []).map((finding) => make("p", ENGLISH, finding)),
      make("p", { className: "note", ...ENGLISH }, end.text ?? ""),
      ...(resume ? nextCommands(end.commands ?? []) : []),
    );
  if (progress) drawProgress();
}

/** What to type next, where the run came from a terminal. @param {string[]} commands */
function nextCommands(commands) {
  return [
    make("p", {}, gettext("Continue with")),
    make("pre", { tabIndex: 0, ...ENGLISH }, commands.join("\n")),
  ];
}

/** Change a text only if it is another, so that screen readers stay quiet. @param {string} id @param {string} text */
function setText(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}
