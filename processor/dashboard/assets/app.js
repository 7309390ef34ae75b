// The page: it reads the view from the address, asks the questions of the section and shows the
// answers, again as soon as the tables have changed. An answer that has not changed costs the server
// no question (ETag) and the page no drawing.

import { ask, now, pause, session, tablesState, Fault } from "./api.js";
import { age, clock, count, instant } from "./format.js";
import { productNames, sections, shownAs } from "./sections.js";
import { element, isolated } from "./table.js";
import { dimensions, filtered, isDate, ranges, read, span, withFilter, withoutFilter, write } from "./view.js";

const $ = (id) => document.getElementById(id);
// Faults of every question at once: they are said once, above the page.
const noClickHouse = ["unreachable", "clickhouse_unavailable", "clickhouse_denied", "quota_exceeded"];
const noWorkspace = ["unknown_workspace", "forbidden_workspace", "bad_workspace", "no_workspace"];
const every = 5000; // milliseconds until all is asked again after a fault, or when the state is not known
const glance = 1500; // milliseconds from one look at the state of the tables to the next, at least
const longest = 30e3; // milliseconds after which all is asked again: some answers read the clock
const state = {
  session: null,
  view: null,
  blocks: [],
  asked: new AbortController(),
  timer: 0,
  looking: new AbortController(),
  tables: undefined, // their state when the last round began
  rounded: 0, // when it began
  rested: 0, // until when another round waits, unless the ledger is another
  fresh: null,
  data: "", // the workspace and mode that the page shows
  first: undefined,
};

const currencies =
  "usd eur gbp jpy aud brl cad chf cny czk dkk hkd huf idr ils inr krw kwd mxn nok nzd php pln ron sek sgd thb try twd zar".split(
    " ",
  );

// regionOf returns the workspace of a view with its time zone and currency.
function regionOf(view) {
  const known = state.session.workspaces;
  return known.find((w) => w.id === view.workspace) ?? known[0] ?? { id: "", timezone: "UTC", currency: "usd" };
}

// viewOf returns the view of an address, with what it leaves out filled in.
function viewOf(address) {
  const view = read(address);
  const region = regionOf(view);
  // Another reader's first workspace may be another one, so it stands in every address.
  if (state.session.login || state.session.workspaces.length > 1) view.workspace ??= region.id || undefined;
  if (!Object.hasOwn(sections, view.section ?? "")) view.section = "overview";
  view.currency = /^[a-z]{3}$/.test(view.currency ?? "") ? view.currency : region.currency;
  view.timezone = [view.timezone, region.timezone].find(isZone) ?? "UTC";
  return view;
}

// addressOf returns the address of a view. It leaves out what is the workspace's own, so that this
// follows the workspace.
function addressOf(view) {
  const { timezone, currency } = regionOf(view);
  return write({
    ...view,
    section: view.section === "overview" ? undefined : view.section,
    timezone: view.timezone === timezone ? undefined : view.timezone,
    currency: view.currency === currency ? undefined : view.currency,
  });
}

function isZone(name) {
  try {
    return Boolean(name && Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

// Names by which browsers still list some zones.
const renamed = {
  "Asia/Calcutta": "Asia/Kolkata",
  "Asia/Katmandu": "Asia/Kathmandu",
  "Asia/Saigon": "Asia/Ho_Chi_Minh",
  "Asia/Rangoon": "Asia/Yangon",
  "Europe/Kiev": "Europe/Kyiv",
  "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
};

// zones returns the names of all time zones, those that are likely first.
function zones() {
  const own = [...state.session.workspaces.map((w) => w.timezone), Intl.DateTimeFormat().resolvedOptions().timeZone];
  return [
    ...new Set(
      ["UTC", ...[state.view.timezone, ...own].filter(isZone), ...Intl.supportedValuesOf("timeZone")].map(
        (z) => renamed[z] ?? z,
      ),
    ),
  ];
}

// go shows another view. What it says of the section alone does not follow to another section.
function go(view, { keep = false } = {}) {
  const elsewhere = (view.section ?? "overview") !== state.view.section;
  if (elsewhere)
    for (const key of ["by", "unit", "measure", "lookback", "kinds", "month"])
      if (view[key] === state.view[key]) delete view[key];
  history.pushState(elsewhere ? null : history.state, "", addressOf(view)); // its tables stay in their order
  navigate({ keep });
}

// link is an anchor to another view of this page, which the browser may also open in a new tab.
function link(view, ...content) {
  const a = element("a", { href: addressOf(view) }, ...content);
  a.addEventListener("click", (e) => {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    e.preventDefault();
    go(view);
  });
  return a;
}

function pageOf(view) {
  const s = span(view, now(), state.first);
  const iso = (at) => new Date(at).toISOString().slice(0, 19) + "Z";
  const times = ({ from, to }) => ({ from: iso(from), to: iso(to) });
  const who = { workspace: view.workspace };
  const range = { ...who, livemode: String(view.mode !== "test"), ...times(s) };
  const unconverted = { ...range, only: view.only, without: view.without };
  return {
    view,
    span: s,
    times,
    who,
    range,
    unconverted,
    go,
    link,
    now,
    converted: { ...range, currency: view.currency },
    filters: { ...unconverted, currency: view.currency },
    lastDay: () => {
      const to = Math.ceil((now() + 1) / 3600e3) * 3600e3;
      return { from: to - 24 * 3600e3, to };
    },
    owner: state.session.role === "owner",
    all: state.session.all_workspaces,
    login: state.session.login,
  };
}

function banner(id, title, ...text) {
  const e = $(id);
  e.hidden = !title;
  if (title && e.dataset.said !== title + text.map((t) => t.textContent ?? t).join("")) {
    e.replaceChildren(element("b", { textContent: title }), ...text);
    e.dataset.said = title + text.map((t) => t.textContent ?? t).join("");
  }
}

// --- The tools above the figures

function menu(id, options, value, change) {
  const select = $(id);
  const offered = Object.keys(options).join();
  if (select.dataset.offered !== offered) {
    select.dataset.offered = offered;
    select.replaceChildren(
      ...Object.entries(options).map(([v, text]) => element("option", { value: v, textContent: text })),
    );
  }
  select.value = value;
  select.onchange = () => change(select.value);
}

function drawTools(page) {
  const { view } = page;
  const set = (changes) => go({ ...state.view, ...changes });
  menu("range", ranges, view.range, (range) => {
    if (range !== "custom") return set({ range, from: undefined, to: undefined });
    const date = (at) => new Intl.DateTimeFormat("sv-SE", { timeZone: view.timezone }).format(at);
    set({ range, from: date(page.span.from), to: date(Math.min(page.span.to - 1, now())) });
  });
  $("dates").hidden = view.range !== "custom" || Boolean(sections[view.section].timeless);
  for (const id of ["from", "to"]) {
    $(id).value = view[id] ?? "";
    $(id).onchange = () => {
      if (isDate($(id).value)) set({ [id]: $(id).value });
    };
  }
  $("compare").checked = view.compare !== "none";
  const section = sections[view.section];
  $("compare").parentElement.hidden = view.range === "all" || !section.compared?.(view);
  $("range").hidden = $("covered").hidden = Boolean(section.timeless);
  $("compare").onchange = () => set({ compare: $("compare").checked ? undefined : "none" });
  menu("timezone", Object.fromEntries(zones().map((z) => [z, z.replaceAll("_", " ")])), view.timezone, (timezone) =>
    set({ timezone }),
  );
  const offered = [...new Set([...currencies, view.currency, ...state.session.workspaces.map((w) => w.currency)])];
  menu("currency", Object.fromEntries(offered.map((c) => [c, c.toUpperCase()])), view.currency, (currency) =>
    set({ currency }),
  );
  $("covered").textContent =
    clock(page.span.from, view.timezone) +
    " – " +
    clock(page.span.to - 1, view.timezone) +
    (section.unfiltered && filtered(view) ? " · Filters do not apply here." : "");
  drawFilters(view);
  if (view.only.product || view.without.product)
    productNames(page, state.asked.signal).then(
      () => {
        const { control } = document.activeElement.dataset;
        if (state.view === view) drawFilters(view);
        if (control && document.activeElement === document.body) focusAgain(control, true);
      },
      () => {}, // the ids stay
    );
  const own = state.session.workspaces;
  $("workspace").hidden = own.length < 2;
  $("find-workspace").value = view.workspace ?? own[0]?.id ?? "";
  menu("workspace", Object.fromEntries(own.map((w) => [w.id, w.id])), view.workspace ?? own[0]?.id, (workspace) =>
    set({ workspace, timezone: undefined, currency: undefined, only: {}, without: {} }),
  );
}

function drawFilters(view) {
  const chips = [];
  for (const [kind, word] of [
    ["only", "is"],
    ["without", "is not"],
  ]) {
    for (const [dimension, names] of Object.entries(view[kind])) {
      for (const name of names) {
        const shown = name === "" ? "none" : shownAs(dimension, name);
        const other = kind === "only" ? "without" : "only";
        const turned = withFilter(withoutFilter(view, dimension, name, kind), dimension, name, other);
        const turn = element(
          "button",
          {
            type: "button",
            className: "plain",
            title: "Turn the filter round",
            dataset: { control: `turn ${dimension} ${name}` },
          },
          `${dimensions[dimension]} ${word} `,
          element("b", {}, isolated(shown)),
        );
        turn.addEventListener("click", () => go(turned));
        const remove = element("button", {
          type: "button",
          className: "plain",
          textContent: "×",
          ariaLabel: `Remove the filter ${dimensions[dimension]} ${word} ${shown}`,
          dataset: { control: `remove ${dimension} ${name}` },
        });
        remove.addEventListener("click", () => go(withoutFilter(view, dimension, name, kind)));
        chips.push(element("li", { className: "chip" }, turn, remove));
      }
    }
  }
  if (chips.length > 1) chips.push(element("li", {}, link({ ...view, only: {}, without: {} }, "Clear all")));
  $("filters").replaceChildren(...chips);
  $("filters").hidden = !chips.length;
}

function drawNavigation(view) {
  $("sections").replaceChildren(
    ...Object.entries(sections).map(([key, { title }]) => {
      const a = link(
        {
          ...view,
          section: key === "overview" ? undefined : key,
          by: undefined,
          unit: undefined,
          measure: undefined,
          lookback: undefined,
          kinds: undefined,
          month: undefined,
        },
        title,
      );
      a.dataset.control = "section " + key;
      if (key === view.section) a.setAttribute("aria-current", "page");
      return a;
    }),
  );
  const current = $("sections").querySelector("[aria-current]");
  $("sections").scrollLeft = current.offsetLeft - 60;
}

// offered is the last answer of which names a filter may choose: of what, and a promise of the names
// with how they are shown.
let offered = { of: "", names: Promise.resolve([]) };

// offerNames offers the names of the chosen dimension that have figures in the time of the view.
function offerNames() {
  const dimension = $("filter-dimension").value;
  const page = pageOf(state.view);
  const parameters = { ...page.filters, only: {}, without: {}, dimension, limit: 1000, visitors: false };
  if (offered.of === JSON.stringify(parameters)) return;
  const { signal } = new AbortController();
  const names = Promise.all([
    ask("breakdown", parameters, signal),
    dimension === "product" ? productNames(page, signal) : undefined,
  ]).then(
    ([rows]) => rows.filter((r) => r.name !== "").map((r) => ({ name: r.name, shown: shownAs(dimension, r.name) })),
    () => [], // the page says what is wrong; a name can be typed all the same
  );
  offered = { of: JSON.stringify(parameters), names };
  $("filter-names").replaceChildren();
  names.then((list) => {
    if (offered.names === names)
      $("filter-names").replaceChildren(...list.map(({ shown }) => element("option", { value: shown })));
  });
}

// nameTyped returns the name that somebody means who types it as it is shown, in capitals or not. Any
// other text is a name that has no figures. Names that are slow to come keep nobody waiting.
async function nameTyped(text) {
  const names = await Promise.race([offered.names, pause(2000).then(() => [])]);
  const trimmed = text.trim();
  const same = (a) => a.toLowerCase() === trimmed.toLowerCase();
  return (
    names.find(({ name, shown }) => name === text || shown === text) ??
    names.find(({ name, shown }) => same(name) || same(shown)) ?? { name: trimmed }
  ).name;
}

// --- Blocks

function frame(block) {
  const status = element("p", { className: "status", role: "status" });
  const body = element("div", { className: "body" }, ...block.body);
  const root = element(
    "section",
    { className: (block.className ?? "") + (block.bare ? " bare" : "") },
    block.title ? element("h2", { textContent: block.title }) : null,
    status,
    body,
  );
  return Object.assign(block, { root, status, holder: body, drawn: undefined });
}

async function askBlock(block, signal) {
  const began = performance.now();
  const seconds = element("span", { ariaHidden: "true" }); // nobody wants to hear each of them
  const computing = () => {
    if (!block.slow) block.status.textContent = "Asking …";
    else if (!seconds.isConnected) block.status.replaceChildren("Computing … ", seconds);
    seconds.textContent = `${Math.round((performance.now() - began) / 1000)} s`;
  };
  const timer = block.drawn === undefined ? setInterval(computing, 500) : 0;
  if (block.drawn === undefined && block.slow) computing();
  block.root.ariaBusy = "true";
  try {
    const answers = await block.ask(signal);
    signal.throwIfAborted();
    const text = JSON.stringify(answers) ?? "";
    if (text !== block.drawn || block.ages) block.draw(answers); // an age grows though the answer stays
    block.drawn = text;
    block.status.textContent = "";
    block.root.classList.remove("stale");
    return null;
  } catch (error) {
    if (signal.aborted) return null;
    const fault = faultOf(error);
    block.root.classList.add("stale");
    block.status.textContent = noClickHouse.includes(fault.code) ? "" : `${fault.message} ${fault.hint ?? ""}`;
    return fault;
  } finally {
    clearInterval(timer);
    if (!signal.aborted) block.root.ariaBusy = "false";
  }
}

// faultOf returns what kept a block from its figures. An error of this page's own is one more, so that
// it stops neither the other blocks nor the rounds to come; the console has its place.
function faultOf(error) {
  if (error instanceof Fault) return error;
  console.error(error);
  return new Fault({ code: "page", message: "This cannot be shown.", hint: "The reason is in the browser's console." });
}

// show draws the view of the address. keep: the reader stays where the page is scrolled to; place: goes
// to where the page was scrolled to, in pixels, once its lists are there.
function show({ keep = false, place } = {}) {
  state.asked.abort();
  state.asked = new AbortController();
  stopLooking();
  const before = state.view;
  state.view = viewOf(location.search);
  if (state.view.workspace !== read(location.search).workspace)
    history.replaceState(history.state, "", addressOf(state.view));
  const page = pageOf(state.view);
  const focused = document.activeElement;
  document.title = `${sections[state.view.section].title} · ${ranges[state.view.range]}${filtered(state.view) ? " · filtered" : ""} · tributary`;
  drawTools(page);
  if (!keep || !before) drawNavigation(state.view);
  state.until = page.span.to;
  const main = $("blocks");
  if (keep) main.style.minHeight = main.offsetHeight + "px"; // nothing jumps while the new blocks are filled
  state.blocks = sections[state.view.section].blocks(page).map(frame);
  const data = JSON.stringify([state.view.workspace, state.view.mode]);
  if (state.data !== data) {
    Object.assign(state, { data, fresh: null });
    $("last-click").textContent = "connecting …";
    $("last-sale").textContent = "";
    $("empty").hidden = true;
    $("blocks").hidden = false;
    $("blocks").style.visibility = "hidden"; // no zeros where nothing has arrived yet
  }
  main.className = state.view.section;
  main.replaceChildren(...state.blocks.map((b) => b.root));
  $("title").textContent =
    sections[state.view.section].title + (state.view.mode === "test" ? " (Stripe’s test mode)" : "");
  const lost = !focused.isConnected; // it was drawn anew, or is gone
  const still = keep || place !== undefined;
  if (lost) focusAgain(focused.dataset.control, still);
  if (!keep && before && before.section !== state.view.section) scrollTo(0, 0);
  round(true, place).then(() => {
    main.style.minHeight = "";
    if (lost && document.activeElement === $("title")) focusAgain(focused.dataset.control, still);
  });
}

// focusAgain moves the focus to the control that took the place of the one that had it, so that who
// uses keys goes on from there; without one, to where the section begins.
function focusAgain(control, preventScroll) {
  const same = control && [...document.querySelectorAll("[data-control]")].find((e) => e.dataset.control === control);
  (same || $("title")).focus({ preventScroll });
}

// round asks all blocks; the slow ones only when they are new.
async function round(fresh, place) {
  stopLooking();
  const { signal } = state.asked;
  state.rounded = performance.now();
  const blocks = fresh ? state.blocks : state.blocks.filter((b) => !b.slow);
  const faults = [];
  const arrived = arrivals(signal); // asked before the blocks, which are shown by its answer
  const askAll = async (some) => faults.push(...(await Promise.all(some.map((b) => askBlock(b, signal)))));
  await askAll(blocks.filter((b) => !b.slow));
  if (place !== undefined && !signal.aborted) scrollTo(0, place);
  if (!signal.aborted) faults.push(await arrived, await about(signal));
  // While rows keep arriving it asks a sixth of the time, while the ledger changes half of it.
  const took = performance.now() - state.rounded;
  const rest = (times) => Math.min(Math.max(glance, times * took), every);
  state.rested = performance.now() + rest(5);
  // The slow ones last and one by one, so that they keep no other waiting.
  for (const b of blocks.filter((b) => b.slow)) if (!signal.aborted) await askAll([b]);
  if (signal.aborted) return;
  const broken = faults.find((f) => f && [...noClickHouse, ...noWorkspace, "no_tables"].includes(f.code));
  const elsewhere = noWorkspace.includes(broken?.code) && state.session.workspaces.length > 0;
  const own = state.session.workspaces.flatMap(({ id }) => [" ", link({ workspace: id, only: {}, without: {} }, id)]);
  banner("error", broken?.message, ...(elsewhere ? ["You may see", ...own] : [broken?.hint ?? ""]));
  if (elsewhere) $("blocks").hidden = true; // each would say the same
  document.body.classList.toggle("stale", Boolean(broken));
  $("pulse").className = broken ? "bad" : "live";
  if (document.hidden) return;
  clearTimeout(state.timer); // of a round that ended while this one was under way
  if (faults.some(Boolean)) state.timer = setTimeout(again, every);
  else state.timer = setTimeout(look, state.tables ? rest(1) : every);
}

// look asks for the figures again when they may be others: the state of the tables is another, or
// not known, or the time has moved on. The server answers when it is another, or after some seconds.
// There is one look at a time: of two rounds that overlap each begins one.
async function look() {
  stopLooking();
  const began = performance.now();
  const { signal } = (state.looking = new AbortController());
  const resting = state.tables && began < state.rested;
  if (resting) state.timer = setTimeout(look, state.rested - began);
  const tables = await tablesState(resting ? ledgerOf(state.tables) : state.tables, signal);
  if (signal.aborted || document.hidden) return;
  clearTimeout(state.timer);
  if (resting && tables && ledgerOf(tables) === ledgerOf(state.tables)) {
    state.timer = setTimeout(look, Math.max(0, began + glance - performance.now()));
    return;
  }
  const sameTime = pageOf(state.view).span.to === state.until && performance.now() - state.rounded < longest;
  if (tables && tables === state.tables && sameTime) state.timer = setTimeout(look, began + glance - performance.now());
  else {
    state.tables = tables;
    again();
  }
}

// ledgerOf is what the state of the tables says of the ledger.
const ledgerOf = (tables) => tables.slice(tables.indexOf("."));

// stopLooking ends a look that is under way, too: it holds a connection, of which a browser has few.
function stopLooking() {
  clearTimeout(state.timer);
  state.looking.abort();
}

// again asks once more; when the time has moved on (a new hour or day), for another time.
function again() {
  const page = pageOf(state.view);
  if (page.span.to !== state.until) show({ keep: true });
  else round(false);
}

// arrivals shows how fresh the data is, and what to do where nothing has arrived yet.
async function arrivals(signal) {
  const page = pageOf(state.view);
  try {
    const [fresh] = await ask("freshness", { ...page.who, livemode: page.range.livemode }, signal);
    let nothing = !fresh.last_click_at && !fresh.last_sale_at;
    if (nothing) nothing = (await ask("modes", page.who, signal)).length === 0;
    state.fresh = fresh;
    tick();
    $("empty").hidden = !nothing;
    $("blocks").hidden = nothing;
    if (nothing) await drawEmpty(page, signal);
    return null;
  } catch (error) {
    return signal.aborted ? null : faultOf(error);
  } finally {
    if (!signal.aborted) $("blocks").style.visibility = "";
  }
}

// about shows what concerns all sections: test mode, invented rates, money without a rate.
async function about(signal) {
  const view = state.view;
  const page = pageOf(view);
  try {
    const [modes, rates, [shown]] = await Promise.all([
      ask("modes", page.who, signal),
      ask("rates_used", { ...page.who, ...page.times(page.span) }, signal),
      // What has no rate to USD is said where figures need care.
      view.currency === "usd" ? [] : ask("breakdown", { ...page.filters, dimension: "" }, signal),
    ]);
    if (signal.aborted) return null;
    const test = modes.find((m) => !m.livemode);
    if (view.mode === "test")
      banner(
        "test",
        "Stripe's test mode.",
        "Money and leads below are not real. ",
        link({ ...view, mode: undefined }, "Show live figures"),
      );
    else
      banner(
        "test",
        test ? "Stripe's test mode" : "",
        test
          ? Number(test.entries) === 1
            ? "has one entry, which is in no figure here. "
            : `has ${count(test.entries)} entries, which are in no figure here. `
          : "",
        test ? link({ ...view, mode: "test" }, "Show them apart") : "",
      );
    const demo = rates.filter((r) => r.fx_source.includes("demo")).map((r) => r.fx_source);
    banner(
      "demo",
      demo.length ? "Invented exchange rates." : "",
      demo.length
        ? `Money in other currencies is converted by ${[...new Set(demo)].join(", ")}. Give --fx-source a real source.`
        : "",
    );
    const unshown = Number(shown?.without_rate ?? 0);
    banner(
      "unshown",
      unshown ? `No exchange rate to ${view.currency.toUpperCase()}.` : "",
      `${count(unshown)} of the sales, refunds and disputes of this time are in no figure in this currency.`,
    );
    return null;
  } catch (error) {
    return signal.aborted ? null : faultOf(error);
  }
}

async function drawEmpty(page, signal) {
  const { publishable_key: key, hostname = "shop.example" } = regionOf(page.view);
  const click = JSON.stringify({ key, url: `https://${hostname}/?via=anna&utm_campaign=spring` }).replaceAll("'", "'\\''");
  const edge = state.session.click_url || "https://clicks.example.com/v1/click";
  $("which-edge").hidden = Boolean(state.session.click_url);
  const command = `curl -sS ${edge} -A 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' -H 'Content-Type: application/json' -d '${click}'`;
  if ($("curl").textContent !== command) $("curl").textContent = command;
  const flagged = await ask("flagged_clicks", { ...page.who, ...page.times(page.lastDay()) }, signal);
  $("flagged").hidden = !flagged.length;
  $("flagged").textContent = flagged.length
    ? "Arrived, but flagged as a bot and not counted: " +
      flagged.map((r) => `${count(r.clicks)} × ${r.reason}`).join(", ") +
      ". A browser's user agent, as in the command above, is not flagged."
    : "";
}

// tick lets the ages grow between answers.
function tick() {
  if (!state.fresh) return;
  const { last_click_at: click, last_sale_at: sale } = state.fresh;
  $("last-click").textContent = click ? "last click " + age(now() - instant(click)) + " ago" : "no click yet";
  $("last-sale").textContent = sale ? "last sale " + age(now() - instant(sale)) + " ago" : "";
}

async function start() {
  try {
    // Read before the figures are: what changes meanwhile is then asked for again. A ClickHouse that
    // does not say its state soon keeps nobody waiting.
    [state.session, state.tables] = await Promise.all([session(), Promise.race([tablesState(), pause(500)])]);
  } catch (fault) {
    banner("error", fault.message, fault.hint ?? "");
    setTimeout(start, every);
    return;
  }
  $("user").hidden = !state.session.login;
  $("name").textContent = state.session.name;
  if (read(location.search).range === "all") state.first = await firstDay();
  show({ place: history.state?.scrolled });
}

// firstDay returns the first moment with data.
async function firstDay() {
  try {
    const [row] = await ask(
      "first_day",
      { workspace: read(location.search).workspace, livemode: String(read(location.search).mode !== "test") },
      state.asked.signal,
    );
    return instant(row?.day ?? null) ?? undefined;
  } catch {
    return undefined; // the page shows the fault of its other questions
  }
}

async function navigate(options) {
  if (read(location.search).range === "all" && state.first === undefined) state.first = await firstDay();
  show(options);
}

// Where the page is scrolled to is kept in the browser's history, as its tables are: the browser itself
// goes back to a place before the lists are there that it is in.
history.scrollRestoration = "manual";
addEventListener("scrollend", () => history.replaceState({ ...history.state, scrolled: scrollY }, ""));
addEventListener("popstate", () => navigate({ place: history.state?.scrolled ?? 0 }));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stopLooking();
  else if (state.view) again();
});
document.addEventListener("keydown", (e) => {
  if (e.key === "Escape" && $("filter-add").open) {
    $("filter-add").open = false;
    $("filter-add").querySelector("summary").focus();
  }
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches("input, select, textarea")) return;
  if (e.key === "/") {
    const field = document.querySelector("#blocks .search:not([hidden])");
    if (field) {
      e.preventDefault();
      field.focus();
    }
  }
});
$("filter-add").addEventListener("toggle", () => {
  if ($("filter-add").open) offerNames();
});
$("filter-dimension").addEventListener("change", () => {
  $("filter-name").value = "";
  offerNames();
});
$("filter-form").addEventListener("submit", async (e) => {
  e.preventDefault();
  offerNames();
  const [dimension, kind] = [$("filter-dimension").value, $("filter-kind").value];
  const name = await nameTyped($("filter-name").value);
  $("filter-add").open = false;
  $("filter-add").querySelector("summary").focus();
  $("filter-name").value = "";
  go(withFilter(state.view, dimension, name, kind));
});
$("filter-dimension").replaceChildren(
  ...Object.entries(dimensions).map(([value, textContent]) => element("option", { value, textContent })),
);
setInterval(() => {
  if (!document.hidden) tick();
}, 1000);
start();
