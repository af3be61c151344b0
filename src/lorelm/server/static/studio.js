// The drop zone of the studio: files go to the server as soon as they are dropped or chosen.
// Without this script it is a plain form. And samples of models, when they are written.

import { byId } from "./dom.js";
import { gettext } from "./translate.js";

const drop = byId("drop", HTMLFormElement);
const files = byId("files", HTMLInputElement);
const progress = byId("upload", HTMLProgressElement);

for (const name of ["dragenter", "dragover"])
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
for (const name of ["dragleave", "drop"])
  drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (!event.dataTransfer?.files.length) return;
  files.files = event.dataTransfer.files;
  send();
});
files.addEventListener("change", () => {
  if (files.files?.length) send();
});
drop.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});

function send() {
  const request = new XMLHttpRequest(); // fetch tells no progress of uploads
  request.open("POST", drop.action);
  request.setRequestHeader("Accept", "application/json");
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    progress.value = loaded / Math.max(total, 1);
  });
  request.addEventListener("load", () => finish(request));
  request.addEventListener("error", () =>
    fail(gettext("The studio does not answer. Is it still running?")),
  );
  byId("error").hidden = true;
  progress.hidden = false;
  byId("add", HTMLButtonElement).disabled = true;
  request.send(new FormData(drop));
}

/** @param {XMLHttpRequest} request */
function finish(request) {
  /** @type {{url?: string, error?: {message: string}}} */
  let answer = {
    error: { message: gettext("The studio answers %(status)s", { status: request.status }) },
  };
  try {
    answer = JSON.parse(request.responseText);
  } catch {
    // A proxy has answered with a page of its own.
  }
  const { url, error } = answer;
  if (url) {
    const address = new URL(url, new URL("..", import.meta.url));
    const isHere = address.pathname === location.pathname;
    location.assign(address);
    if (isHere) location.reload(); // with another part of it to be shown
  } else if (error) fail(`${error.message}.`);
}

/** @param {string} message */
function fail(message) {
  progress.hidden = true;
  byId("add", HTMLButtonElement).disabled = false;
  files.value = "";
  byId("error").textContent = message;
  byId("error").hidden = false;
}

const MILLISECONDS_BETWEEN_LOOKS = 1500;

for (const element of document.querySelectorAll("[data-sample]"))
  if (element instanceof HTMLElement) setTimeout(fill, MILLISECONDS_BETWEEN_LOOKS, element);

/** Fill in a sample as soon as it is written. @param {HTMLElement} element */
async function fill(element) {
  const answer = await fetch(element.dataset.sample ?? "").catch(() => null);
  const { sample } = answer?.ok ? await answer.json() : { sample: null };
  if (sample === null) setTimeout(fill, MILLISECONDS_BETWEEN_LOOKS, element);
  else {
    Object.assign(element, { lang: "", dir: "auto" });
    element.textContent = sample;
  }
}
