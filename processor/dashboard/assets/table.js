// Tables: search, order, all rows, and a CSV of what is seen.

import { count } from "./format.js";
import { read } from "./view.js";

// element makes an element with children. Text is set as text, never as markup: ids of affiliates,
// links and campaigns come from whoever sends a click.
export function element(name, properties = {}, ...children) {
  const { dataset, attributes, ...rest } = properties;
  const e = Object.assign(document.createElement(name), rest);
  Object.assign(e.dataset, dataset);
  for (const [k, v] of Object.entries(attributes ?? {})) e.setAttribute(k, v);
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return e;
}

// isolated keeps text that runs from right to left, or pretends to, from turning its neighbours
// around.
export const isolated = (text) => element("bdi", { textContent: text });

// csvCell quotes a value. A spreadsheet takes text that begins so for a formula; an apostrophe
// before it says that it is text. Where the decimal sign is a comma, cells of a file end at
// semicolons, and rows at line breaks, those within quotes of a later cell too.
export function csvCell(value) {
  let text = value === null || value === undefined ? "" : String(value);
  const number = /^-?\d+(\.\d+)?$/.test(text);
  if (!number && /^\s*[=+\-@\t\r\n]/.test(text)) text = "'" + text;
  text = text.replace(/([;\r\n][\s"]*)(?=[=+\-@])/g, "$1'");
  return /[",;\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

// saveCSV saves rows of values as a file that is named by the workspace, the section, the list and the
// time, so that files of several views can be told apart.
export function saveCSV(name, rows) {
  const { workspace, section = "overview", range, from, to } = read(location.search);
  const time = range === "custom" ? [from, to] : [range];
  const parts = ["tributary", workspace, section, name, ...time].filter(Boolean);
  const text = rows.map((cells) => cells.map(csvCell).join(",") + "\r\n").join("");
  const link = element("a", {
    href: URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" })),
    download: parts.join("-").replace(/[^\w.-]+/g, "-") + ".csv",
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// How a table was arranged, by its name, is kept beside the address in the browser's history: going
// back to a list, or to another time, finds it in the same order.
const arranged = (name) => history.state?.tables?.[name] ?? {};

function arrange(name, changes) {
  const tables = { ...history.state?.tables, [name]: { ...arranged(name), ...changes } };
  history.replaceState({ ...history.state, tables }, "");
}

const few = 10;

// A Table shows rows. Each column has key, label and optionally: title; text, which says whether it
// is text; cell(row), text or an element; csv(row), the exact value, and csvLabel, what a file calls
// it; value(row), what it is ordered by; head: it names the row; fileOnly: only a file has it. share
// is the key of the figure whose part of the largest one is a bar behind the row's name. most is how
// many rows were asked for: with as many there may be more.
export class Table {
  constructor({ name, caption, columns, noRows, rows = few, order, search = true, share, most }) {
    noRows ??= "Nothing in this time.";
    Object.assign(this, { name, caption, noRows, few: rows, order: order ?? null, descending: true, share, most });
    this.columns = columns.filter((c) => !c.fileOnly);
    this.ofFile = columns;
    this.rows = [];
    const { all, find, ...ordered } = arranged(name);
    this.all = Boolean(all);
    if (columns.some((c) => c.key === ordered.order)) Object.assign(this, ordered);
    this.search = search
      ? element("input", { type: "search", placeholder: "Search", ariaLabel: "Search " + caption, className: "search" })
      : null;
    if (find && this.search) this.search.value = find;
    this.search?.addEventListener("input", () => {
      arrange(name, { find: this.search.value });
      this.draw();
    });
    this.csv = element("button", { type: "button", className: "plain", textContent: "CSV" });
    this.csv.addEventListener("click", () => this.save());
    this.more = element("button", { type: "button", className: "plain more", hidden: true });
    this.more.addEventListener("click", () => {
      this.all = !this.all;
      arrange(name, { all: this.all });
      this.draw();
    });
    this.body = element("tbody");
    this.head = element("tr");
    this.foot = element("p", { className: "foot" }, this.more);
    const scroll = element(
      "div",
      { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption },
      element(
        "table",
        { className: "figures " + name + (share ? " shares" : "") },
        element("caption", { className: "unseen", textContent: caption }),
        element("thead", {}, this.head),
        this.body,
      ),
    );
    this.tools = element("div", { className: "tools", hidden: true }, this.search, this.csv);
    this.root = element("div", { className: "with-table" }, this.tools, scroll, this.foot);
    this.drawHead();
  }

  drawHead() {
    this.head.replaceChildren(
      ...this.columns.map((c) => {
        const ordered = this.order === c.key;
        const button = element("button", {
          type: "button",
          className: "plain",
          textContent: c.label,
          title: c.title ?? "",
        });
        button.addEventListener("click", () => {
          this.descending = this.order === c.key ? !this.descending : !c.text;
          this.order = c.key;
          arrange(this.name, { order: this.order, descending: this.descending });
          this.drawHead();
          this.draw();
          [...this.head.querySelectorAll("button")].find((b) => b.textContent === c.label)?.focus();
        });
        return element(
          "th",
          {
            scope: "col",
            className: c.text ? "text" : "",
            dataset: { label: c.label },
            ariaSort: ordered ? (this.descending ? "descending" : "ascending") : "none",
          },
          button,
        );
      }),
    );
  }

  update(rows) {
    this.rows = rows;
    this.draw();
  }

  // seen returns the rows that the search leaves, in order.
  seen() {
    const wanted = this.search?.value.trim().toLowerCase() ?? "";
    const texts = this.ofFile.filter((c) => c.text);
    const rows = wanted
      ? this.rows.filter((r) =>
          texts.some((c) =>
            [exact(c, r), shown(c, r)].some((text) =>
              String(text?.textContent ?? text ?? "")
                .toLowerCase()
                .includes(wanted),
            ),
          ),
        )
      : [...this.rows];
    const column = this.columns.find((c) => c.key === this.order);
    if (!column) return rows;
    const value =
      column.value ??
      ((r) =>
        column.text ? String(exact(column, r) ?? "") : r[column.key] === null ? -Infinity : Number(r[column.key]));
    const sign = this.descending ? -1 : 1;
    return rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return sign * (typeof x === "string" ? x.localeCompare(y) : x < y ? -1 : x > y ? 1 : 0);
    });
  }

  draw() {
    const rows = this.seen();
    const first = this.all ? rows : rows.slice(0, this.few);
    const focused = this.body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const most = this.share ? Math.max(...this.rows.map((r) => Number(r[this.share]))) : 0;
    this.body.replaceChildren(
      ...first.map((r) =>
        element(
          "tr",
          {},
          ...this.columns.map((c) => {
            const content = shown(c, r);
            const negative = typeof content === "string" && content.startsWith("−");
            const cell = element(
              c.head ? "th" : "td",
              {
                ...(c.head ? { scope: "row" } : {}),
                className: (c.text ? "text" : "") + (negative ? " minus" : "") + (c.className ? " " + c.className : ""),
                dataset: { label: c.label },
              },
              content,
            );
            const text = cell.textContent; // a narrow column cuts it off
            if (c.text && text.length > 18 && !cell.querySelector("[title]")) cell.title = text;
            if (c.head && most > 0) cell.style.setProperty("--share", Math.max(0, Number(r[this.share]) / most));
            return cell;
          }),
        ),
      ),
    );
    if (!first.length) {
      this.body.replaceChildren(
        element(
          "tr",
          {},
          element("td", {
            colSpan: this.columns.length,
            className: "none",
            textContent: this.rows.length ? "Nothing matches the search." : this.noRows,
          }),
        ),
      );
    }
    if (focused !== null) [...this.body.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused)?.focus();
    this.more.hidden = rows.length <= this.few;
    const all = this.rows.length >= this.most ? "these" : "all";
    this.more.textContent = this.all ? "Show fewer" : `Show ${all} ${count(rows.length)} rows`;
    this.tools.hidden = !this.rows.length;
    if (this.search) this.search.hidden = this.rows.length <= 5 && !this.search.value;
    this.csv.ariaLabel = `Save ${this.caption} as CSV, ${rows.length} rows`;
    this.csv.disabled = !rows.length;
  }

  save() {
    saveCSV(this.name, [
      this.ofFile.map((c) => c.csvLabel ?? c.label),
      ...this.seen().map((r) => this.ofFile.map((c) => exact(c, r))),
    ]);
  }
}

const shown = (column, row) => (column.cell ? column.cell(row) : String(row[column.key] ?? ""));
const exact = (column, row) => (column.csv ? column.csv(row) : row[column.key]);
