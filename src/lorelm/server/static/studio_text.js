// Loads the page of a text again when more is known of it.

import { byId } from "./dom.js";

const MILLISECONDS_BETWEEN_LOOKS = 700;

const { read, whole } = byId("text").dataset;
if (read === "no" || whole === "no") setTimeout(look, MILLISECONDS_BETWEEN_LOOKS);

async function look() {
  try {
    const address = location.pathname.replace(/\/$/, "") + "/report";
    const known = await (await fetch(address)).json();
    const isNew = known.is_read && (read === "no" || known.is_whole);
    // What the user is typing stays: the form below is looked at, not only read.
    const isTyping = document.activeElement?.closest("form");
    if (isNew && !isTyping) return location.reload();
  } catch {
    // The studio is being started again.
  }
  setTimeout(look, MILLISECONDS_BETWEEN_LOOKS);
}
