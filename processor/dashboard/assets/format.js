// How figures are written. Money and counts of 64 bits come as decimal strings and stay strings: a
// float would lose cents.

const counts = new Intl.NumberFormat("en-US");
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const formats = new Map();

function formatOf(options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat("en-US", { roundingMode: "halfEven", ...options }));
  return formats.get(key);
}

const countries = new Intl.DisplayNames("en", { type: "region" });

// nameOf writes a name of a dimension: a country in words, every other as it is.
export const nameOf = (dimension, name) =>
  dimension === "country" && /^[A-Z]{2}$/.test(name) ? countries.of(name) : name;

export const none = "–"; // there is nothing to divide by, or nothing is known

export const count = (n) => (n === null || n === undefined ? none : counts.format(n));
export const short = (n) => compact.format(n);

// Stripe's minor units, which are not ISO 4217's; see processor/fx/exponents.csv.
const withoutMinor = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" ");
const withThree = "bhd jod kwd omr tnd".split(" ");
export const digitsOf = (currency) => (withoutMinor.includes(currency) ? 0 : withThree.includes(currency) ? 3 : 2);

// money writes an amount in major units with the currency's symbol, rounded to its minor units.
export function money(decimal, currency) {
  if (decimal === null || decimal === undefined) return none;
  const digits = digitsOf(currency);
  return formatOf({ style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits })
    .format(String(decimal))
    .replace("-", "−")
    .replace(/^−(\D+)0(\.0+)?$/, "$10$2");
}

// plainMoney is money without the symbol, for columns whose head names the currency.
export function plainMoney(decimal, currency) {
  if (decimal === null || decimal === undefined) return none;
  const digits = digitsOf(currency);
  return formatOf({ minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" })
    .format(String(decimal))
    .replace("-", "−");
}

// major turns minor units, such as "4900", into a decimal: "49.00".
export function major(minor, currency) {
  const digits = digitsOf(currency);
  const text = String(minor);
  const sign = text.startsWith("-") ? "-" : "";
  const figures = text.replace("-", "").padStart(digits + 1, "0");
  return digits ? sign + figures.slice(0, -digits) + "." + figures.slice(-digits) : sign + figures;
}

// percent writes a ratio: 0.025 is 2.5%.
export function percent(ratio, digits = 1) {
  if (ratio === null || ratio === undefined) return none;
  return formatOf({
    style: "percent",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    signDisplay: "negative", // no minus before what is rounded to zero
  })
    .format(ratio)
    .replace("-", "−");
}

export function age(milliseconds) {
  const s = Math.max(0, milliseconds) / 1000;
  if (s < 120) return Math.round(s) + " s";
  if (s < 7200) return Math.round(s / 60) + " min";
  if (s < 172800) return Math.round(s / 3600) + " h";
  return Math.round(s / 86400) + " days";
}

// instant reads a time as ClickHouse writes it, which is UTC: "2026-01-31 15:00:00.000".
export const instant = (text) =>
  text === null || text === undefined ? null : Date.parse(text.replace(" ", "T") + "Z");

// clock writes a time as the clocks of a time zone show it: "31 Jan 2026, 15:00".
export function clock(milliseconds, timezone) {
  return new Intl.DateTimeFormat("en-GB", { timeZone: timezone, dateStyle: "medium", timeStyle: "short" }).format(
    milliseconds,
  );
}

// change is how much a figure differs from the one before, as a ratio; null without one of the two.
export function change(now, before) {
  const known = [now, before].every((figure) => figure !== null && figure !== undefined);
  const [a, b] = [Number(now), Number(before)];
  return !known || !b ? null : (a - b) / Math.abs(b);
}
