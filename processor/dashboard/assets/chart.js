// The chart: one figure over time, beside the period before, and the same as a table for who cannot
// see it.

import { count } from "./format.js";
import { element, saveCSV } from "./table.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A Chart draws points {label, value, text, before, beforeText, open, exact}. Heights are numbers;
// texts are rounded as people read them, and exact is what a file has: time, figure, and the figure
// of the period before, if there is one.
export class Chart {
  constructor() {
    this.canvas = element("div", { className: "canvas", tabIndex: 0, role: "slider", ariaOrientation: "horizontal", ariaValueMin: "1" });
    this.at = element("p", { className: "legend" });
    this.table = element("table", { className: "figures" });
    this.csv = element("button", { type: "button", className: "plain", textContent: "CSV" });
    this.csv.addEventListener("click", () => this.save());
    this.figures = element(
      "details",
      { className: "as-table" },
      element("summary", { textContent: "Figures as a table" }),
      element(
        "div",
        { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Figures of the chart" },
        this.table,
      ),
      element("p", { className: "foot" }, this.csv),
    );
    this.root = element("div", { className: "chart" }, this.canvas, this.at, this.figures);
    this.canvas.addEventListener("keydown", (e) => this.step(e));
    dark.addEventListener("change", () => this.redraw());
    new ResizeObserver(() => {
      if (!this.canvas.clientWidth) return;
      if (this.plot) this.plot.setSize({ width: this.canvas.clientWidth, height: this.canvas.clientHeight });
      else this.redraw(); // its figures came while it was not shown
    }).observe(this.canvas);
  }

  // update draws other points. axis writes a height; name says what is drawn, columns what a file
  // calls the time and the figure.
  update(points, { name, axis, whole, columns }) {
    Object.assign(this, { points, name, axis, whole, columns });
    this.canvas.ariaLabel = `${name} over time; the arrow keys go from one figure to the next, and a table below has all`;
    this.csv.ariaLabel = `Save ${name} over time as CSV`;
    const compared = points.some((p) => p.beforeText !== undefined);
    this.table.replaceChildren(
      element("caption", { className: "unseen", textContent: name + " over time" }),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...["Time", name, ...(compared ? ["Period before"] : [])].map((text, i) =>
            element("th", { scope: "col", textContent: text, className: i ? "" : "text" }),
          ),
        ),
      ),
      element(
        "tbody",
        {},
        ...points.map((p) =>
          element(
            "tr",
            {},
            element("th", { scope: "row", className: "text", textContent: p.label + (p.open ? " (not over)" : "") }),
            element("td", { textContent: p.text }),
            ...(compared ? [element("td", { textContent: p.beforeText ?? "" })] : []),
          ),
        ),
      ),
    );
    this.say(null);
    this.tell();
    this.redraw();
  }

  save() {
    const compared = this.points.some((p) => p.exact.length > 2);
    saveCSV("chart", [[...this.columns, ...(compared ? ["Period before"] : [])], ...this.points.map((p) => p.exact)]);
  }

  redraw() {
    this.plot?.destroy();
    this.plot = null;
    if (!this.points) return;
    if (typeof uPlot === "undefined") {
      this.figures.open = true;
      this.canvas.hidden = true;
      return;
    }
    if (!this.canvas.clientWidth) return;
    const last = this.points.findIndex((p) => p.open);
    const solid = this.points.map((p, i) => (last >= 0 && i >= last && i > 0 ? null : p.value));
    const open = this.points.map((p, i) => (last > 0 && i >= last - 1 ? p.value : null));
    const data = [this.points.map((_, i) => i), solid, open, this.points.map((p) => p.before ?? null)];
    this.plot = new uPlot(this.options(), data, this.canvas);
  }

  options() {
    const n = this.points.length;
    const axis = { stroke: color("--quiet"), font: "11px system-ui", ticks: { show: false } };
    const line = { stroke: color("--main"), width: 2, points: { show: n === 1, size: 6 } };
    const every = Math.max(1, Math.ceil(n / Math.max(2, Math.floor(this.canvas.clientWidth / 90))));
    return {
      width: this.canvas.clientWidth,
      height: this.canvas.clientHeight,
      padding: [10, 26, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: {
        x: { time: false, range: n === 1 ? [-1, 1] : [0, n - 1] },
        y: { range: (u, low, high) => [Math.min(0, low ?? 0) * 1.08, Math.max(high ?? 0, this.whole ? 4 : 1) * 1.08] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 26,
          splits: () => this.points.map((_, i) => i).filter((i) => i % every === 0),
          values: (_, at) => at.map((i) => this.points[i]?.tick ?? ""),
        },
        {
          ...axis,
          grid: { stroke: color("--line"), width: 1 },
          size: 58,
          space: 36,
          ...(this.whole
            ? {
                incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8],
              }
            : {}),
          values: (_, at) => at.map((v) => this.axis(v)),
        },
      ],
      series: [
        {},
        { ...line, fill: color("--main-fill") },
        { ...line, dash: [5, 4], fill: color("--main-fill") },
        { stroke: color("--before"), width: 1.5, dash: [2, 3], points: { show: false } },
      ],
      hooks: { setCursor: [(u) => this.say(u.cursor.idx ?? null)] },
    };
  }

  say(index) {
    const p = index === null ? null : this.points?.[index];
    const compared = this.points?.some((q) => q.beforeText !== undefined);
    this.at.replaceChildren(
      element("span", { className: "key" }),
      p ? element("b", { textContent: p.text }) : this.name,
      ...(compared
        ? [
            element("span", { className: "key before" }),
            p ? element("b", { textContent: p.beforeText ?? "–" }) : "period before",
          ]
        : []),
      element("span", {
        className: "quiet",
        textContent: p
          ? p.label + (p.open ? ", not over yet" : "")
          : this.points?.some((q) => q.open)
            ? "dashed: not over yet"
            : "",
      }),
    );
  }

  // tell says to a screen reader at which point the keys are. The keys are those of a slider, so that it
  // hands them on; of a picture it would not.
  tell() {
    const p = this.points[this.index];
    Object.assign(this.canvas, {
      ariaValueMax: String(Math.max(1, this.points.length)),
      ariaValueNow: String(p ? this.index + 1 : 1),
      ariaValueText: p
        ? `${p.label}${p.open ? ", not over yet" : ""}: ${p.text}` +
          (p.beforeText === undefined ? "" : `, the period before ${p.beforeText}`)
        : `${count(this.points.length)} figures`,
    });
  }

  step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || !this.plot) return;
    event.preventDefault();
    this.index = Math.max(0, Math.min(this.points.length - 1, (this.index ?? (by > 0 ? -1 : this.points.length)) + by));
    this.plot.setCursor({ left: this.plot.valToPos(this.index, "x"), top: 0 });
    this.say(this.index);
    this.tell();
  }
}
