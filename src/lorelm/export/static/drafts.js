// Where the drafts of an exported page are kept: in the browser, as there is no server.

import { LocalDrafts } from "./local_drafts.js";

/** Return the place for drafts. @returns {DraftStore} */
export function draftStore() {
  return new LocalDrafts();
}
