// The sections of the page: which named questions each asks, and how it shows their answers.

import { ask, makeView } from "./api.js";
import { Chart } from "./chart.js";
import {
  age,
  change,
  clock,
  count,
  instant,
  major,
  money,
  nameOf,
  none,
  percent,
  plainMoney,
  short,
} from "./format.js";
import { Table, element, isolated, saveCSV } from "./table.js";
import { dimensions, filtered, theAffiliate, withFilter } from "./view.js";

// A section is a title and blocks(page), which returns what it is made of. A block has a title, and
// asks and draws: ask(signal) returns answers, draw(answers) shows them in its body. slow: it is
// asked when it is opened, and not again by itself. ages: it says how old something is, so it is
// drawn again though the answer is the same.
//
// compared(view) says whether it compares with the period before, timeless that its time is not the
// page's, unfiltered that filters reach none of its blocks. page has the view, its span, the
// parameters that most questions take (range and range + filters), and go(view).

const limit = 1000; // names of a list; more are cut off, and said to be

const noName = { affiliate: "no affiliate", product: "not named" };

// nameLink is a name as a link that filters by it.
function nameLink(page, dimension, name, shown = name) {
  const to = withFilter(page.view, dimension, name);
  return page.link(
    to,
    name === ""
      ? element("i", { className: "quiet", textContent: noName[dimension] ?? "none" })
      : isolated(shown),
  );
}

const explanation = (page, object) =>
  "explain?" + new URLSearchParams({ object, ...(page.view.workspace ? { workspace: page.view.workspace } : {}) });

// withUnit names the currency of a column in the file, where no symbol stands beside the figure and
// no text above the table.
const withUnit = (label, currency) => {
  const unit = currency.toUpperCase();
  return label.endsWith(unit) ? label : `${label} ${unit}`;
};
const amountColumn = (key, label, title, currency) => ({
  key,
  label,
  csvLabel: withUnit(label, currency),
  title,
  cell: (r) => plainMoney(r[key], currency),
});
const moneyColumn = (page, key, label, title) => amountColumn(key, label, title, page.view.currency);
const usdColumn = (key, label, title) => amountColumn(key, label, title, "usd");
// zoned is what a file calls days and hours of the page's time zone.
const zoned = (page, label) => `${label} (${page.view.timezone})`;
const countColumn = (key, label, title) => ({ key, label, title, cell: (r) => count(r[key]) });
const percentColumn = (key, label, title) => ({ key, label, title, cell: (r) => percent(r[key]) });
const timeColumn = (page, key, label) => ({
  key,
  label,
  csvLabel: label + " (UTC)", // a file has the time as the answer does
  text: true,
  cell: (r) => (r[key] === null ? none : clock(instant(r[key]), page.view.timezone)),
});

// wordColumn writes what the tables have in words, in the file, too.
const wordColumn = (key, label, write, more = {}) => ({ key, label, text: true, cell: write, csv: write, ...more });

// namesOf are the columns of a name that filters: as it is shown and, where this is not what the
// tables have, a second one of the file.
const namesOf = (page, dimension, key = "name") => [
  {
    key,
    label: dimensions[dimension],
    text: true,
    head: true,
    cell: (r) => nameLink(page, dimension, r[key], shownAs(dimension, r[key])),
    csv: (r) => shownAs(dimension, r[key]),
  },
  ...(dimension in stored ? [{ key, label: stored[dimension], text: true, fileOnly: true }] : []),
];
const stored = { country: "Country code", product: "Product id" };

// Clicks and leads come without these names, so by them there is no such figure.
const unnamed = {
  leads: ["source", "medium", "channel", "device", "product"],
  ...Object.fromEntries(["clicks", "visitors", "epc", "conversion"].map((figure) => [figure, ["product"]])),
};
const isKnown = (view, figure, dimension) =>
  !unnamed[figure]?.some((d) => d === dimension || d in view.only || d in view.without);

function breakdownColumns(page, dimension) {
  const unit = page.view.currency.toUpperCase();
  return [
    ...namesOf(page, dimension),
    countColumn("clicks", "Clicks"),
    countColumn("leads", "Leads"),
    countColumn("sales", "Sales", "Renewals among them"),
    countColumn("customers", "New", "Buyers' first sales"),
    moneyColumn(page, "net", "Net " + unit, "Without tax; refunds and disputes are subtracted when they happened"),
    moneyColumn(page, "epc", "EPC", "Net of attributed money for each click"),
    percentColumn("conversion", "Conv.", "Attributed first sales for each click"),
    percentColumn("refund_rate", "Refunds", "Refunded of paid"),
  ].filter((c) => isKnown(page.view, c.key, dimension));
}

// breakdown is a block that lists the names of a dimension.
function breakdown(page, dimension, title, { brief = false, rows } = {}) {
  const columns = breakdownColumns(page, dimension);
  const table = new Table({
    name: dimension,
    caption: title,
    rows: rows ?? (brief ? 6 : 25),
    search: !brief,
    share: "net",
    most: limit,
    columns: brief ? columns.filter((c) => ["name", "clicks", "sales", "net"].includes(c.key)) : columns,
  });
  const note = element("p", {
    className: "foot",
    hidden: true,
    textContent: `The first ${count(limit)} by net revenue; a filter shows the others.`,
  });
  return {
    title,
    body: [table.root, note],
    ask: (signal) => ask("breakdown", { ...page.filters, dimension, limit, visitors: false }, signal),
    draw: (rows) => {
      table.update(rows.filter((r) => r.clicks > 0 || r.leads > 0 || r.sales > 0 || Number(r.net) !== 0));
      note.hidden = rows.length < limit;
    },
  };
}

// productNames asks once for what Stripe calls its products: the question reads stored events.
let named = { of: "", names: new Map() };
export async function productNames(page, signal) {
  const { workspace, livemode } = page.filters;
  const of = JSON.stringify([workspace, livemode]);
  if (named.of !== of) {
    const rows = await ask("product_names", { workspace, livemode }, signal);
    named = { of, names: new Map(rows.map((r) => [r.product, r.name])) };
  }
  return named.names;
}

// shownAs writes a name of a dimension as tables do; products have their ids until productNames has
// answered.
export const shownAs = (dimension, name) =>
  (dimension === "product" && named.names.get(name)) || nameOf(dimension, name);

// products lists what was sold, by the name that it has in Stripe.
function products(page) {
  const block = list(
    { ...page, view: { ...page.view, only: {}, without: {} } },
    {
      question: "products",
      title: "Products",
      name: "product",
      parameters: { ...page.filters, limit },
      rows: 10,
      share: "net",
      columns: [
        ...namesOf(page, "product", "product"),
        countColumn("sales", "Sales", "A sale of several products counts for each"),
        countColumn("customers", "New", "Buyers' first sales"),
        moneyColumn(
          page,
          "net",
          "Net " + page.view.currency.toUpperCase(),
          "Without tax; refunds and disputes are subtracted when they happened",
        ),
        percentColumn("refund_rate", "Refunds", "Refunded of paid"),
      ],
    },
  );
  const sold = block.ask;
  return {
    ...block,
    ask: async (signal) => (await Promise.all([sold(signal), productNames(page, signal)]))[0],
  };
}

// choice is a menu that changes one thing in the address.
function choice(page, key, label, options, chosen) {
  const select = element(
    "select",
    { dataset: { control: key } },
    ...Object.entries(options).map(([value, text]) => element("option", { value, textContent: text })),
  );
  select.value = chosen;
  select.addEventListener("change", () => page.go({ ...page.view, [key]: select.value }));
  return element("label", { className: "choice" }, label + " ", select);
}

const pick = (options, value, otherwise) => (value !== undefined && Object.hasOwn(options, value) ? value : otherwise);

// --- Overview

const metrics = {
  net: {
    label: "Net revenue",
    title: "All booked money without tax; refunds and disputes are subtracted when they happened",
    money: true,
  },
  clicks: {
    label: "Clicks",
    title: "Arrivals by a link; following it again within an hour is the same click. Bots are left out",
  },
  visitors: { label: "Visitors", title: "Browsers that came with a click" },
  leads: { label: "Leads", title: "Sign-ups and trials that a backend or Stripe reported" },
  sales: { label: "Sales", title: "Renewals among them" },
  customers: { label: "New customers", title: "Buyers' first sales" },
};
const ratios = {
  epc: {
    label: "EPC",
    title: "Net of attributed money for each click",
    write: (r, page) => money(r.epc, page.view.currency),
  },
  conversion: {
    label: "Conversion",
    title: "Attributed first sales for each click",
    write: (r) => percent(r.conversion, 2),
  },
  average_order: {
    label: "Average order",
    title: "Paid for each sale",
    write: (r, page) => money(r.average_order, page.view.currency),
  },
  refunded: {
    label: "Refunded",
    title: "Refunds that happened in this time",
    write: (r, page) => money(unsigned(r.refunded), page.view.currency),
    ifAny: true,
  },
  disputed: {
    label: "Disputed",
    title: "Taken by disputes in this time, less what was won back",
    write: (r, page) => money(unsigned(r.disputed), page.view.currency),
    ifAny: true,
  },
};

// unsigned turns what was taken, which is negative, into how much it was; what disputes gave back
// stays recognizable.
const unsigned = (decimal) => (String(decimal).startsWith("-") ? String(decimal).slice(1) : "-" + decimal);

function delta(now, before, worseIfMore) {
  const by = change(now, before);
  if (by === null) {
    const unknown = before === undefined || now === null || now === undefined; // a figure that is unknown shows that
    return element("small", { className: "delta quiet", textContent: unknown ? "" : "no figure before" });
  }
  const sign = Math.abs(by) < 0.0005 ? 0 : Math.sign(by);
  const text = by >= 10 ? "× " + short(Number(now) / Number(before)) : (sign > 0 ? "+" : "") + percent(by);
  return element("small", {
    className: "delta " + (sign === 0 ? "quiet" : sign > 0 !== Boolean(worseIfMore) ? "better" : "worse"),
    textContent: text,
    title: "against the period before",
  });
}

function totals(page) {
  const list = element("div", { className: "totals", role: "group", ariaLabel: "Totals; choose what the chart shows" });
  const rest = element("div", { className: "totals rest", role: "group", ariaLabel: "Ratios" });
  const chosen = pick(metrics, page.view.metric, "net");
  return {
    body: [list, rest],
    bare: true,
    ask: async (signal) =>
      Promise.all([
        ask("breakdown", { ...page.filters, dimension: "" }, signal),
        page.span.previous
          ? ask("breakdown", { ...page.filters, ...page.times(page.span.previous), dimension: "" }, signal)
          : [undefined],
      ]),
    draw: ([[now = {}], [before]]) => {
      const focused = list.contains(document.activeElement) ? document.activeElement.dataset.metric : null;
      list.replaceChildren(
        ...Object.entries(metrics).map(([key, m]) => {
          const value = now[key] ?? 0;
          const known = isKnown(page.view, key);
          const text = !known ? none : m.money ? money(value, page.view.currency) : count(value);
          const tile = element(
            "button",
            {
              type: "button",
              className: "tile " + key + (text.startsWith("−") ? " minus" : ""),
              title: m.title,
              ariaPressed: String(key === chosen),
              dataset: { metric: key, control: key },
            },
            element("span", { textContent: m.label }),
            element("b", { textContent: text }),
            page.span.previous && known ? delta(value, before?.[key] ?? 0) : null,
          );
          tile.addEventListener("click", () => page.go({ ...page.view, metric: key }, { keep: true }));
          return tile;
        }),
      );
      rest.replaceChildren(
        ...Object.entries(ratios)
          .filter(([key, m]) => !m.ifAny || Number(now[key] ?? 0) !== 0)
          .map(([key, m]) =>
            element(
              "div",
              { className: "tile " + key, title: m.title, dataset: { metric: key } },
              element("span", { textContent: m.label }),
              element("b", {
                textContent: m.write({ epc: null, conversion: null, average_order: null, ...now }, page),
              }),
              page.span.previous
                ? delta(
                    m.ifAny ? unsigned(now[key]) : now[key],
                    before?.[key] === undefined ? undefined : m.ifAny ? unsigned(before[key]) : before[key],
                    m.ifAny,
                  )
                : null,
            ),
          ),
      );
      if (focused) list.querySelector(`[data-metric="${focused}"]`)?.focus();
    },
  };
}

function labelsOf(local, unit) {
  const at = new Date(local.replace(" ", "T") + "Z");
  const write = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options }).format(at);
  switch (unit) {
    case "hour":
      return {
        tick: write({ hour: "2-digit", minute: "2-digit" }),
        label: write({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
      };
    case "month":
      return { tick: write({ month: "short", year: "2-digit" }), label: write({ month: "long", year: "numeric" }) };
    case "date":
      return { label: write({ day: "numeric", month: "short", year: "numeric" }) };
    case "week":
      return {
        tick: write({ day: "numeric", month: "short" }),
        label: "week of " + write({ day: "numeric", month: "short", year: "numeric" }),
      };
  }
  return {
    tick: write({ day: "numeric", month: "short" }),
    label: write({ weekday: "short", day: "numeric", month: "short", year: "numeric" }),
  };
}

function trend(page) {
  const chart = new Chart();
  const key = pick(metrics, page.view.metric, "net");
  const { label, money: isMoney } = metrics[key];
  const write = (v) => (isMoney ? money(v, page.view.currency) : count(v));
  const symbol = money(0, page.view.currency).replace(/[\d.,]+/, "");
  const of = (from, to, signal) =>
    ask(
      "trend",
      {
        ...page.filters,
        ...page.times({ from, to }),
        unit: page.span.unit,
        timezone: page.view.timezone,
        visitors: key === "visitors",
      },
      signal,
    );
  return {
    title: `${label} by ${page.span.unit}`,
    body: [chart.root],
    className: "wide",
    ask: async (signal) => {
      const { from, to, previous } = page.span;
      if (!previous) return [await of(from, to, signal)];
      if (!page.span.whole) return Promise.all([of(from, to, signal), of(previous.from, from, signal)]);
      const points = await of(previous.from, to, signal); // planning it takes as long as each of two
      const first = points.findIndex((p) => instant(p.start_utc) >= from);
      return [points.slice(first), points.slice(0, first)];
    },
    draw: ([points, before]) =>
      chart.update(
        points
          .map((p, i) => ({
            ...labelsOf(p.local, page.span.unit),
            value: Number(p[key]),
            text: write(p[key]),
            open: p.open,
            exact: [p.local, p[key], ...(before?.[i] ? [before[i][key]] : [])],
            ...(before?.[i] ? { before: Number(before[i][key]), beforeText: write(before[i][key]) } : {}),
          }))
          .filter((p, i) => instant(points[i].start_utc) <= page.now() || page.span.from > page.now()), // what has not begun has no figure
        {
          name: label,
          columns: [zoned(page, "Time"), isMoney ? withUnit(label, page.view.currency) : label],
          whole: !isMoney,
          axis: (v) => (isMoney ? (v < 0 ? "−" : "") + symbol + short(Math.abs(v)) : short(v)),
        },
      ),
  };
}

// ofNobody returns what no affiliate is credited with. It stands in the list of affiliates, which the
// overview asks for anyway; another question is needed only when the list is cut off before it.
async function ofNobody(page, signal) {
  const rows = await ask("breakdown", { ...page.filters, dimension: "affiliate", limit, visitors: false }, signal);
  const nobody = rows.find((r) => r.name === "");
  if (nobody || rows.length < limit) return nobody;
  const only = { ...page.view.only, affiliate: [""] };
  return (await ask("breakdown", { ...page.filters, only, dimension: "", visitors: false }, signal))[0];
}

// apart names money that is in no figure, or credited to nobody.
function apart(page) {
  const list = element("ul", { className: "notes" });
  const mode = { livemode: page.filters.livemode };
  return {
    title: "Where figures need care",
    body: [list],
    className: "aside",
    ask: (signal) =>
      Promise.all([
        page.view.only.affiliate ? undefined : ofNobody(page, signal),
        ask("money_at_risk", { ...page.who, ...mode }, signal),
        page.all ? ask("held", {}, signal) : [],
        ask("flagged_clicks", { ...page.who, ...page.times(page.lastDay()) }, signal),
        page.all ? ask("pipeline_status", {}, signal) : [],
        filtered(page.view) ? [] : ask("browser_leads", page.range, signal),
      ]),
    draw: ([nobody, risks, held, flagged, status, [reported]]) => {
      const notes = [];
      const add = (to, bold, text) =>
        notes.push(element("li", {}, page.link(to, element("b", { textContent: bold })), " " + text));
      const several = (to, n, one, many) => add(to, count(n), n === 1 ? one : many);
      const health = { ...page.view, section: "health" };
      if (nobody && Number(nobody.net) !== 0) {
        add(
          { ...withFilter(page.view, "affiliate", ""), section: "sales" },
          money(nobody.net, page.view.currency),
          `of ${count(nobody.sales)} sales has no affiliate: other channels brought it, or nobody is credited.`,
        );
      }
      const own = notes.length; // those that the filters reach
      for (const [risk, text] of Object.entries({
        unconverted: "without an exchange rate, so in no total.",
        disputed: "taken by disputes that were not won back, in all time.",
        held: "held, and in no total.",
      })) {
        const sums = risks
          .filter((r) => r.risk === risk && Number(r.amount) !== 0)
          .map((r) => money(major(r.amount, r.currency).replace("-", ""), r.currency));
        if (sums.length) add(health, sums.join(", "), text);
      }
      for (const r of held)
        add(
          health,
          money(major(r.amount, r.currency), r.currency),
          `is held: no workspace lists its Stripe account${r.livemode ? "" : " (test mode)"}.`,
        );
      const bots = flagged.reduce((sum, r) => sum + Number(r.clicks), 0);
      if (bots)
        several(
          health,
          bots,
          "click of the last day was flagged as a bot and is not counted.",
          "clicks of the last day were flagged as bots and are not counted.",
        );
      const publicLeads = Number(reported?.public_leads ?? 0);
      if (publicLeads)
        several(
          { ...page.view, section: "funnel" },
          publicLeads,
          "sign-up was reported by a browser only: anybody may have invented it, so it is no lead.",
          "sign-ups were reported by browsers only: anybody may have invented them, so they are no leads.",
        );
      const { unknown, records } = waiting(status);
      const waits = "New ones are in no figure yet; after a start, the last ones are read again.";
      if (records)
        several(health, records, `record waits in Kafka. ${waits}`, `records wait in Kafka. ${waits}`);
      if (unknown.length) add(health, "No processor", "has reported for two minutes: figures may be old.");
      for (const r of status.filter((r) => r.verdict === "findings"))
        several(health, Number(r.number), `finding of the last ${r.what}.`, `findings of the last ${r.what}.`);
      if (filtered(page.view) && notes.length > own) {
        const text = "Of the whole workspace, whatever the filters:";
        notes.splice(own, 0, element("li", { className: "quiet", textContent: text }));
      }
      list.replaceChildren(
        ...(notes.length
          ? notes
          : [
              element("li", {
                className: "quiet",
                textContent: "Nothing: all money is converted to USD, credited and in the totals.",
              }),
            ]),
      );
    },
  };
}

// --- Sales

// rules say in words why somebody is credited.
const rules = {
  click_id: "the checkout named the click",
  external_customer: "the customer's own id was seen with a click",
  stripe_customer: "the Stripe customer was seen with a click",
  subscription: "the subscription began with a click",
  affiliate: "the checkout named the affiliate",
  promotion_code: "the promotion code belongs to the affiliate",
  email: "the e-mail address was seen with a click",
  sale: "follows the sale it belongs to",
  manual: "credited by hand",
};
const kinds = {
  payment: "sale",
  refund: "refund",
  refund_reversal: "refund failed",
  dispute: "dispute",
  dispute_reversal: "dispute won",
};

function why(r) {
  if (r.match_rule === "" || r.match_rule === "none") return "nothing in the sale leads to a click";
  const before = r.clicked_at === null ? null : instant(r.occurred_at) - instant(r.clicked_at);
  return (
    (rules[r.match_rule] ?? r.match_rule) +
    // Stripe's times are whole seconds, so a sale may seem to be earlier than a click of the same second.
    (before === null ? "" : before > -1000 ? `, clicked ${age(before)} before` : `, clicked ${age(-before)} after`)
  );
}

function sales(
  page,
  { title = "Sales, refunds and disputes", chosen = page.view.kinds, rows = 25, brief = false } = {},
) {
  const shown = {
    "": "all",
    sales: "sales",
    returned: "refunds and disputes",
    uncredited: "what is credited to nobody",
  };
  const wanted = { sales: ["payment"], returned: ["refund", "refund_reversal", "dispute", "dispute_reversal"] }[chosen];
  const most = brief ? 10 : limit;
  const table = new Table({
    name: "sales",
    caption: title,
    rows,
    most,
    search: !brief,
    noRows: "No sale and no refund in this time.",
    columns: [
      timeColumn(page, "occurred_at", "When"),
      {
        key: "kind",
        label: "What",
        text: true,
        head: true,
        cell: (r) =>
          element("a", {
            href: explanation(page, r.object_id),
            textContent: kinds[r.kind] ?? r.kind,
            ariaLabel: `Why ${kinds[r.kind] ?? r.kind} ${r.object_id} is credited so`,
            title: "Why it is credited so: " + r.object_id,
          }),
        csv: (r) => kinds[r.kind] ?? r.kind,
      },
      { key: "object_id", label: "Id", fileOnly: true, text: true },
      {
        key: "amount",
        label: "Amount",
        value: (r) => Number(major(r.amount, r.currency)),
        csv: (r) => major(r.amount, r.currency),
        cell: (r) => plainMoney(major(r.amount, r.currency), r.currency),
      },
      { key: "currency", label: "Currency", text: true, cell: (r) => r.currency.toUpperCase() },
      {
        key: "net_usd",
        label: "Net USD",
        title: "Without tax",
        cell: (r) => (r.net_usd === null ? "no rate" : plainMoney(r.net_usd, "usd")),
      },
      {
        key: "affiliate_id",
        label: "Affiliate",
        text: true,
        className: "clip",
        cell: (r) => nameLink(page, "affiliate", r.affiliate_id),
      },
      {
        key: "utm_campaign",
        label: "Campaign",
        text: true,
        className: "clip",
        cell: (r) => (r.utm_campaign ? nameLink(page, "campaign", r.utm_campaign) : none),
      },
      {
        key: "link_id",
        label: "Link",
        text: true,
        className: "clip",
        cell: (r) => (r.link_id ? nameLink(page, "link", r.link_id) : none),
      },
      wordColumn("match_rule", "Why", why, { className: "why" }),
    ],
  });
  const note = element("p", {
    className: "foot",
    hidden: true,
    textContent: `The latest ${count(most)}; a shorter time or a filter shows others.`,
  });
  return {
    title,
    body: [brief ? null : choice(page, "kinds", "Show", shown, chosen ?? ""), table.root, note].filter(Boolean),
    ask: (signal) =>
      ask(
        "sales_and_refunds",
        { ...page.unconverted, kinds: wanted, match_rules: chosen === "uncredited" ? ["", "none"] : undefined, limit: most },
        signal,
      ),
    draw: (rows) => {
      table.update(rows);
      note.hidden = brief || rows.length < most;
    },
  };
}

function newAndReturning(page) {
  const table = new Table({
    name: "new-and-returning",
    caption: "New and returning customers",
    rows: 12,
    search: false,
    columns: [
      {
        key: "local",
        label: page.span.unit[0].toUpperCase() + page.span.unit.slice(1),
        csvLabel: zoned(page, page.span.unit[0].toUpperCase() + page.span.unit.slice(1)),
        text: true,
        head: true,
        cell: (r) => labelsOf(r.local, page.span.unit).label,
      },
      countColumn("new_sales", "New sales"),
      countColumn("returning_sales", "Returning sales"),
      moneyColumn(page, "new_net", "New, net " + page.view.currency.toUpperCase()),
      moneyColumn(page, "returning_net", "Returning, net " + page.view.currency.toUpperCase()),
    ],
  });
  return {
    title: "New and returning customers",
    body: [table.root],
    ask: (signal) =>
      ask("new_and_returning", { ...page.filters, unit: page.span.unit, timezone: page.view.timezone }, signal),
    draw: (rows) => table.update(rows.toReversed()),
  };
}

// --- Affiliates

function affiliateLink(page) {
  const result = element("output", {});
  const button = element("button", { type: "button", textContent: "Make a link for this affiliate" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const url = await makeView(page.view.workspace, theAffiliate(page.view));
      result.replaceChildren(
        element("input", { readOnly: true, value: url, ariaLabel: "Link" }),
        " It shows only this affiliate's figures, for 90 days.",
      );
    } catch (fault) {
      result.textContent = fault.message + " " + (fault.hint ?? "");
    }
    button.disabled = false;
  });
  return {
    title: "The affiliate's own view",
    body: [
      element("p", {}, "Whoever has the link sees the days and sales of this affiliate and nothing else."),
      button,
      result,
    ],
    ask: async () => null,
    draw: () => {},
  };
}

// --- Lists that not all filters reach

const ofSales = ["program", "affiliate", "link", "source", "campaign", "channel", "country"];
const ofClicks = [...ofSales, "medium", "device"];

// reaching are the filters of the view by these dimensions, as a question takes them.
function reaching(page, by) {
  const known = (names) => Object.fromEntries(Object.entries(names).filter(([dimension]) => by.includes(dimension)));
  return { only: known(page.view.only), without: known(page.view.without) };
}

// notFiltered says which filters of the view are not by these dimensions, or is null.
function notFiltered(page, by = []) {
  const given = Object.keys({ ...page.view.only, ...page.view.without });
  const others = given.filter((dimension) => !by.includes(dimension));
  if (!others.length) return null;
  const named = others.map((dimension) => dimensions[dimension].toLowerCase()).join(", ");
  return remark(by.length ? `Filters by ${named} do not apply to this.` : "Filters do not apply to this.");
}

const remark = (textContent) => element("p", { className: "note", textContent });

// elsewhere is the page as a block sees it whose figures no filter reaches: its names lead to the
// overview, which they filter.
const elsewhere = (page) => ({ ...page, view: { ...page.view, section: undefined } });

function list(
  page,
  {
    question,
    title,
    name,
    columns,
    parameters,
    order,
    rows = 25,
    slow,
    extra = [],
    noRows,
    meaning,
    share,
    choose = (r) => r,
    filters = [],
  },
) {
  const most = parameters?.limit;
  const table = new Table({ name: name ?? question, caption: title, columns, rows, order, noRows, share, most });
  const cut = element("p", {
    className: "foot",
    hidden: true,
    textContent: `The first ${count(most)}; api/query/${question} lists more, with a greater limit.`,
  });
  return {
    title,
    slow,
    body: [
      notFiltered(page, filters),
      meaning ? element("p", { className: "quiet", textContent: meaning }) : null,
      ...extra,
      table.root,
      cut,
    ].filter(Boolean),
    ask: (signal) =>
      ask(question, { ...(parameters ?? page.range), ...(filters.length ? reaching(page, filters) : {}) }, signal),
    draw: (r) => {
      table.update(choose(r));
      cut.hidden = !(r.length >= most);
    },
  };
}

// arrivals lists what is known of clicks but of no sale by itself, and so is no filter.
function arrivals(page, dimension, title, label) {
  const named = (r) => (r.name ? isolated(r.name) : element("i", { className: "quiet", textContent: "none" }));
  const measures = { clicks: "clicks", visitors: "clicks and visitors" };
  const measure = pick(measures, page.view.measure, "clicks");
  return list(page, {
    question: "landing_pages",
    filters: ofClicks,
    title,
    name: dimension.replaceAll("_", "-") + "s",
    parameters: { ...page.range, dimension, limit, visitors: measure === "visitors" },
    slow: true,
    rows: 10,
    extra: [choice(page, "measure", "Count", measures, measure)],
    columns: [
      { key: "name", label, text: true, head: true, cell: named },
      countColumn("clicks", "Clicks"),
      ...(measure === "visitors" ? [countColumn("visitors", "Visitors")] : []),
      countColumn("sales", "Sales"),
      usdColumn("net_usd", "Net USD"),
      usdColumn("epc", "EPC"),
    ],
  });
}

function funnel(page) {
  const steps = element("ol", { className: "funnel" });
  const names = { visitors: "Visitors", leads: "Leads", buyers: "New customers", returning: "Bought again" };
  return {
    title: "From visit to purchase",
    body: [
      element("p", {
        className: "quiet",
        textContent:
          "Each person once in each step. Steps are counted, not followed: a person may buy without a known visit. " +
          "Leads are persons whom a backend or Stripe reported; what only a browser reported is no lead.",
      }),
      steps,
    ],
    ask: (signal) => ask("funnel", { ...page.unconverted }, signal),
    draw: (rows) => {
      rows = rows.filter((r) => isKnown(page.view, r.step));
      const most = Math.max(1, ...rows.map((r) => Number(r.people)));
      steps.replaceChildren(
        ...rows.map((r) => {
          const bar = element("span", { className: "bar", ariaHidden: "true" });
          bar.style.inlineSize = (100 * Number(r.people)) / most + "%";
          const name = names[r.step] ?? r.step.replaceAll("_", " ");
          return element(
            "li",
            { dataset: { step: r.step } },
            element("span", { className: "step", textContent: name }),
            element("b", { textContent: count(r.people) }),
            element("span", {
              className: "quiet",
              textContent: r.of_before === null ? "" : percent(r.of_before) + " of the step before",
            }),
            bar,
          );
        }),
      );
    },
  };
}

function cohorts(page) {
  const units = { day: "day", week: "week", month: "month" };
  const measures = {
    retention: "who bought again",
    per_buyer: "net USD for each buyer, until then",
    net_usd: "net USD",
  };
  const groups = {
    "": "all together",
    affiliate: "affiliate",
    channel: "channel",
    campaign: "campaign",
    program: "programme",
  };
  const unit = pick(units, page.view.unit, "week");
  const measure = pick(measures, page.view.measure, "retention");
  const by = pick(groups, page.view.by, "");
  const table = element("table", { className: "figures cohorts" });
  let cells = []; // of the file
  const csv = element("button", {
    type: "button",
    className: "plain",
    textContent: "CSV",
    ariaLabel: "Save Cohorts of buyers as CSV",
  });
  csv.addEventListener("click", () => saveCSV("cohorts", cells));
  const tools = element("div", { className: "tools" }, csv);
  const draw = (rows) => {
    cells = [
      [zoned(page, "Won in " + unit + " of"), ...(by ? [groups[by]] : []), "Buyers", unit + "s later", measures[measure]],
      ...rows.map((r) => [r.won, ...(by ? [r.name] : []), r.buyers, r.age, r[measure]]),
    ];
    tools.hidden = !rows.length;
    const ages = Math.min(13, 1 + Math.max(0, ...rows.map((r) => Number(r.age))));
    const cohort = new Map();
    for (const r of rows) {
      const key = r.won + " " + r.name;
      if (!cohort.has(key)) cohort.set(key, { won: r.won, name: r.name, buyers: r.buyers, cells: [] });
      cohort.get(key).cells[Number(r.age)] = r;
    }
    const most = measure === "retention" ? 1 : Math.max(1, ...rows.map((r) => Number(r[measure])));
    const write = (r) => (measure === "retention" ? percent(r.retention, 0) : plainMoney(r[measure], "usd"));
    table.replaceChildren(
      element("caption", { className: "unseen", textContent: "Cohorts: " + measures[measure] }),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...[
            "Won in " + unit + " of",
            ...(by ? [groups[by]] : []),
            "Buyers",
            ...Array.from({ length: ages }, (_, i) => (i ? "+" + i : unit + " 0")),
          ].map((text, i) =>
            element("th", { scope: "col", textContent: text, className: i === 0 || (by && i === 1) ? "text" : "" }),
          ),
        ),
      ),
      element(
        "tbody",
        {},
        ...[...cohort.values()].map((c) =>
          element(
            "tr",
            {},
            element("th", {
              scope: "row",
              className: "text",
              textContent: labelsOf(c.won + " 00:00:00", unit === "week" ? "date" : unit).label,
            }),
            ...(by ? [element("td", { className: "text clip" }, nameLink(page, by, c.name))] : []),
            element("td", { textContent: count(c.buyers) }),
            ...Array.from({ length: ages }, (_, i) => {
              const r = c.cells[i];
              const cell = element("td", { className: "heat", textContent: r ? write(r) : "" });
              if (r) cell.style.setProperty("--heat", Math.max(0, Math.min(1, Number(r[measure]) / most)).toFixed(2));
              return cell;
            }),
          ),
        ),
      ),
    );
    if (!rows.length)
      table.replaceChildren(
        element(
          "tbody",
          {},
          element("tr", {}, element("td", { className: "none", textContent: "No buyer was won in this time." })),
        ),
      );
  };
  return {
    title: "Cohorts of buyers",
    className: "wide",
    body: [
      notFiltered(page, ofClicks),
      element(
        "div",
        { className: "choices" },
        choice(page, "unit", "Won by", units, unit),
        choice(page, "measure", "Show", measures, measure),
        choice(page, "by", "For", groups, by),
      ),
      element(
        "div",
        { className: "with-table" },
        tools,
        element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Cohorts" }, table),
      ),
    ].filter(Boolean),
    ask: (signal) =>
      ask(
        "cohorts",
        { ...page.range, ...reaching(page, ofClicks), unit, timezone: page.view.timezone, dimension: by },
        signal,
      ),
    draw,
  };
}

function models(page) {
  const groups = {
    affiliate: "affiliate",
    program: "programme",
    link: "link",
    source: "source",
    medium: "medium",
    campaign: "campaign",
    channel: "channel",
  };
  const days = { 30: "30 days", 90: "90 days", 180: "180 days" };
  const by = pick(groups, page.view.by, "affiliate");
  const lookback = pick(days, page.view.lookback, "90");
  const parameters = { ...page.range, dimension: by, lookback_days: lookback };
  const menus = element(
    "div",
    { className: "choices" },
    choice(page, "by", "By", groups, by),
    choice(page, "lookback", "Clicks up to", days, lookback),
  );
  const reasons = {
    named: "the sale itself names an affiliate or a promotion code",
    manual: "somebody decided so",
    unattributed: "the ledger knows of no click that leads to the sale",
    older: `the credited click is older than ${lookback} days`,
    unknown_click: "the credited click is not among the stored ones",
    later: "the buyer clicked again after the credited click",
  };
  return [
    list(page, {
      question: "attribution_models",
      title: "Who is credited, by model (net USD)",
      slow: true,
      parameters,
      extra: [menus],
      noRows: "No sale in this time.",
      meaning:
        "The ledger is what is booked and paid by. Each column of money adds up to the same. A sale counts for each name that " +
        "took part in it, so there are more than where a sale counts for whom the ledger credits.",
      columns: [
        ...namesOf(elsewhere(page), by),
        countColumn("sales", "Took part in", "Sales in which the name took part, by a click or by the ledger"),
        usdColumn("ledger_usd", "Ledger"),
        usdColumn("first_usd", "First click"),
        usdColumn("last_usd", "Last click"),
        usdColumn("last_non_direct_usd", "Last non-direct"),
        usdColumn("linear_usd", "Linear", "Equal parts"),
        usdColumn("position_usd", "40/20/40", "40 % first, 40 % last, 20 % between"),
        usdColumn("decay_usd", "Decay", "Half as much for every 7 days before the last click"),
        usdColumn("data_driven_usd", "Data-driven", "By what would be lost without the channel"),
      ],
    }),
    list(page, {
      question: "attribution_differences",
      title: "Where the last click differs from the ledger",
      slow: true,
      parameters: { ...parameters, limit },
      noRows: "Nowhere: both agree on every sale.",
      columns: [
        {
          key: "ledger",
          label: "Ledger credits",
          text: true,
          head: true,
          cell: (r) => nameLink(elsewhere(page), by, r.ledger),
        },
        { key: "last", label: "Last click says", text: true, cell: (r) => nameLink(elsewhere(page), by, r.last) },
        wordColumn("reason", "Because", (r) => reasons[r.reason] ?? r.reason, { className: "why" }),
        countColumn("sales", "Sales"),
        usdColumn("net_usd", "Net USD"),
        {
          key: "example",
          label: "Example",
          text: true,
          cell: (r) =>
            element("a", {
              href: explanation(page, r.example),
              textContent: "one sale",
              ariaLabel: "Why sale " + r.example + " is credited so",
            }),
        },
      ],
    }),
    list(page, {
      question: "channel_effects",
      title: "What would be lost without each channel",
      slow: true,
      parameters: { ...page.range, lookback_days: lookback },
      columns: [
        {
          key: "channel",
          label: "Channel",
          text: true,
          head: true,
          cell: (r) => nameLink(elsewhere(page), "channel", r.channel),
        },
        percentColumn("effect", "Sales lost"),
      ],
    }),
  ];
}

function earnings(page) {
  const today = new Date(page.now());
  const months = Object.fromEntries(
    Array.from({ length: 24 }, (_, i) => {
      const at = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - i, 1));
      return [
        at.toISOString().slice(0, 10),
        new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", month: "long", year: "numeric" }).format(at),
      ];
    }).map(([key, text]) => ["m" + key, text]),
  ); // a key that looks like a number would be moved to the front
  const month = pick(months, "m" + page.view.month, Object.keys(months)[0]);
  const menu = choice(
    { ...page, go: (view) => page.go({ ...view, month: view.month.slice(1) }) },
    "month",
    "Month",
    months,
    month,
  );
  const parameters = {
    ...page.who,
    livemode: page.filters.livemode,
    month: month.slice(1),
    affiliate: theAffiliate(page.view),
  };
  const plain = { ...page, view: { ...page.view, only: {}, without: {} } };
  const { affiliate, ...others } = page.view.only;
  const reached = theAffiliate(page.view) ? { ...page.view, only: others } : page.view;
  const limited = filtered(reached) ? remark("Of all filters, only that for one affiliate applies here.") : null;
  const blocks = [
    list(
      plain,
      {
        question: "statements",
        title: "Statements of " + months[month],
        parameters,
        extra: [limited, menu],
        meaning: "USD. A closed month shows what was stated; an open one what would be stated now. Months are UTC.",
        noRows:
          "No affiliate earns anything in this month by the rules in force. Rules are loaded with: processor earnings rules FILE",
        columns: [
          {
            key: "affiliate_id",
            label: "Affiliate",
            text: true,
            head: true,
            cell: (r) => nameLink(page, "affiliate", r.affiliate_id),
          },
          wordColumn("closed", "State", (r) => (r.closed ? "closed" : "open")),
          countColumn("entries", "Entries"),
          usdColumn("carried_usd", "Carried"),
          usdColumn("earned_usd", "Earned"),
          usdColumn("returned_usd", "Returned", "Of refunds and disputes"),
          usdColumn("restated_usd", "Restated", "What entries of closed months earn more or less by now"),
          usdColumn("balance_usd", "Balance"),
          usdColumn("payable_usd", "Payable"),
          usdColumn("carry_forward_usd", "Carried on"),
        ],
      },
    ),
  ];
  if (theAffiliate(page.view)) {
    blocks.push(
      list(
        plain,
        {
          question: "statement_entries",
          title: "What the statement is made of",
          parameters: { ...parameters, limit: 10000 },
          columns: [
            timeColumn(page, "at", "When"),
            {
              key: "object_id",
              label: "Entry",
              text: true,
              head: true,
              cell: (r) =>
                r.object_id ? element("a", { href: explanation(page, r.object_id), textContent: r.object_id }) : r.line,
            },
            wordColumn("kind", "What", (r) => kinds[r.kind] ?? r.line),
            wordColumn("of_products", "Products", (r) => r.of_products || "all"),
            { key: "rule", label: "Rule", text: true },
            usdColumn("net", "Net USD"),
            usdColumn("usd", "Earns"),
            timeColumn(page, "payable", "Payable"),
          ],
        },
      ),
    );
  }
  return blocks;
}

// waiting returns what the answer of pipeline_status says of consumer lag: the topics of which records
// wait, and those of which nobody knows.
function waiting(status) {
  const lag = status.filter((r) => r.what === "lag");
  const unknown = lag.filter((r) => !r.known);
  const behind = lag.filter((r) => r.known && Number(r.number) > 0);
  return { lag, unknown, behind, records: behind.reduce((sum, r) => sum + Number(r.number), 0) };
}

// pipeline is what the processors know of themselves. What they have not said is said to be not known.
function pipeline(page) {
  const pairs = element("dl", { className: "pairs" });
  const when = (at) => `${clock(instant(at), page.view.timezone)}, ${age(page.now() - instant(at))} ago`;
  const detail = (text) => element("small", { className: "quiet", textContent: text });
  const topic = (r) => r.subject.split(" ").at(-1);
  const verdicts = {
    good: () => "good",
    findings: (r) => `${count(r.number)} ${r.number === "1" ? "finding" : "findings"}`,
    unproven: () => "no difference, but not everything could be compared",
    done: () => "done",
    under_way: () => "under way, or interrupted",
  };
  const lagOf = (status) => {
    const { lag, unknown, behind } = waiting(status);
    if (!lag.length) return ["not known: no processor has reported it"];
    if (unknown.length) return [`not known: no processor has reported it since ${when(unknown[0].at)}`];
    const records = behind.map((r) => `${count(r.number)} records of ${topic(r)}`).join(", ");
    return [records || "nothing", detail(when(lag[0].at))];
  };
  const checks = [
    ["audit", "Audit", "none is completed", "audits; a running processor does once an hour"],
    ["reconcile", "Stripe’s balance", "never compared", "compares it with the ledger"],
    ["backfill", "Backfill", "none has been seen", "brings in the past"],
  ];
  return {
    title: "Processors and checks",
    body: [pairs],
    ages: true,
    ask: (signal) => ask("pipeline_status", {}, signal),
    draw: (status) => {
      const lines = [["Waiting in Kafka", "", ...lagOf(status)]];
      for (const [what, name, never, does] of checks) {
        const rows = status.filter((r) => r.what === what);
        const command = element("code", { textContent: "processor " + what });
        if (!rows.length) lines.push([name, "", `not known: ${never}. `, command, ` ${does}.`]);
        for (const r of rows)
          lines.push([
            name + (r.subject ? ", " + r.subject : ""),
            r.verdict,
            `${verdicts[r.verdict]?.(r) ?? r.verdict}, ${when(r.at)}`,
            detail(r.detail),
          ]);
      }
      pairs.replaceChildren(
        ...lines.flatMap(([name, verdict, ...text]) => [
          element("dt", { textContent: name }),
          element("dd", { className: verdict === "findings" ? "minus" : "" }, ...text),
        ]),
      );
    },
  };
}

function health(page) {
  const mode = { ...page.who, livemode: page.filters.livemode };
  const amount = {
    key: "amount",
    label: "Amount",
    value: (r) => Number(r.amount),
    csv: (r) => major(r.amount, r.currency),
    cell: (r) => plainMoney(major(r.amount, r.currency), r.currency),
  };
  const currency = { key: "currency", label: "Currency", text: true, cell: (r) => r.currency.toUpperCase() };
  const plain = { ...page, view: { ...page.view, only: {}, without: {} } };
  const fresh = element("dl", { className: "pairs" });
  const risks = { disputed: "taken by disputes", unconverted: "without an exchange rate", held: "held" };
  return [
    {
      title: "How fresh",
      body: [fresh],
      ages: true,
      ask: (signal) => ask("freshness", mode, signal),
      draw: ([r]) =>
        fresh.replaceChildren(
          ...[
            ["Last click", r?.last_click_at],
            ["Last lead", r?.last_lead_at],
            ["Last sale", r?.last_sale_at],
          ].flatMap(([name, at]) => [
            element("dt", { textContent: name }),
            element("dd", {
              textContent: at
                ? `${clock(instant(at), page.view.timezone)}, ${age(page.now() - instant(at))} ago`
                : "never",
            }),
          ]),
        ),
    },
    ...(page.all ? [pipeline(page)] : []),
    list(plain, {
      question: "money_at_risk",
      title: "Money at risk, or in no total",
      parameters: mode,
      noRows: "None: nothing is disputed, held or without a rate.",
      columns: [
        wordColumn("risk", "Why", (r) => risks[r.risk] ?? r.risk, { head: true }),
        currency,
        amount,
        countColumn("entries", "Entries"),
        usdColumn("net_usd", "Net USD"),
        timeColumn(page, "oldest", "Since"),
      ],
    }),
    ...(page.all
      ? [
          list(plain, {
            question: "held",
            title: "Held: Stripe accounts that no workspace lists",
            parameters: {},
            noRows: "None: every Stripe account belongs to a workspace.",
            columns: [
              {
                key: "workspace",
                label: "Account",
                text: true,
                head: true,
                cell: (r) => isolated(r.workspace.split("/")[1] ?? r.workspace),
              },
              wordColumn("livemode", "Mode", (r) => (r.livemode ? "live" : "test")),
              currency,
              amount,
              countColumn("entries", "Entries"),
              timeColumn(page, "oldest", "Since"),
            ],
          }),
        ]
      : []),
    list(plain, {
      question: "unattributed",
      title: "Credited to nobody, in this time",
      parameters: page.range,
      columns: [
        {
          key: "sales",
          label: "Sales",
          head: true,
          cell: (r) => page.link({ ...plain.view, section: "sales", kinds: "uncredited" }, count(r.sales)),
        },
        usdColumn("net_usd", "Net USD"),
      ],
    }),
    list(plain, {
      question: "flagged_clicks",
      title: "Clicks flagged as bots, last 24 hours",
      parameters: { ...page.who, ...page.times(page.lastDay()) },
      noRows: "None.",
      meaning: "They are stored but in no other figure.",
      columns: [
        { key: "reason", label: "Rule", text: true, head: true, cell: (r) => isolated(r.reason || "none given") },
        countColumn("clicks", "Clicks"),
        timeColumn(page, "last_at", "Last"),
      ],
    }),
    ...(page.all
      ? [
          list(plain, {
            question: "dead_letters",
            title: "Dead letters: records that could not be processed",
            parameters: {},
            noRows: "None: every record was processed.",
            meaning:
              "Of all workspaces. They are stored unchanged; processor replay dead-letters processes them again.",
            columns: [
              { key: "reason", label: "Reason", text: true, head: true },
              { key: "step", label: "Step", text: true },
              { key: "topic", label: "Topic", text: true },
              countColumn("records", "Records"),
              timeColumn(page, "first_at", "First"),
              timeColumn(page, "last_at", "Last"),
            ],
          }),
        ]
      : []),
    list(plain, {
      question: "rates_used",
      title: "Exchange rates that money was converted by",
      parameters: { ...page.who, ...page.times(page.span) },
      columns: [
        {
          key: "fx_source",
          label: "Source",
          text: true,
          head: true,
          cell: (r) => (r.fx_source === "usd" ? "none needed: US dollars" : isolated(r.fx_source || "no rate yet")),
        },
        wordColumn("livemode", "Mode", (r) => (r.livemode ? "live" : "test")),
        countColumn("entries", "Entries"),
        usdColumn("net_usd", "Net USD"),
      ],
    }),
  ];
}

const campaignGroups = {
  campaign: "campaign",
  source: "source",
  medium: "medium",
  channel: "channel",
  program: "programme",
};

export const sections = {
  overview: {
    title: "Overview",
    compared: () => true,
    blocks: (page) => [
      totals(page),
      trend(page),
      apart(page),
      breakdown(page, "affiliate", "Affiliates", { brief: true }),
      breakdown(page, "channel", "Channels", { brief: true }),
      breakdown(page, "campaign", "Campaigns", { brief: true }),
      sales(page, { title: "Latest sales and refunds, and why they are credited", chosen: "", rows: 10, brief: true }),
    ],
  },
  affiliates: {
    title: "Affiliates",
    compared: theAffiliate,
    blocks: (page) =>
      theAffiliate(page.view)
        ? [
            totals(page),
            trend(page),
            breakdown(page, "link", "Links", { rows: 10 }),
            breakdown(page, "campaign", "Campaigns", { rows: 10 }),
            sales(page),
            ...(page.login && page.owner ? [affiliateLink(page)] : []),
          ]
        : [
            breakdown(page, "affiliate", "Affiliates"),
            list(page, {
              question: "lifetime_value",
              filters: ofSales,
              title: "What customers are worth, by who won them",
              name: "lifetime-value",
              parameters: { ...page.range, limit },
              slow: true,
              rows: 10,
              columns: [
                ...namesOf(page, "affiliate"),
                countColumn("customers", "Customers"),
                countColumn("orders", "Orders"),
                usdColumn("net_usd", "Net USD", "All they ever paid"),
                usdColumn("ltv", "For each customer"),
              ],
            }),
          ],
  },
  links: {
    title: "Links",
    blocks: (page) => [
      breakdown(page, "link", "Links"),
      arrivals(page, "landing_page", "Landing pages", "Page"),
    ],
  },
  campaigns: {
    title: "Campaigns and channels",
    blocks: (page) => {
      const by = pick(campaignGroups, page.view.by, "campaign");
      const block = breakdown(page, by, "By " + campaignGroups[by]);
      block.body.unshift(choice(page, "by", "By", campaignGroups, by));
      const spent = ["campaign", "source", "channel"].includes(by) ? by : "channel";
      return [
        block,
        list(page, {
          question: "return_on_spend",
          title: `Cost and return, by ${spent}`,
          name: "return-on-spend",
          parameters: { ...page.converted, dimension: spent, limit },
          slow: true,
          rows: 10,
          meaning:
            "Of attributed money: what nobody is credited with did not come from what was spent, as far as is known.",
          noRows:
            'No spend is known for this time. "processor spend FILE" loads it from CSV; its --help shows the columns.',
          choose: (all) => (all.some((r) => Number(r.spend) !== 0) ? all : []),
          columns: [
            ...namesOf(page, spent),
            moneyColumn(page, "spend", "Spend"),
            countColumn("clicks", "Clicks"),
            countColumn("customers", "New customers"),
            moneyColumn(page, "net", "Net"),
            {
              key: "roas",
              label: "ROAS",
              title: "Net for each unit of spend",
              cell: (r) => (r.roas === null ? none : Number(r.roas).toFixed(2)),
            },
            moneyColumn(page, "cost_per_click", "Each click"),
            moneyColumn(page, "cost_per_customer", "Each customer"),
          ],
        }),
      ];
    },
  },
  audience: {
    title: "Audience",
    blocks: (page) => [
      breakdown(page, "country", "Countries", { rows: 10 }),
      breakdown(page, "device", "Devices", { rows: 10 }),
      arrivals(page, "referrer", "Referrers", "Referrer"),
      arrivals(page, "browser", "Browsers", "Browser"),
    ],
  },
  funnel: {
    title: "Funnel",
    blocks: (page) => [
      funnel(page),
      list(page, {
        question: "time_to_purchase",
        filters: ofSales,
        title: "Hours from click to first sale",
        name: "time-to-purchase",
        parameters: { ...page.range, limit },
        rows: 10,
        columns: [
          ...namesOf(page, "affiliate"),
          countColumn("customers", "Customers"),
          ...[
            ["quarter_hours", "A quarter within"],
            ["half_hours", "Half within"],
            ["three_quarters_hours", "Three quarters"],
            ["nine_tenths_hours", "Nine tenths"],
          ].map(([key, label]) => ({
            key,
            label,
            cell: (r) => (r[key] === null ? none : Number(r[key]).toFixed(1) + " h"),
          })),
        ],
      }),
    ],
  },
  models: { title: "Models", blocks: models },
  cohorts: {
    title: "Cohorts",
    blocks: (page) => [
      cohorts(page),
      list(page, {
        question: "recurring_revenue",
        title: "Monthly recurring revenue",
        name: "recurring-revenue",
        parameters: { ...page.range, timezone: page.view.timezone },
        slow: true,
        rows: 12,
        noRows: "No subscription was paid in this time.",
        columns: [
          { key: "month", label: "Month", csvLabel: zoned(page, "Month"), text: true, head: true },
          usdColumn("mrr_usd", "MRR USD"),
          usdColumn("new_usd", "New"),
          usdColumn("reactivated_usd", "Came back"),
          usdColumn("expansion_usd", "More"),
          usdColumn("contraction_usd", "Less"),
          usdColumn("churned_usd", "Churned"),
          countColumn("subscriptions", "Subscriptions"),
          percentColumn("churn_rate", "Churn"),
        ],
      }),
    ],
  },
  sales: {
    title: "Sales",
    blocks: (page) => [sales(page), products(page), newAndReturning(page)],
  },
  earnings: { title: "Earnings", timeless: true, blocks: earnings },
  health: { title: "Health", unfiltered: true, blocks: health },
};
