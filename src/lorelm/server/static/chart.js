// A line chart in SVG: it takes colors and fonts from the page, in light and dark.

import { make } from "./dom.js";

const HEIGHT = 190;
const LEFT = 52;
const RIGHT = 12;
const TOP = 8;
const BOTTOM = 24;

/** More points than pixels are thinned out. */
const MAX_POINTS = 600;

/** @typedef {{ name: string, key: string }} Line */
/** With more points their dots run into each other. */
const MAX_DOTS = 40;

/** Numbers by key. @typedef {Record<string, any>} Point */

/** @typedef {{ width: number, steps: number[], toX: (value: number) => number, toY: (value: number) => number }} Scale */

/**
 * @typedef {object} ChartOptions
 * @property {string} label What the chart shows, for those who do not see it.
 * @property {string} x Key of the horizontal value.
 * @property {(x: number) => string} showX
 * @property {(y: number) => string} showY
 * @property {Line[]} lines At most two.
 * @property {boolean} [fromZero] The vertical axis begins at 0.
 * @property {string} empty What stands there as long as there is no point.
 */

export class Chart {
  /** @type {Point[]} */
  #points = [];
  /** @type {number | null} */
  #shown = null;

  /** @param {HTMLElement} host @param {ChartOptions} options */
  constructor(host, options) {
    this.options = options;
    this.svg = element("svg", { role: "img", tabindex: 0, height: HEIGHT });
    this.readout = make("p", {}, options.empty);
    host.append(this.svg, this.readout);
    this.svg.addEventListener("pointermove", (event) => this.#showAt(event));
    this.svg.addEventListener("pointerleave", () => this.#show(null));
    this.svg.addEventListener("blur", () => this.#show(null));
    this.svg.addEventListener("keydown", (event) => this.#step(event));
    new ResizeObserver(() => this.#render()).observe(host);
  }

  /** @param {Point[]} points In the order of their x. */
  draw(points) {
    const every = Math.ceil(points.length / MAX_POINTS);
    // The last point always stays.
    this.#points = points.filter((_, i) => (points.length - 1 - i) % every === 0);
    if (this.#shown !== null) this.#shown = Math.min(this.#shown, this.#points.length - 1);
    this.#render();
  }

  /** @returns {Scale} */
  get #scale() {
    const { x, lines, fromZero } = this.options;
    const width = Math.max(this.svg.clientWidth, 160);
    const xs = this.#points.map((point) => point[x]);
    const ys = this.#points.flatMap((point) => lines.map((line) => point[line.key]));
    const right = Math.max(...xs);
    const left = Math.min(xs[0], right - 1);
    const steps = ticks(fromZero ? 0 : Math.min(...ys), Math.max(...ys));
    const [bottom, top] = [steps[0], steps[steps.length - 1]];
    return {
      ...{ width, steps },
      /** @param {number} value */
      toX: (value) => LEFT + ((value - left) / (right - left)) * (width - LEFT - RIGHT),
      /** @param {number} value */
      toY: (value) =>
        HEIGHT - BOTTOM - ((value - bottom) / (top - bottom)) * (HEIGHT - TOP - BOTTOM),
    };
  }

  #render() {
    const { label, lines, x } = this.options;
    this.svg.replaceChildren();
    this.svg.toggleAttribute("hidden", !this.#points.length);
    if (!this.#points.length) return;
    const scale = this.#scale;
    this.svg.setAttribute("viewBox", `0 0 ${scale.width} ${HEIGHT}`);
    this.#axes(scale);
    lines.forEach(({ key }, i) => {
      const second = i ? " second" : "";
      const places = this.#points.map((p) => `${scale.toX(p[x])},${scale.toY(p[key])}`);
      this.svg.append(element("polyline", { class: `line${second}`, points: places.join(" ") }));
      if (this.#points.length > MAX_DOTS && this.#shown === null) return;
      const marked = this.#shown === null ? this.#points : [this.#points[this.#shown]];
      for (const p of marked)
        this.svg.append(
          element("circle", {
            class: `dot${second}`,
            cx: scale.toX(p[x]),
            cy: scale.toY(p[key]),
            r: 3,
          }),
        );
    });
    this.#say(this.#points[this.#shown ?? this.#points.length - 1]);
    this.svg.setAttribute("aria-label", `${label}. ${this.readout.textContent}`);
  }

  /** @param {Scale} scale */
  #axes(scale) {
    const { showX, showY, x } = this.options;
    for (const value of scale.steps) {
      const y = scale.toY(value);
      this.svg.append(
        element("line", { class: "grid", x1: LEFT, x2: scale.width - RIGHT, y1: y, y2: y }),
        element("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, showY(value)),
      );
    }
    const ends = [this.#points[0], this.#points[this.#points.length - 1]].map((p) => p[x]);
    new Set(ends).forEach((value) => {
      const anchor = value === ends[1] ? "end" : "start";
      this.svg.append(
        element(
          "text",
          { x: scale.toX(value), y: HEIGHT - 4, "text-anchor": anchor },
          showX(value),
        ),
      );
    });
    if (this.#shown !== null) {
      const at = scale.toX(this.#points[this.#shown][x]);
      this.svg.append(
        element("line", { class: "cursor", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM }),
      );
    }
  }

  /** @param {Point} point */
  #say(point) {
    const { lines, showX, showY, x } = this.options;
    const parts = lines.flatMap(({ name, key }, i) => [
      ...(lines.length > 1 ? [make("span", { className: i ? "key second" : "key" })] : []),
      `${name} ${showY(point[key])}${i < lines.length - 1 ? "  " : ""}`,
    ]);
    this.readout.replaceChildren(`${showX(point[x])}: `, ...parts);
  }

  /** @param {PointerEvent} event */
  #showAt(event) {
    if (!this.#points.length) return;
    const scale = this.#scale;
    const place = event.clientX - this.svg.getBoundingClientRect().left;
    const distances = this.#points.map((p) => Math.abs(scale.toX(p[this.options.x]) - place));
    this.#show(distances.indexOf(Math.min(...distances)));
  }

  /** Move to another point with the arrow keys. @param {KeyboardEvent} event */
  #step(event) {
    const last = this.#points.length - 1;
    const here = this.#shown ?? last;
    const target = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: last }[event.key];
    if (target === undefined || last < 0) return;
    event.preventDefault();
    this.#show(Math.min(Math.max(target, 0), last));
  }

  /** @param {number | null} index */
  #show(index) {
    if (index === this.#shown) return;
    this.#shown = index;
    this.#render();
  }
}

/**
 * Return round numbers at equal distances that span a range, three to six of them.
 * @param {number} low @param {number} high
 */
export function ticks(low, high) {
  if (!(high > low)) [low, high] = low > 0 ? [low * 0.9, low * 1.1] : [low, low + 1];
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((each) => each * power >= rough) ?? 10);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  // Products of whole numbers: sums would show 0.30000000000000004.
  return Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}

/**
 * Make an SVG element.
 * @param {string} tag @param {Record<string, string | number>} attributes @param {string} [text]
 * @returns {SVGElement}
 */
function element(tag, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(text);
  return /** @type {SVGElement} */ (made);
}
