// Types of an exported page, for `tsc --checkJs`; no browser loads this file.

/** What the exporter wrote into the page, see export/page.py. */
type SiteData = {
  /** The names of files; without `copies`, copied text is not marked. */
  model: string;
  copies: string | null;
  /** Size of the model's file. */
  num_bytes: number;
};
