// Chooses where drafts are kept.

import { LocalDrafts } from "./local_drafts.js";
import { ServerDrafts } from "./server_drafts.js";

/**
 * Return the place for drafts; null where none are kept.
 * @param {{drafts: PageData["drafts"], max_body_bytes: number}} page
 * @returns {DraftStore | null}
 */
export function draftStore({ drafts, max_body_bytes: maxBytes }) {
  if (drafts === "server") return new ServerDrafts(maxBytes);
  return drafts === "browser" ? new LocalDrafts() : null;
}
