/*
 * The tracking script that the edge serves as /t.js.
 *
 * A click is an arrival by a link: its parameters name an affiliate, a click's id or a campaign.
 * Every other page is a page view, which has an id of its own and never names the affiliate whom
 * the browser remembers.
 *
 * No cookie, storage or network can be counted on: what may throw goes through attempt.
 *
 * t.js beside this file is its build (go generate ./ingest/clicks). A test keeps it at 2048 bytes
 * or less when it is compressed. That is why there is let and no const: esbuild then joins the
 * declarations.
 */

type Optional = string | undefined;

/** The type of window.tributary: a function that takes a command, and the ids of the page. */
interface Tributary {
  (command: "ready", callback: (t: Tributary) => void): void;
  (command: "consent", value: "granted" | "denied"): void;
  /** Calls back with the ids of the page. */
  ready(callback: (t: Tributary) => void): void;
  /** Says what the visitor decided. "denied" deletes everything that the script has stored. */
  consent(value: "granted" | "denied"): void;
  /** Id of the click that a sale should name; undefined when the visitor came by no link. */
  clickId?: string;
  /** Affiliate whom a link named; undefined without one. */
  affiliateId?: string;
}

/** What is remembered between pages: in the cookie "tributary", else in localStorage. */
interface State {
  v?: string; // visitor's id
  c?: string; // click's id
  a?: string; // affiliate
  l: [link: string, at: number, id: string][]; // links followed last; at is in Unix milliseconds
}

(() => {
  let attempt = (f: () => any) => {
    try {
      return f();
    } catch (e) {}
  };
  let script = document.currentScript as HTMLScriptElement;
  let data = script.dataset; // read at each use: a tag manager may set attributes after it has inserted the script
  let storage = attempt(() => localStorage) || {};
  // Parameters, cookies and form fields that hold a click's id. The first name is ours, the others
  // are those of the programmes that this script stands in for.
  let names = (data.names || "tributary_id pimms_id dub_id").split(" ");

  let state: State = { l: [] };
  let saved: Optional; // state as it was last read or written
  let consent: Optional;
  let decorated: Optional; // the id that links and fields carry
  let waiting: any; // for decorate
  let url: string; // address of the last page view

  let address = () => location.href.split("#")[0]; // a fragment may hold a token

  let silent = () =>
    storage.tributary_ignore ||
    navigator.webdriver ||
    (/^$|localhost$|^127|::1/.test(location.hostname) && !("localhost" in data));
  let denied = () =>
    silent() ||
    (consent || data.consent) == "denied" ||
    (navigator as any).globalPrivacyControl ||
    (navigator as any).doNotTrack == 1;

  let cookies = (): string[] => (attempt(() => document.cookie) || "").split("; ");
  let has = (cookie: string) => cookies().includes(cookie);
  /* Sets a cookie on the widest domain that takes it, so that www and app share it; without a
     value, deletes it on each. No list of public suffixes is needed: browsers refuse those. */
  let write = (name: string, value: string) => {
    let cookie = name + "=" + value;
    let labels = location.hostname.split(".");
    for (let i = labels.length; i-- && !(value && has(cookie)); )
      attempt(
        () =>
          (document.cookie =
            cookie + ";path=/;samesite=lax;max-age=" + ((value && (data.cookieDays || 90)) as any) * 86400 +
            ";domain=" + labels.slice(i).join(".") + (location.protocol == "https:" ? ";secure" : "")),
      );
    return has(cookie);
  };

  // Tries each cookie of that name: a malformed one, or one of a subdomain, must not hide ours.
  let load = () =>
    cookies().concat("tributary=" + storage.tributary).some((cookie) =>
      attempt(() => {
        let text = cookie.split("tributary=")[1];
        let known = JSON.parse(decodeURIComponent(text));
        return (saved = text), known.l.map && (state = known);
      }),
    );
  let forget = () => {
    if (!denied()) return;
    names.forEach((name) => has(name + "=" + state.c) && write(name, ""));
    write("tributary", "");
    delete storage.tributary;
    delete storage.tributary_queue;
    state = { l: [] };
  };

  // UUIDv7 (RFC 9562, section 5.7) with 72 random bits. The time has eleven hexadecimal digits
  // until the year 2527.
  let uuid = () =>
    ("0" + Date.now().toString(16)).replace(/.{8}/, "$&-") +
    "-7xxx-8xxx-xxxxxxxxxxxx".replace(/x/g, () => (crypto.getRandomValues(new Uint8Array(1))[0] & 15).toString(16));

  /* Sends a beacon, or keeps it for later when the browser is offline or the edge has no room.
     fetch is first because it reports failure, and because public block lists name sendBeacon. What
     a content security policy forbids to fetch, it may allow to an image; sendBeacon would not say
     that it was forbidden. */
  let post = (body: string) => {
    let to = new URL((data.apiHost || "") + "/v1/click", script.src);
    let hold = () =>
      denied() ||
      attempt(() => (storage.tributary_queue = ((storage.tributary_queue || "") + body + "\n").slice(-8e3)));
    let pixel = () => (new Image().src = to + ".gif?" + new URLSearchParams(JSON.parse(body)));
    navigator.onLine === false
      ? hold()
      : attempt(() =>
          fetch(to, { method: "POST", body, keepalive: true }).then((r) => r.status > 428 && hold(), pixel),
        ) ||
        attempt(() => navigator.sendBeacon(to, body)) ||
        pixel();
  };
  let flush = () => {
    let bodies = (storage.tributary_queue || "").split("\n");
    delete storage.tributary_queue;
    bodies.forEach((body: string) => body && post(body));
  };

  // Carries the click's id into Stripe, listed domains and form fields; never blank, never over an
  // id that is not ours.
  let decorate = () => {
    let id = state.c;
    let domains = ("buy.stripe.com " + data.domains).split(" ");
    let free = (value: string | null) => value != id && (!value || value == decorated);
    let each = (selector: string, f: (e: any) => void) =>
      id && document.querySelectorAll(selector).forEach((e) => attempt(() => f(e)));
    let fill = (selector: any, name: string) =>
      each(selector, (e) => free(e.getAttribute(name)) && e.setAttribute(name, id));
    each("a", (e) => {
      let url = new URL(e.href);
      let i = domains.findIndex((domain) => ("." + url.hostname).endsWith("." + domain));
      let name = i ? names[0] : "client_reference_id";
      if (i >= 0 && url.host != location.host && free(url.searchParams.get(name))) {
        url.searchParams.set(name, id!);
        e.href = url;
      }
    });
    fill("stripe-pricing-table,stripe-buy-button", "client-reference-id");
    fill(names.concat("client_reference_id").map((name) => `input[name=${name}]`), "value");
    decorated = id;
  };
  let show = () => {
    let allowed = !denied();
    state.v = allowed ? state.v || uuid() : "";
    t.clickId = (window as any).pimms_id = state.c;
    t.affiliateId = (window as any).affiliateId = state.a;
    let text = encodeURIComponent(JSON.stringify(state));
    if (allowed && text != saved) {
      state.c && names.forEach((name) => write(name, state.c!));
      write("tributary", (saved = text)) || attempt(() => (storage.tributary = text));
    }
    decorate();
    document.dispatchEvent(new Event("tributary"));
  };

  // Takes the page's address. going: the visitor reloaded the page, went back to it, or came from a
  // page of this site.
  let visit = (referrer: string, going?: unknown) => {
    if (silent()) return;
    denied() || load();
    let now = Date.now();
    url = address();
    going = going || referrer.split("/")[2] == location.host;
    let given: any, affiliate: any, arrival: any, continued: any;
    let link = "";
    new URLSearchParams(location.search).forEach((value, name) => {
      // The edge refuses ids of more than 200 bytes, Stripe those of more than 200 characters.
      if (encodeURIComponent(value)[200]) return;
      if (names.includes(name) && !/[^\w-]/.test(value)) {
        given = value;
        continued = names[0] == name; // from another domain of the site: the same click goes on
      } else if ((data.params || "via fpr fp_ref aff referral").split(" ").includes(name))
        affiliate = affiliate || value;
      else if (/^utm_|clid$|braid$|li_fat/.test(name)) link += value;
    });
    affiliate = affiliate || (!link && !going && !state.a && data.affiliate) || "";
    link = (link + [affiliate, given]).slice(0, 300);
    let same: any = state.l.find((s) => s[0] == link);
    // A link within the site is an arrival only if it names somebody else than the affiliate who is
    // known.
    if (link[1] && (!going || same || given || (affiliate || state.a) != state.a)) {
      // Following a link again within an hour is the same click, as is going on from it.
      if (!same || (!given && !going && now - same[1] > 36e5)) {
        same = [link, now, given || uuid()];
        if (!continued) arrival = same[2];
      }
      state.l = [same, ...state.l.filter((s) => s != same)].slice(0, 3);
      if (!state.c || data.attribution != "first") {
        state.c = same[2];
        state.a = affiliate || state.a;
      }
    }
    show();
    post(
      JSON.stringify({
        key: data.key,
        program_id: data.programId,
        affiliate_id: arrival && affiliate,
        click_id: arrival || uuid(),
        visitor_id: state.v,
        url: url.slice(0, 8e3),
        referrer,
        trigger: arrival ? "link" : "pageview",
        consent: denied() ? "denied" : consent || data.consent,
      }),
    );
  };

  let t = ((command: "ready" | "consent", value: any) => t[command](value)) as Tributary;
  t.ready = (callback) => callback(t);
  t.consent = (value) => {
    consent = value;
    forget();
    show();
  };

  let moved = () => {
    if (url != address()) visit(url, 1);
  };
  let start = () => {
    let early = (window as any).tributary || {};
    if (early.ready) return; // the page has the script twice
    (window as any).tributary = t;
    load();
    forget();
    flush();
    visit(document.referrer, attempt(() => performance.navigation.type));
    addEventListener("pageshow", (e) => e.persisted && visit(url, 1));
    addEventListener("online", flush);
    /* A single-page site changes the address and then the document: without the Navigation API, the
       second shows the first. Replacing history.pushState would change the site's own objects. */
    attempt(() => (window as any).navigation.addEventListener("currententrychange", moved));
    new MutationObserver(
      () =>
        (waiting =
          waiting ||
          setTimeout(() => {
            waiting = moved();
            decorate();
          }, 50)),
    ).observe(document, { attributeFilter: ["href"], childList: true, subtree: true });
    (early.q || []).forEach((args: any) => t(...(args as [any, any])));
  };
  (document as any).prerendering ? document.addEventListener("prerenderingchange", start) : start();
})();
