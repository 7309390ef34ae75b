/*
 * What stands before t.js under the address of Dub's and PiMMs' scripts: their attributes, of which
 * some are JSON, become those of t.js. An attribute of t.js that the element has stays.
 */
((data) => {
  const set = (name, value) => {
    if (value && !data[name]) data[name] = value;
  };
  const read = (name) => {
    try {
      return JSON.parse(data[name]);
    } catch (e) {
      return data[name];
    }
  };
  const domains = read("domains") || {};
  const cookie = read("cookieOptions") || {};
  set("key", data.publishableKey);
  const params = [].concat(data.queryParam || [], read("queryParams") || []);
  set("params", params.length && params.concat("via").join(" "));
  set("attribution", data.attributionModel == "first-click" && "first");
  set("cookieDays", cookie.expiresInDays);
  // "*.example.com", a port, capitals and letters that DNS does not know are allowed there. t.js
  // compares host names as links have them, and includes subdomains.
  const host = (domain) => {
    try {
      return new URL(domain.trim().replace(/^(https?:\/\/)?(\*\.)?/i, "https://")).hostname;
    } catch (e) {}
  };
  if (typeof domains == "object") data.domains = [].concat(domains.outbound || []).join().split(",").map(host).join(" ");
})(document.currentScript.dataset);
