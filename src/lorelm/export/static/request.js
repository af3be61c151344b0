// What a request asks for. The page's form checks the ranges of its fields.

/**
 * @typedef {object} SamplingSettings
 * @property {number} temperature
 * @property {number} top_k
 * @property {number} top_p
 * @property {number} min_p
 * @property {number} repetition_penalty
 * @property {number} frequency_penalty
 * @property {number} presence_penalty
 */

/**
 * @typedef {SamplingSettings & {
 *   prompt: string, max_len: number, min_len: number, num_samples: number, stop: string[],
 *   seed: number | null, single_turn: boolean, novel_span: number, num_alternatives: number,
 * }} Settings
 */

const LARGEST_SEED = 2 ** 53;

/** A request that cannot be met, with the fields that are wrong. */
export class WrongRequest extends Error {
  /** @param {string} message @param {FieldProblem[]} fields */
  constructor(message, fields = []) {
    super(message);
    this.fields = fields;
  }
}

/**
 * Return the settings of a request.
 * @param {RequestBody} body @param {RequestBody} defaults
 * @returns {Settings}
 */
export function settingsOf(body, defaults) {
  // The page names its only model.
  const unknown = Object.keys(body).filter((name) => !(name in defaults) && name !== "model");
  if (unknown.length) throw new WrongRequest(`This page cannot do ${unknown.join(", ")}`);
  const settings = /** @type {Settings} */ ({ ...defaults, ...body });
  if (settings.min_len > settings.max_len) {
    const message = `must be at least ${settings.min_len}, not ${settings.max_len}`;
    throw new WrongRequest(`max_len ${message}`, [{ field: "max_len", message }]);
  }
  return settings;
}

/** Return the seed of each sample. @param {Settings} settings */
export function seedsOf({ seed, num_samples: numSamples }) {
  const first = seed ?? crypto.getRandomValues(new Uint32Array(1))[0];
  const last = LARGEST_SEED - numSamples;
  if (first > last) {
    const message = `must be at most ${last}, not ${first}`;
    throw new WrongRequest(`seed ${message}`, [{ field: "seed", message }]);
  }
  return Array.from({ length: numSamples }, (_, i) => first + i);
}
