// States after texts that were read before: the next request mostly goes on from one of them.

/** @typedef {import("./network.js").State} State */

const SIZE = 64; // a state of the embedded model has 6 kB

export class PrefixCache {
  /** The latest last. @type {{ids: number[], state: State}[]} */
  #entries = [];

  /** @param {number[]} ids @param {State} state After these ids. */
  add(ids, state) {
    this.#entries.push({ ids, state: state.copy() });
    if (this.#entries.length > SIZE) this.#entries.shift();
  }

  /**
   * Return a copy of the state after the longest known part of a text, which leaves at least its
   * last id to read, and the length of that part; null if there is none.
   * @param {number[]} ids
   */
  longestPrefix(ids) {
    let best = null;
    for (const entry of this.#entries) {
      const { length } = entry.ids;
      if (length >= ids.length || length <= (best?.ids.length ?? 0)) continue;
      if (entry.ids.every((id, place) => id === ids[place])) best = entry;
    }
    return best && { numRead: best.ids.length, state: best.state.copy() };
  }
}
