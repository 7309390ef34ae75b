// What the page shows, as it stands in the address: section, time, filters. Each view has its own
// address, so the back button, bookmarks and links to a colleague work.

export const dimensions = {
  affiliate: "Affiliate",
  link: "Link",
  campaign: "Campaign",
  channel: "Channel",
  source: "Source",
  medium: "Medium",
  program: "Programme",
  country: "Country",
  device: "Device",
  product: "Product",
};

export const ranges = {
  today: "Today",
  "24h": "Last 24 hours",
  "7d": "Last 7 days",
  "30d": "Last 30 days",
  "90d": "Last 90 days",
  month: "This month",
  last_month: "Last month",
  "12m": "Last 12 months",
  all: "All time",
  custom: "Custom dates",
};

const own = [
  "section",
  "range",
  "from",
  "to",
  "compare",
  "timezone",
  "currency",
  "workspace",
  "mode",
  "metric",
  "by",
  "unit",
  "measure",
  "month",
  "lookback",
  "kinds",
];

// read returns the view of an address.
export function read(search) {
  const query = new URLSearchParams(search);
  const view = { only: {}, without: {} };
  for (const name of own) if (query.has(name)) view[name] = query.get(name);
  for (const [key, value] of query) {
    const [, kind, dimension] = key.match(/^(is|not)\.(\w+)$/) ?? [];
    if (!kind || !Object.hasOwn(dimensions, dimension)) continue;
    const filter = kind === "is" ? view.only : view.without;
    (filter[dimension] ??= []).push(value);
  }
  if (!Object.hasOwn(ranges, view.range ?? "")) view.range = "30d";
  if (view.range === "custom" && !(isDate(view.from) && isDate(view.to))) view.range = "30d";
  return view;
}

// write returns the address of a view.
export function write(view) {
  const query = new URLSearchParams();
  for (const name of own) if (view[name]) query.set(name, view[name]);
  for (const [d, names] of Object.entries(view.only)) for (const name of names) query.append("is." + d, name);
  for (const [d, names] of Object.entries(view.without)) for (const name of names) query.append("not." + d, name);
  return "?" + query;
}

// withFilter returns the view with one more filter.
export function withFilter(view, dimension, name, kind = "only") {
  return { ...view, [kind]: { ...view[kind], [dimension]: [...new Set([...(view[kind][dimension] ?? []), name])] } };
}

// withoutFilter returns the view without one of its filters.
export function withoutFilter(view, dimension, name, kind) {
  const names = (view[kind][dimension] ?? []).filter((n) => n !== name);
  const rest = { ...view[kind], [dimension]: names };
  if (!names.length) delete rest[dimension];
  return { ...view, [kind]: rest };
}

export const filtered = (view) => Object.keys(view.only).length + Object.keys(view.without).length > 0;

// theAffiliate is the one affiliate that the view is limited to, or undefined.
export const theAffiliate = (view) => (view.only.affiliate?.length === 1 && view.only.affiliate[0]) || undefined;

// isDate reports whether a text is a day that there is and that ClickHouse's times reach: Date takes 31
// February for 3 March, and who types a year into a field goes through the year 2.
export function isDate(text) {
  if (!/^(19[7-9]|20\d)\d-\d\d-\d\d$/.test(text ?? "")) return false;
  const date = new Date(text + "T00:00Z");
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

const hour = 3600e3;
const day = 24 * hour;

// wall returns what the clocks of a time zone show, as if they showed UTC.
function wall(milliseconds, timezone) {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: timezone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(milliseconds);
  const get = (type) => Number(parts.find((p) => p.type === type).value);
  return Date.UTC(get("year"), get("month") - 1, get("day"), get("hour"), get("minute"), get("second"));
}

// instant returns when the clocks of a time zone begin to show what wall returns: where they are put
// forward over it, the first moment after that, and where they show it twice, the earlier.
function instant(wanted, timezone) {
  const guesses = [wanted - day, wanted + day].map((at) => wanted - (wall(at, timezone) - at));
  return Math.min(...guesses.filter((at) => wall(at, timezone) >= wanted));
}

// midnight returns when a day begins in a time zone: the first moment at which its clocks show the
// day. They may be changed at midnight, and then 00:00 is there twice or not at all.
const midnight = (year, month, date, timezone) => instant(Date.UTC(year, month, date), timezone);

// span returns the time that a view covers, from and to in milliseconds, its unit, and the period
// before: as many days, or the calendar months before. While the time is not over, the period before
// ends at the same day and hour of its clocks as now. first: the first moment with data.
export function span(view, now, first) {
  const zone = view.timezone;
  const today = new Date(wall(now, zone));
  const [y, m, d] = [today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate()];
  const at = (month, date) => midnight(y, month, date, zone);
  const days = (n) => ({ from: at(m, d - n + 1), to: at(m, d + 1), before: at(m, d - 2 * n + 1), unit: "day" });
  const nextHour = Math.ceil((now + 1) / hour) * hour;
  const s = {
    today: () => ({ ...days(1), unit: "hour" }),
    "24h": () => ({ from: nextHour - day, to: nextHour, before: nextHour - 2 * day, unit: "hour" }),
    "7d": () => days(7),
    "30d": () => days(30),
    "90d": () => days(90),
    month: () => ({ from: at(m, 1), to: at(m + 1, 1), before: at(m - 1, 1), months: 1, unit: "day" }),
    last_month: () => ({ from: at(m - 1, 1), to: at(m, 1), before: at(m - 2, 1), unit: "day" }),
    "12m": () => ({ from: at(m - 11, 1), to: at(m + 1, 1), before: at(m - 23, 1), months: 12, unit: "month" }),
    all: () => {
      const start = new Date(wall(first ?? now - 29 * day, zone));
      const from = midnight(start.getUTCFullYear(), start.getUTCMonth(), start.getUTCDate(), zone);
      return { from, to: at(m, d + 1), unit: unitOf(at(m, d + 1) - from) };
    },
    custom: () => {
      const [f, t] = [view.from, view.to].sort().map((text) => text.split("-").map(Number));
      const from = midnight(f[0], f[1] - 1, f[2], zone);
      const to = midnight(t[0], t[1] - 1, t[2] + 1, zone);
      const length = Math.round((to - from) / day);
      return { from, to, before: midnight(f[0], f[1] - 1, f[2] - length, zone), unit: unitOf(to - from) };
    },
  }[view.range]();
  if (s.before !== undefined && view.compare !== "none") {
    // By clocks and not by length: else an hour of the last day is missing where summer time begins, and
    // days of a longer month. Clocks are read a second before the hour ends: those that are changed at its
    // end show its beginning again, or skip an hour.
    const open = s.from < nextHour && nextHour < s.to; // of dates to come, all of them
    const date = (at) => Math.floor(wall(at, zone) / day) * day;
    const end = new Date(wall(nextHour - 1000, zone) + 1000);
    const same = () => {
      if (s.months) return end.setUTCMonth(end.getUTCMonth() - s.months); // a leap day is in one of two years
      return end - date(s.from) + date(s.before);
    };
    const to = open ? Math.min(instant(same(), zone), s.from) : s.from;
    if (s.before < to) s.previous = { from: s.before, to }; // Samoa had no 30 December 2011
  }
  s.open = s.to > now;
  // whole: a unit begins at from, so that none is both in this time and in the period before.
  s.whole = view.range === "12m" || wall(s.from, zone) % { hour, day }[s.unit] === 0;
  return s;
}

function unitOf(length) {
  if (length <= 3 * day) return "hour";
  if (length <= 100 * day) return "day";
  return length <= 400 * day ? "week" : "month";
}
