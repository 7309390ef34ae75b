// Prints which requests of a page the public block lists stop, one a line: party, kind, path, verdict.
// LISTS is the folder of uBlock Origin's lists, PACKAGES the folder in which the packages are.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.PACKAGES + "/");
const { FiltersEngine, Request } = require("@ghostery/adblocker");
const lists = [
  "thirdparties/easylist/easylist.txt", "thirdparties/easylist/easyprivacy.txt",
  "ublock/filters.min.txt", "ublock/privacy.min.txt", "ublock/quick-fixes.min.txt", "ublock/unbreak.min.txt",
];
const engine = FiltersEngine.parse(lists.map((list) => readFileSync(process.env.LISTS + "/" + list, "utf8")).join("\n"));

for (const [party, host] of [["first", "clicks.shop.example"], ["third", "edge.elsewhere.example"]])
  for (const [type, path] of [
    ["script", "/t.js"], ["script", "/t.0123456789ab.js"], ["script", "/analytics/script.js"],
    ["script", "/analytics/script.detection.js"], ["script", "/rw.js"], ["script", "/fpr.js"], ["script", "/tolt.js"],
    ["script", "/affiliate-tracker.js"], ["script", "/js/pixel.min.js"], ["script", "/endorsely.js"],
    ["script", "/promotekit.js"], ["xmlhttprequest", "/v1/click"], ["ping", "/v1/click"],
    ["image", "/v1/click.gif?url=https%3A%2F%2Fshop.example%2F"], ["xmlhttprequest", "/track/click"],
    ["xmlhttprequest", "/track/lead/client"],
  ]) {
    const { match, filter } = engine.match(
      Request.fromRawDetails({ type, url: "https://" + host + path, sourceUrl: "https://shop.example/" }),
    );
    console.log(party, type, path.split("?")[0], match ? "stopped by " + filter : "passes");
  }
// The lists are read, and not empty: what everybody blocks is blocked.
const known = Request.fromRawDetails({
  type: "script", url: "https://www.google-analytics.com/analytics.js", sourceUrl: "https://shop.example/",
});
console.log("known tracker", engine.match(known).match ? "stopped" : "passes");
