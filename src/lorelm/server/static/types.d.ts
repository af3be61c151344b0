// Types of the JSON API and of the page, for `tsc --checkJs`; no browser loads this file.

type Alternative = { text: string; log_probability: number };

/** `copied`: tokens of the copied span that the token belongs to; 0 if there is none. */
type Token = Alternative & { alternatives: Alternative[]; copied?: number };

/** Offsets in code points. */
type CopiedSpan = { start: number; end: number; num_tokens: number };

type SampleEnd = {
  finish_reason: string;
  copied_spans?: CopiedSpan[] | null;
  missing_words?: string[] | null;
};

type ApiEvent = { name: string; data: any };

/** What is wrong with one field of a request. */
type FieldProblem = { field: string; message: string };

type RequestBody = Record<string, unknown>;

type TitledRequest = { title: string; body: RequestBody & { num_samples: number } };

type UnknownWord = { word: string; nearest: string[] };

type UnknownWordList = { unknown_words: UnknownWord[]; num_unknown_words: number };

/** A text from the server: of the history, or written by a form without scripts. */
type Given = { prompt: string; tokens: Token[]; copied_spans?: CopiedSpan[] | null };

/** Values of the server, see `page_data=` in pages/write_page.py. */
type PageData = {
  num_alternatives: number;
  /** The server reads that many characters. */
  max_prompt_length: number;
  /** Lower bounds of the probabilities of the tints 0 to 3. */
  level_bounds: number[];
  given: Given | null;
  /** Where drafts are kept. */
  drafts: "server" | "browser" | "nowhere";
  /** The longest request that the server reads. */
  max_body_bytes: number;
  can_share: boolean;
  /** What people read of each model, by its name. */
  titles: Record<string, string>;
  /** The speakers of the models that have any, the most frequent first. */
  speakers?: Record<string, string[]>;
  /** Of an exported page, see export/static/site.d.ts. */
  site?: SiteData;
};

/** Takes the tokens of one sample. */
type SampleSink = { add(token: Token): void; end(sample: SampleEnd): void };

/** Of one request: the seed of its first sample, and the samples that ended. */
type Result = { seed: number; samples: SampleEnd[] };

/** The text as strings and tokens, in their order. */
type Content = (string | Token)[];

/** A token without its alternatives: text, log-probability, length of the copied span if any. */
type KeptToken = [string, number] | [string, number, number];

/** The text of a draft: what somebody typed, and tokens. */
type KeptContent = (string | KeptToken)[];

/** Times are ISO 8601 in UTC; `content` is null in lists. */
type Draft = {
  id: string;
  name: string;
  starred: boolean;
  version: number;
  created_at: string;
  changed_at: string;
  model: string;
  excerpt: string;
  content: KeptContent | null;
};

type NewDraft = { name: string; content: KeptContent; model: string; starred?: boolean };

/** `version` is the one that it replaces. */
type DraftSave = { version: number; content: KeptContent; model: string };

/** Where drafts are kept; ids are of this place. Failures are RequestErrors. */
interface DraftStore {
  /** Says to people where it is. */
  place: string;
  list(query: { search?: string; after?: string | null }): Promise<DraftList>;
  open(id: string): Promise<Draft>;
  add(draft: NewDraft): Promise<Draft>;
  /** Fails with code "draft.conflict" if another version is kept. */
  save(id: string, save: DraftSave, options?: { keepalive?: boolean }): Promise<Draft>;
  change(id: string, change: { name?: string; starred?: boolean }): Promise<Draft>;
  /** Return what was removed, with its content. */
  remove(id: string): Promise<Draft>;
}

/** A page of drafts, and where the next one begins. */
type DraftList = { drafts: Draft[]; next: string | null };

/** A link to a text; only the reply that made it has its path. */
type SharedLink = {
  id: string;
  name: string;
  created_at: string;
  model: string;
  excerpt: string;
  path?: string;
};

/** What a request needs of a form field. */
type Field = { name: string; type: string; value: string; checked?: boolean };

/** The metrics of an epoch; losses in nats per token. */
type EpochRow = {
  epoch: number;
  train: number;
  valid: number;
  perplexity: number;
  rate: number;
  speed: number;
  seconds: number;
  isBest: boolean;
};

/** Seconds since the start, tokens a second, megabytes, busy cores, training loss. */
type UsageRow = [number, number, number, number, number | null];

/** What is known of a training run, see cli/watch.py; a part is absent until its first event. */
type RunState = {
  progress?: {
    stage: string;
    share: number;
    epochs: number;
    seconds: number;
    secondsLeft: number | null;
    tokensPerSecond: number | null;
    threads?: number;
    cores?: number;
  };
  epochs?: EpochRow[];
  usage?: UsageRow[];
  samples?: { epoch: number; text: string }[];
  messages?: string[];
  corpus?: [string, string][];
  settings?: [string, string][];
  end?: {
    message?: string;
    facts?: [string, string][];
    findings?: string[];
    text?: string;
    commands?: string[];
  };
};
