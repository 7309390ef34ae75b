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
 * declarations; and the order of declarations and fields is one that compresses well.
 */

type Optional = string | undefined;
declare let navigation: any; // the Navigation API, which not every browser has

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
  let d: any = document; // for the size, as is self for window
  let attempt = (f: () => any) => {
    try {
      return f();
    } catch (e) {}
  };

  let script = d.currentScript as HTMLScriptElement;
  let data = script.dataset; // read at each use: a tag manager may set attributes after it has inserted the script
  // Where reading fails, as it does in Firefox when the file is broken, there is no storage either.
  // In a browser that is to be left out it is the text of tributary_ignore instead.
  let storage = attempt(() => localStorage.tributary_ignore || localStorage) || {};
  // Of an attribute: Dub and Rewardful separate by commas; a slash stands around the host of an address.
  let list = (text: string) => text.split(/[ ,/]+/);
  // Parameters, cookies and form fields that hold a click's id. The first name is ours, the others
  // are those of the programmes that this script stands in for.
  let names = list(data.names || "tributary_id pimms_id dub_id");

  let state: State = { l: [] };
  let saved: Optional; // state as it was last read or written
  let url: string; // address of the last page view
  let link: any; // the values of a campaign's parameters
  let given: any; // a click's id
  let affiliate: any;
  let continued: any; // the click goes on, from another domain of the site
  let consent: Optional;
  let waiting: any; // for decorate

  let address = () => location.href.split("#")[0]; // a fragment may hold a token

  /* Sends a beacon, or keeps it for later when the browser is offline or the edge has no room.
     fetch is first because it reports failure, and because public block lists name sendBeacon. What
     a content security policy forbids to fetch, it may allow to an image; sendBeacon would not say
     that it was forbidden. */
  let post = (body: string) => {
    let to = new URL((data.apiHost || "") + "/v1/click", script.src);
    let hold = () =>
      denied() ||
      attempt(() => (storage.tributary_queue = (body + "\n" + storage.tributary_queue).slice(0, 8e3)));
    let pixel = () => (new Image().src = to + ".gif?" + new URLSearchParams(JSON.parse(body)));
    (navigator.onLine as any) == 0
      ? hold()
      : attempt(() =>
          fetch(to, { body, method: "POST", keepalive: 1 as any }).then(
            (r) => (r.status > 428 ? hold() : flush()),
            pixel,
          ),
        ) ||
        attempt(() => navigator.sendBeacon(to, body)) ||
        pixel();
  };

  let observer = new MutationObserver(
    () =>
      (waiting =
        waiting ||
        setTimeout(() => {
          waiting = moved(0);
          decorate();
        }, 200)),
  );

  // Takes the names in an address's query or in cookies. stored: the cookie that holds the state.
  let read = (text: string, stored?: string) => {
    [link, given, affiliate, continued] = [""] as any;
    new URLSearchParams(text).forEach((value, name) => {
      // A state in which a link is null would end the script later.
      if (name == stored)
        attempt(() => (JSON.parse(value).l.find((s: any) => s[0] == link), (state = JSON.parse((saved = value)))));
      // The edge refuses ids of more than 200 bytes, Stripe those of more than 200 characters. An
      // advertising network's id may be longer (ttclid).
      if (names.includes(name) && /^[\w-]{1,200}$/.test(value)) {
        given = value;
        continued = name == names[0];
      } else if (list(data.params || "via aff fp_ref fpr referral").includes(name))
        encodeURIComponent(value)[200] || (affiliate = affiliate || value);
      // The parameters of processor/enrich/clickids.csv.
      else if (/^utm_|(cl(ic)?k?_?|[_cm]c|bra|fat_|igsh)id|epik|gad_|dicbo|tblci|cjev|^awc/i.test(name)) link += value;
    });
  };

  /* Sets the cookies of the state and of the click, each on the widest domain that takes it, so that
     www and app share it; with 0 days, deletes those that have the values. No list of public suffixes
     is needed: browsers refuse those. Returns whether the browser has the state's. */
  let keep = (days: any) =>
    [
      "tributary=" + encodeURIComponent(saved!),
      ...(state.c ? names : []).map((name) => name + "=" + state.c),
    ].map((cookie: any) =>
      attempt(() => {
        let has = () => d.cookie.split("; ").includes(cookie);
        for (let i = 0; i++ < 9 && has() == !days; )
          d.cookie =
            cookie + ";path=/;samesite=lax;max-age=" + days * 86400 +
            ";domain=" + location.hostname.split(".").slice(-i).join(".") + (url[4] == "s" ? ";secure" : "");
        return has();
      }),
    )[0];

  let flush = () => {
    let queue = "" + storage.tributary_queue;
    delete storage.tributary_queue;
    queue.replace(/{.+/g, post as any); // calls it with each line
  };

  // Carries the click's id into Stripe, listed domains and form fields, those in open shadow roots
  // too; never blank, never over an id that is not ours.
  let decorate = (root: any = d) => {
    observer.observe(root, { attributeFilter: ["href"], childList: 1, subtree: 1 } as any);
    let id = state.c;
    let free = (value: string | null) => value != id && (!value || state.l.find((s) => s[2] == value));
    id &&
      root.querySelectorAll("*").forEach((e: any) =>
        attempt(() => {
          let name: any = "client_reference_id";
          e.shadowRoot && decorate(e.shadowRoot);
          if (e.hostname) {
            let within = (domains: any) => list(domains).some((domain) => ("." + e.hostname).endsWith("." + domain));
            within("stripe.com " + data.stripeDomains) || (name = within("" + data.domains) && names[0]);
            let query = new URLSearchParams(e.search);
            if (name && e.hostname != location.hostname && free(query.get(name))) {
              query.set(name, id!);
              e.search = query;
            }
          } else if (
            (name = /^stripe/.test(e.localName)
              ? "client-reference-id"
              : [...names, name].includes(e.name) && "value") &&
            free(e.getAttribute(name))
          )
            e.setAttribute(name, id);
        }),
      );
  };

  // Deletes what the script has stored if the visitor does not allow it. What this page alone knows
  // stays known to it.
  let forget = () => {
    if (!denied()) return;
    delete storage.tributary_queue;
    if (saved) {
      delete storage.tributary;
      keep(0);
      state = { l: [] };
      saved = "";
    }
  };

  let show = () => {
    state.v = denied() ? "" : state.v || uuid();
    t.clickId = (self as any).pimms_id = state.c;
    t.affiliateId = (self as any).affiliateId = state.a;
    let text = JSON.stringify(state);
    if (state.v && text != saved) {
      saved = text;
      keep(data.cookieDays || 90) || attempt(() => (storage.tributary = encodeURIComponent(text)));
    }
    decorate();
    d.dispatchEvent(new Event("tributary"));
  };

  // Takes the page's address.
  let visit = () => {
    let silent =
      storage.endsWith || // a text; no site has an item of this name
      navigator.webdriver ||
      (/^127\.|\[::1|localhost$/.test(location.hostname) && (data.localhost as any) == null);
    if (silent) return;
    let referrer = url || d.referrer;
    // The visitor reloaded the page, went back to it, or came from a page of this site.
    let going = url || attempt(() => performance.navigation.type) || referrer.split("/")[2] == location.host;
    url = address();
    saved = "";
    read("tributary=" + storage.tributary + "&" + attempt(() => d.cookie.split("; ").join("&")), "tributary");
    // What this page had stored is gone: the visitor has withdrawn their consent in another tab, or
    // while this page was in the back/forward cache.
    state.v && !saved && (consent = "denied");
    // Nobody's click is known here: the script before may have left it in a cookie of its own.
    state.c || denied() || ((state.c = given), (state.a = affiliate));
    forget();
    read(location.search);
    // "true" is what JSX makes of an attribute without a value.
    link || going || state.a || data.affiliate == "true" || (affiliate = affiliate || data.affiliate);
    // A cookie holds 4096 bytes, and three links may be in letters of nine bytes each (%E4%B8%AD).
    link = ([affiliate, given] + link).slice(0, 99);
    let arrival: any;
    let same: any = state.l.find((s) => s[0] == link);
    // A link within the site is an arrival only if it names somebody else than the affiliate who is
    // known.
    if (link[1] && (!going || same || given || (affiliate && affiliate != state.a))) {
      // Following a link again within an hour is the same click, as is going on from it.
      if (!(same && (given || going || same[1] + 36e5 > Date.now()))) {
        same = [link, Date.now(), given || uuid()];
        if (!continued) arrival = same[2];
      }
      state.l = [same, ...state.l.filter((s) => s != same)].slice(0, 3);
      (state.c && data.attribution == "first") || ((state.c = same[2]), (state.a = affiliate || state.a));
    }
    show();
    post(
      JSON.stringify({
        visitor_id: state.v,
        program_id: data.programId,
        consent: state.v ? consent || data.consent : "denied",
        referrer,
        trigger: arrival ? "" : "pageview", // "" is a link
        key: data.key,
        click_id: arrival || uuid(),
        url: url.slice(0, 8e3),
        affiliate_id: arrival && affiliate,
      }),
    );
  };

  // UUIDv7 (RFC 9562, section 5.7). The time has eleven hexadecimal digits until the year 2527. The
  // 74 random bits are those of the UUID at the end of a blob's address (W3C File API, section 8.1);
  // crypto.randomUUID is for https only.
  let uuid = () =>
    ("0" + Date.now().toString(16)).replace(/.{8}/, "$&-") + "-7" + URL.createObjectURL(new Blob()).slice(-21);

  // Anything said but "granted" withholds consent.
  let denied = () =>
    (consent || data.consent || "granted") != "granted" ||
    (navigator as any).globalPrivacyControl ||
    (navigator as any).doNotTrack == 1;

  // Replacing the address takes note of a filter or a place in the page, or takes parameters out:
  // it is no other page. Only the Navigation API says so.
  let moved = (e: any) => {
    e.navigationType == "replace" ? (url = address()) : url == address() || visit();
  };

  // Nobody sees a page that the browser prerenders: it starts when it is shown.
  let shown = (f: () => any) => (d.prerendering ? d.addEventListener("prerenderingchange", f) : f());

  let t: any = (command: "ready" | "consent", value: any) => t[command](value);

  let early = (self as any).tributary || 0;
  // async: the queue is called before the ids are known, and what a callback throws is its own error.
  t.ready = (callback: (t: Tributary) => void) => shown(async () => callback(await t));
  t.consent = (value: string) => {
    consent = value || "denied";
    if (url) {
      forget();
      show();
    }
  };
  // Else the page has the script twice.
  if (!early.ready) {
    (self as any).tributary = t;
    // Before the visit, so that consent is known when it is stored and sent. A call that is not
    // known does not end the others.
    (early.q || []).map((args: any) => attempt(() => t(...(args as [any, any]))));
    shown(() => {
      visit();
      // At its first pageshow a page is loaded: elements that are defined late have their shadow
      // roots.
      addEventListener("pageshow", (e) => (e.persisted ? visit() : decorate()));
      addEventListener("online", flush);
      /* A single-page site changes the address and then the document: without the Navigation API, the
         second shows the first. Replacing history.pushState would change the site's own objects. */
      attempt(() => navigation.addEventListener("currententrychange", moved));
    });
  }
})();
