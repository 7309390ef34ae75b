// The page of the dashboard. Everything shown is set as text, never as markup: ids of affiliates, links and campaigns come
// from whoever sends a click.

const every = 2000; // milliseconds from one answer to the next question
const $ = (id) => document.getElementById(id);
const address = new URL(location.href);
const ranges = [...document.querySelectorAll("#ranges button")];
const state = { range: "24h", workspace: address.searchParams.get("workspace") ?? "", asked: null, timer: 0, summary: null, skew: 0 };
if (ranges.some((b) => b.dataset.range === address.searchParams.get("range"))) state.range = address.searchParams.get("range");

// element makes an element with text or children in it.
function element(name, properties = {}, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children.filter((c) => c !== null && c !== ""));
  return e;
}

// isolated keeps text that runs from right to left, or pretends to, from turning its neighbours around.
const isolated = (text) => element("bdi", { textContent: text });

const count = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

// money groups the digits of a decimal string. It never becomes a number, so no cent is lost.
function money(decimal, sign = "$") {
  const minus = decimal.startsWith("-");
  const [whole, fraction] = decimal.replace("-", "").split(".");
  return (minus ? "−" : "") + sign + whole.replace(/\B(?=(\d{3})+$)/g, ",") + (fraction ? "." + fraction : "");
}

// percent moves the point of a ratio such as "0.0250" two digits: "2.50 %".
function percent(ratio) {
  const [whole, fraction = ""] = ratio.split(".");
  const digits = (whole + fraction.padEnd(4, "0").slice(0, 4)).replace(/^0+(?=\d{3})/, "");
  return digits.slice(0, -2) + "." + digits.slice(-2) + " %";
}

// orZero keeps a column of nothings quiet.
const orZero = (text) => (/[1-9]/.test(text) ? text : "0");

function ago(milliseconds) {
  const s = Math.max(0, milliseconds) / 1000;
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 120) return Math.round(s) + " s";
  if (s < 7200) return Math.round(s / 60) + " min";
  if (s < 172800) return Math.round(s / 3600) + " h";
  return Math.round(s / 86400) + " d";
}

const serverNow = () => Date.now() + state.skew;
const moment = (milliseconds) => new Date(milliseconds).toISOString().replace("T", " ").slice(0, 19) + " UTC";

// drawn remembers what a part shows, so that what has not changed is left alone: selections and focus survive.
const drawn = new Map();
function changed(part, value) {
  const text = JSON.stringify(value);
  if (drawn.get(part) === text) return false;
  drawn.set(part, text);
  return true;
}

function banner(id, title, text) {
  const e = $(id);
  e.hidden = !title;
  if (title && changed(id, [title, text])) e.replaceChildren(element("b", { textContent: title }), text);
}

function drawTotals(t) {
  if (!changed("totals", t)) return;
  const show = {
    clicks: count.format(t.clicks), visitors: count.format(t.visitors), page_views: count.format(t.page_views),
    leads: count.format(t.leads), sales: count.format(t.sales),
    refunds: count.format(t.refunds), net_usd: money(t.net_usd), epc: t.clicks ? money(t.epc) : "–", conversion: t.clicks ? percent(t.conversion) : "–",
  };
  for (const dd of document.querySelectorAll("[data-total]")) {
    dd.textContent = show[dd.dataset.total];
    dd.classList.toggle("minus", dd.dataset.total === "net_usd" && t.net_usd.startsWith("-"));
    if (dd.dataset.total === "refunds" && t.disputes) dd.append(element("small", { textContent: "+" + count.format(t.disputes) + " disputed" }));
    if (dd.dataset.total === "net_usd") dd.append(element("small", { textContent: "USD" }));
  }
}

function head(...names) {
  return element("thead", {}, element("tr", {}, ...names.map(([text, title, cls]) =>
    element("th", { scope: "col", textContent: text, title: title ?? "", className: cls ?? "" }))));
}

function drawTop(name, rows) {
  if (!changed(name, rows)) return;
  const body = element("tbody");
  for (const r of rows) {
    body.append(element("tr", {},
      element("td", { title: r.name }, isolated(r.name)),
      element("td", { textContent: count.format(r.clicks) }),
      element("td", { textContent: count.format(r.leads) }),
      element("td", { textContent: count.format(r.sales) }),
      element("td", { textContent: money(r.net_usd, ""), className: r.net_usd.startsWith("-") ? "minus" : "" }),
      element("td", { textContent: r.clicks ? orZero(money(r.epc, "")) : "–", className: "quiet" }),
      element("td", { textContent: r.clicks ? orZero(percent(r.conversion).replace(" %", "")) : "–", className: "quiet" })));
  }
  if (!rows.length) body.append(element("tr", {}, element("td", { colSpan: 7, className: "none", textContent: "None in this range." })));
  document.querySelector(`[data-top="${name}"]`).replaceChildren(
    head(["Name"], ["Clicks"], ["Leads"], ["Sales"], ["Net USD"], ["EPC", "Net USD per click"], ["Conv. %", "Sales per click"]), body);
}

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
const kinds = { payment: "sale", refund: "refund", refund_reversal: "refund failed", dispute: "dispute", dispute_reversal: "dispute won" };

function why(m) {
  const td = element("td", { className: "why" });
  if (m.match_rule === "" || m.match_rule === "none") {
    td.append(element("span", { className: "quiet", textContent: "not attributed: nothing in the sale leads to a click" }));
    return td;
  }
  td.append(rules[m.match_rule] ?? m.match_rule);
  if (m.match_key) td.append(" ", element("code", { className: "quiet" }, isolated(m.match_key)));
  if (m.clicked_at !== null) {
    const before = m.at - m.clicked_at;
    td.append(element("span", { className: "quiet", title: "clicked " + moment(m.clicked_at), textContent: before >= 0 ? ", clicked " + ago(before) + " before" : ", clicked " + ago(-before) + " after" }));
  }
  return td;
}

// explanationOf returns the address of the page that explains an entry.
function explanationOf(object) {
  const query = new URLSearchParams({ object });
  if (state.workspace) query.set("workspace", state.workspace);
  return "explain?" + query;
}

function drawLatest(rows) {
  if (changed("latest", rows)) {
    const body = element("tbody");
    for (const m of rows) {
      const out = m.amount.startsWith("-");
      body.append(element("tr", {},
        element("td", { className: "when quiet", title: moment(m.at) }, element("time", { dateTime: new Date(m.at).toISOString() })),
        element("td", { className: "kind left" + (out ? " minus" : ""), title: m.object_id + (m.sale_id && m.sale_id !== m.object_id ? " of " + m.sale_id : "") },
          element("a", { href: explanationOf(m.object_id), textContent: kinds[m.kind] ?? m.kind })),
        element("td", { className: "amount", textContent: money(m.amount, "") + " " + m.currency.toUpperCase() }),
        element("td", { className: "usd" + (out ? " minus" : ""), textContent: m.net_usd === null ? "no rate" : money(m.net_usd), title: "Net, without tax" + (m.fx_source ? "; rate: " + m.fx_source : "") }),
        element("td", { className: "who left clip", title: m.affiliate_id }, m.affiliate_id ? isolated(m.affiliate_id) : element("span", { className: "quiet", textContent: "–" })),
        element("td", { className: "via left clip quiet", title: m.campaign || m.link_id }, isolated(m.campaign || m.link_id || "–")),
        Object.assign(why(m), { className: "why left" })));
    }
    if (!rows.length) body.append(element("tr", {}, element("td", { colSpan: 7, className: "none", textContent: "No sale in this range." })));
    $("latest").replaceChildren(head(["When"], ["What", "", "left"], ["Amount"], ["Net USD"], ["Affiliate", "", "left"], ["Campaign or link", "", "left"], ["Why", "", "left"]), body);
  }
  tick();
}

function drawApart(s) {
  if (changed("unattributed", s.unattributed)) {
    $("unattributed-net").textContent = money(s.unattributed.net_usd);
    $("unattributed-text").textContent = s.unattributed.count === 0 ? "Every sale has its click or affiliate."
      : count.format(s.unattributed.count) + (s.unattributed.count === 1 ? " sale" : " sales") + " with nobody to credit, in net revenue but not in EPC and conversion.";
  }
  if (changed("without", s.without_rate)) {
    if (!s.without_rate.length) $("without-rate-list").replaceChildren(element("p", { textContent: "All money is converted to USD." }));
    else $("without-rate-list").replaceChildren(
      element("table", { className: "rates" }, element("tbody", {}, ...s.without_rate.map((w) => element("tr", {},
        element("td", { textContent: money(w.amount, "") + " " + w.currency.toUpperCase() }),
        element("td", { className: "quiet", textContent: count.format(w.count) + (w.count === 1 ? " entry" : " entries") }))))),
      element("p", { textContent: "In no USD figure until a rate is known." }));
  }
}

let plot = null;
const dark = matchMedia("(prefers-color-scheme: dark)");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const bucketLabel = (seconds, step) => {
  const text = new Date(seconds * 1000).toISOString();
  return step >= 86400 ? text.slice(0, 10) : text.slice(5, 10) + " " + text.slice(11, 16) + " UTC";
};

function drawChart(s) {
  const points = s.timeseries;
  $("chart-note").textContent = "by " + (s.range.bucket_seconds >= 86400 ? "day" : "hour") + ", UTC" + (s.range.note ? " · " + s.range.note : "");
  if (!changed("chart", [points, s.range.bucket_seconds])) return;
  // Heights on a canvas are numbers; the figures in the legend stay the strings they are.
  const data = [points.map((p) => p.start), points.map((p) => p.clicks), points.map((p) => Number(p.net_usd))];
  if (typeof uPlot === "undefined") return drawPlain(data);
  if (plot && plot.step === s.range.bucket_seconds) return void plot.setData(data);
  plot?.destroy();
  plot = new uPlot(plotOptions(s.range.bucket_seconds), data, $("chart"));
  plot.step = s.range.bucket_seconds;
}

// extent is the range of an axis. Money can be negative; clicks then get as much room below, so that both have one zero.
function extent(data, series, least) {
  const high = Math.max(...data[series], least) * 1.05;
  const below = Math.max(0, -Math.min(...data[2], 0)) / Math.max(...data[2], 10);
  return [-high * below, high];
}

function plotOptions(step) {
  const axis = { stroke: color("--quiet"), font: "11px system-ui", ticks: { show: false } };
  const grid = { stroke: color("--line"), width: 1 };
  const last = () => state.summary.timeseries;
  return {
    width: $("chart").clientWidth, height: $("chart").clientHeight, padding: [8, 0, 0, 0],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    cursor: { y: false, drag: { x: false, y: false } },
    scales: {
      x: { time: true, range: (_, from, to) => [from - step / 2, to + step / 2] },
      clicks: { range: (u) => extent(u.data, 1, 4) },
      net: { range: (u) => extent(u.data, 2, 10) },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 60, size: 26, values: (_, at) => at.map((v, i) => {
        const text = new Date(v * 1000).toISOString();
        const midnight = v % 86400 === 0;
        return step >= 86400 || midnight ? (i === 0 || text.slice(8, 10) === "01" ? text.slice(0, 10) : text.slice(5, 10)) : text.slice(11, 16);
      }) },
      { ...axis, scale: "clicks", grid, size: 46, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8], values: (_, at) => at.map((v) => (v < 0 ? "" : short.format(v))) },
      { ...axis, scale: "net", side: 1, grid: { show: false }, size: 56, values: (_, at) => at.map((v) => (v < 0 ? "−$" : "$") + short.format(Math.abs(v))) },
    ],
    series: [
      {},
      { scale: "clicks", fill: color("--clicks-fill"), stroke: color("--clicks"), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.8, 40] }) },
      { scale: "net", stroke: color("--net"), width: 2, points: { show: step >= 86400 ? undefined : false } },
    ],
    hooks: { setCursor: [(u) => pointAt(last()[u.cursor.idx], step)] },
  };
}

function pointAt(p, step) {
  $("at-clicks").textContent = p ? count.format(p.clicks) : "";
  $("at-net").textContent = p ? money(p.net_usd) : "";
  $("at-time").textContent = p ? bucketLabel(p.start, step) : "";
}

// drawPlain draws bars and a line without a library.
function drawPlain([at, clicks, net]) {
  const svg = (name, attributes, text) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    if (text) e.textContent = text;
    return e;
  };
  const width = $("chart").clientWidth, height = $("chart").clientHeight, foot = height - 18, n = at.length || 1;
  const most = Math.max(...clicks, 1), high = Math.max(...net, 10), low = Math.min(...net, 0);
  const y = (v) => 14 + (foot - 14) * (1 - (v - low) / (high - low));
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}` });
  const zero = y(0);
  clicks.forEach((v, i) => root.append(svg("rect", { class: "bar", x: (i + .1) * width / n, width: .8 * width / n, y: zero - (zero - 14) * v / most, height: (zero - 14) * v / most })));
  root.append(svg("polyline", { class: "path", points: net.map((v, i) => `${(i + .5) * width / n},${y(v)}`).join(" ") }));
  root.append(svg("text", { x: 0, y: 10 }, short.format(most) + " clicks"), svg("text", { x: width, y: 10, "text-anchor": "end" }, "$" + short.format(high)));
  if (at.length) root.append(svg("text", { x: 0, y: height - 4 }, moment(at[0] * 1000).slice(0, 16)), svg("text", { x: width, y: height - 4, "text-anchor": "end" }, moment(at.at(-1) * 1000).slice(0, 16)));
  $("chart").replaceChildren(root);
}

function redraw() {
  plot?.destroy();
  plot = null;
  drawn.delete("chart");
  if (state.summary) drawChart(state.summary);
}

// tick lets the ages grow between answers.
function tick() {
  const s = state.summary;
  if (!s) return;
  const { last_click: click, last_sale: sale } = s.freshness;
  $("last-click").textContent = click === null ? "no click yet" : "last click " + ago(serverNow() - click) + " ago";
  $("last-sale").textContent = sale === null ? "" : "last sale " + ago(serverNow() - sale) + " ago";
  for (const t of document.querySelectorAll("#latest time")) {
    const text = ago(serverNow() - Date.parse(t.dateTime)).replace(/\.\d/, "");
    if (t.textContent !== text) t.textContent = text;
  }
}

function draw(s) {
  state.summary = s;
  $("workspace").textContent = s.workspace;
  const demo = s.fx_sources.filter((x) => x.includes("demo"));
  banner("demo", demo.length ? "Invented exchange rates." : "", "Money in other currencies was converted by " + demo.join(", ") + ", so USD figures are not real. Give --fx-source a real source.");
  banner("test", s.test_entries ? "Stripe test mode." : "", count.format(s.test_entries) + (s.test_entries === 1 ? " test-mode entry is" : " test-mode entries are") + " booked in this range and left out of every figure here.");
  const nothing = s.freshness.last_click === null && s.freshness.last_sale === null && s.test_entries === 0;
  $("empty").hidden = !nothing;
  if (nothing) $("curl").textContent = `curl -sS ${s.click_url} -d '{"url":"https://shop.example/?via=anna&utm_campaign=spring"}'`;
  drawTotals(s.totals);
  drawApart(s);
  for (const name of ["affiliates", "links", "campaigns"]) drawTop(name, s[name]);
  drawLatest(s.latest);
  drawChart(s);
}

function healthy(yes) {
  document.querySelector("main").classList.toggle("stale", !yes);
  $("pulse").className = yes ? "live" : "bad";
}

async function ask() {
  clearTimeout(state.timer);
  state.asked?.abort();
  const asked = state.asked = new AbortController();
  const limit = setTimeout(() => asked.abort(), 15000);
  try {
    const query = new URLSearchParams({ range: state.range });
    if (state.workspace) query.set("workspace", state.workspace);
    const answer = await fetch("api/summary?" + query, { signal: asked.signal, headers: { Accept: "application/json" } });
    if (answer.status === 401) { // the login has expired
      location.assign("login?" + new URLSearchParams({ next: location.pathname + location.search }));
      return;
    }
    const body = await answer.json();
    if (state.asked !== asked) return;
    if (body.error) {
      banner("error", body.error.message, body.error.hint);
      healthy(false);
    } else {
      banner("error", "");
      state.skew = Date.parse(answer.headers.get("Date")) - Date.now(); // also of an answer that has not changed
      draw(body);
      healthy(true);
    }
  } catch {
    if (state.asked !== asked) return; // another range was chosen meanwhile
    banner("error", "The dashboard does not answer.", "Check that the program that serves this page still runs. The page goes on by itself; the figures below are the last ones it had.");
    healthy(false);
  } finally {
    clearTimeout(limit);
    if (state.asked === asked && !document.hidden) state.timer = setTimeout(ask, every);
  }
}

function choose(range) {
  state.range = range;
  for (const b of ranges) b.setAttribute("aria-pressed", String(b.dataset.range === range));
  address.searchParams.set("range", range);
  history.replaceState(null, "", address);
  ask();
}

for (const b of ranges) b.addEventListener("click", () => choose(b.dataset.range));
document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(state.timer); else ask(); });
dark.addEventListener("change", redraw);
new ResizeObserver(() => {
  if (plot && plot.width !== $("chart").clientWidth) plot.setSize({ width: $("chart").clientWidth, height: $("chart").clientHeight });
  else if (!plot && state.summary) redraw();
}).observe($("chart"));
setInterval(() => { if (!document.hidden) tick(); }, 500);
choose(state.range);
