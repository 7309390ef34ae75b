/*
 * What stands before t.js under the address of Dub's and PiMMs' scripts: their attributes, of which
 * some are JSON, become those of t.js. An attribute of t.js that the element has stays. Below them
 * is the function by which a page of Dub's reports clicks, leads and sales.
 */
((script) => {
  const data = script.dataset;
  const set = (name, value) => {
    if (value && !data[name]) data[name] = value;
  };
  // Dub's documentation has attributes in which single quotes stand for double ones.
  const read = (name) => {
    for (const text of [data[name], ("" + data[name]).replace(/'/g, '"')])
      try {
        return JSON.parse(text);
      } catch (e) {}
    return data[name];
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
  const refer = domains.refer || data.shortDomain || data.domain;
  if (typeof domains == "object") data.domains = [].concat(domains.outbound || []).join().split(",").map(host).join(" ");

  if (window._dubAnalytics) return; // the page has the script twice
  window._dubAnalytics = { script };
  window.DubAnalytics = { partner: null, discount: null }; // whom Dub knows, and Tributary does not
  const send = async (path, body) => {
    const headers = { "Content-Type": "application/json" };
    if (data.key) headers.Authorization = "Bearer " + data.key;
    const to = new URL((data.apiHost || "") + "/track/" + path, script.src);
    const answer = await fetch(to, { method: "POST", headers, keepalive: true, body: JSON.stringify(body) });
    const result = await answer.json();
    if (!answer.ok) console.error("dubAnalytics", path, result.error);
    return result;
  };
  /* Makes the click that of the visitor: in the cookies that t.js has set, on the domain that it has
     found. A visitor who does not allow it has none. */
  const remember = (id) => {
    const [, text] = /(?:^|; )tributary=([^;]*)/.exec(document.cookie) || [];
    const state = JSON.parse(decodeURIComponent(text || "{}"));
    if (!id || !state.v || (state.c && data.attribution == "first")) return;
    state.c = tributary.clickId = window.pimms_id = id;
    const names = (data.names || "tributary_id pimms_id dub_id").split(/[ ,]+/);
    for (const cookie of ["tributary=" + encodeURIComponent(JSON.stringify(state)), ...names.map((name) => name + "=" + id)])
      for (let i = 1; i < 9 && !document.cookie.split("; ").includes(cookie); i++)
        document.cookie =
          cookie + ";path=/;samesite=lax;max-age=" + (data.cookieDays || 90) * 86400 +
          ";domain=" + location.hostname.split(".").slice(-i).join(".") + (location.protocol == "https:" ? ";secure" : "");
  };
  const commands = {
    trackClick: async (link) => {
      const { domain = refer, key = link } = link;
      const { clickId } = await send("click", { domain, key, url: location.href, referrer: document.referrer });
      remember(clickId);
    },
    trackLead: (lead) => send("lead/client", { clickId: tributary.clickId, ...lead }),
    trackSale: (sale) => send("sale/client", { clickId: tributary.clickId, ...sale }),
  };
  // t.js stands behind this in the same file. If it has not run then, as in a browser that it does not
  // know, it never will: a page that waits for an answer before it goes on to pay must have one.
  const started = new Promise((start) => {
    tributary("ready", start);
    setTimeout(() => tributary.ready || start());
  });
  // Where t.js is silent or has not run, nothing sets clickId, and nothing is sent from here either.
  const run = async (command, ...args) => {
    await started;
    if (command == "ready") return args[0]();
    if ("clickId" in tributary && commands[command]) return commands[command](...args);
  };
  const early = (window.dubAnalytics || {}).q || [];
  window.dubAnalytics = Object.assign(run, { ready: (callback) => run("ready", callback) });
  for (const command in commands) run[command] = (...args) => run(command, ...args);
  early.forEach((args) => run(...args));
})(document.currentScript);
