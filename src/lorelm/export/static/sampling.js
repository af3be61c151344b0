// Logits to the next id, as lorelm/sampling.py. The two may differ in the last bits of exponentials
// and sums, which decides about one token in ten million.

import { UNK_ID } from "./special_tokens.js";

const SLACK = 0.99; // times the share of min-p, for a first choice: rounding may lower a logit

/** @typedef {import("./request.js").SamplingSettings} SamplingSettings */

/**
 * Sample the next id.
 * @param {Float32Array} logits @param {SamplingSettings} settings
 * @param {number} uniform From 0 to below 1; not used at temperature 0.
 */
export function sample(logits, settings, uniform) {
  if (settings.temperature === 0) return likeliest(logits);
  const weights = weightsOf(logits, settings);
  const target = uniform * sumOf(weights);
  let [id, sum] = [0, weights[0]];
  while (sum <= target && id < weights.length - 1) sum += weights[++id];
  return id;
}

/** Return the first id whose weight is that of the likeliest. @param {Float32Array} logits */
function likeliest(logits) {
  const highest = highestOf(logits);
  return logits.findIndex(
    (logit) => logit > highest - 1e-6 && Math.fround(Math.exp(Math.fround(logit - highest))) >= 1,
  );
}

// Loops by index: iterators and callbacks take several times as long, for 24,687 ids at each token.

/** @param {Float32Array} logits */
function highestOf(logits) {
  let highest = -Infinity;
  for (let id = 0; id < logits.length; id++) if (logits[id] > highest) highest = logits[id];
  return highest;
}

/** @param {Float32Array} weights */
function sumOf(weights) {
  let sum = 0;
  for (let id = 0; id < weights.length; id++) sum += weights[id];
  return sum;
}

/**
 * Return what the ids are picked in proportion to; the likeliest id has the weight 1.
 * @param {Float32Array} logits @param {SamplingSettings} settings
 */
function weightsOf(logits, { temperature, top_k: topK, top_p: topP, min_p: minP }) {
  const divisor = Math.fround(temperature);
  const highest = highestOf(logits);
  const isRanked = topK > 0 || topP < 1;
  // Ids that min-p alone leaves out need no exponential: they are nearly all.
  const lowest = minP > 0 && !isRanked ? highest + divisor * Math.log(minP * SLACK) : -Infinity;
  const top = Math.fround(highest / divisor);
  const weights = new Float32Array(logits.length);
  for (let id = 0; id < logits.length; id++) {
    if (logits[id] < lowest) continue;
    weights[id] = Math.exp(Math.fround(Math.fround(logits[id] / divisor) - top));
  }
  if (topK) keepLargest(weights, topK);
  if (topP < 1) keepMass(weights, topP);
  if (minP > 0) keepAbove(weights, Math.fround(minP));
  return weights;
}

/** Set weights below the least one to zero. @param {Float32Array} weights @param {number} least */
function keepAbove(weights, least) {
  for (let id = 0; id < weights.length; id++) if (weights[id] < least) weights[id] = 0;
}

/**
 * Keep the largest weights that together reach a share.
 * @param {Float32Array} weights @param {number} share
 */
function keepMass(weights, share) {
  const largestFirst = weights.slice().sort().reverse();
  const total = sumOf(largestFirst);
  let [count, mass] = [0, 0];
  // The id that reaches the share stays, and so the likeliest, however small the share is.
  for (const weight of largestFirst) {
    count++;
    mass += weight;
    if (mass >= share * total) break;
  }
  keepLargest(weights, count);
}

/**
 * Set all but the `count` largest to zero; of equal ones the first ids stay.
 * @param {Float32Array} weights @param {number} count
 */
function keepLargest(weights, count) {
  if (count >= weights.length) return;
  const smallest = weights.slice().sort()[weights.length - count];
  let numLarger = 0;
  for (const weight of weights) if (weight > smallest) numLarger++;
  let numEqual = count - numLarger;
  for (let id = 0; id < weights.length; id++) {
    const isKept = weights[id] > smallest || (weights[id] === smallest && numEqual-- > 0);
    if (!isKept) weights[id] = 0;
  }
}

/**
 * Return the log-probability of an id, and the likeliest ids with theirs, without `<unk>`.
 * @param {Float32Array} logits @param {number} id @param {number} numAlternatives
 * @returns {{logProbability: number, alternatives: [number, number][]}}
 */
export function scoreToken(logits, id, numAlternatives) {
  const logOf = logarithms(logits);
  /** @type {number[]} */
  const best = [];
  let least = numAlternatives ? -Infinity : Infinity; // what a logit must exceed to be among them
  for (let each = 0; each < logits.length; each++) {
    if (logits[each] <= least || each === UNK_ID) continue;
    let place = best.length;
    while (place && logits[best[place - 1]] < logits[each]) place--;
    best.splice(place, 0, each);
    if (best.length > numAlternatives) best.pop();
    if (best.length === numAlternatives) least = logits[best[best.length - 1]];
  }
  const alternatives = best.map(
    (each) => /** @type {[number, number]} */ ([each, logOf(logits[each])]),
  );
  return { logProbability: logOf(logits[id]), alternatives };
}

/** Return the function from a logit to its log-probability, in float64. @param {Float32Array} logits */
export function logarithms(logits) {
  const highest = highestOf(logits);
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id] - highest);
  const log = Math.log(sum);
  return (/** @type {number} */ logit) => logit - highest - log;
}
