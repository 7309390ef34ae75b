package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"tributary/ingest/clicks"
)

// later lets a page believe that localStorage.later milliseconds have passed.
const later = `{const now = Date.now; Date.now = () => now() + Number(localStorage.later || 0)}`

// The smallest history that a merchant would count by hand: one click, and the pages that were
// looked at.
func TestOneArrival(t *testing.T) {
	v := newVisitor(t, "arrival.example", snippet)
	v.open("/?via=ann")
	for _, path := range []string{"/a", "/b", "/c"} {
		v.follow(path)
	}
	v.open("/?via=ann")
	got := v.beacons("link of ann at /?via=ann", "pageview at /a", "pageview at /b", "pageview at /c",
		"pageview at /?via=ann")
	v.want("tributary.clickId", idOf(got[0]))
	v.want("window.pimms_id", idOf(got[0]))
	v.want("window.affiliateId", "ann")
	ids := make(map[string]bool)
	for _, c := range got {
		ids[idOf(c)] = true
		if c.VisitorId == "" || c.VisitorId != got[0].VisitorId {
			t.Errorf("visitor %q, want %q", c.VisitorId, got[0].VisitorId)
		}
	}
	if len(ids) != len(got) {
		t.Errorf("%d ids of %d beacons", len(ids), len(got))
	}
	v.noErrors()
}

func TestWithoutReferral(t *testing.T) {
	v := newVisitor(t, "direct.example", snippet)
	v.open("/?page=2&ref=footer&source=menu")
	v.follow("/cart")
	v.beacons("pageview at /?page=2&ref=footer&source=menu", "pageview at /cart")
	v.want("window.affiliateId", "undefined")
	v.want("window.pimms_id", "undefined")
	v.want("tributary.clickId", "undefined")
	v.want("JSON.stringify({client_reference_id: window.affiliateId})", "{}")
	for _, name := range []string{"tributary_id", "pimms_id", "dub_id"} {
		if value := v.cookie(name); value != "" {
			t.Errorf("cookie %s is %s", name, value)
		}
	}
	v.noErrors()
}

func TestFollowedAgain(t *testing.T) {
	v := newProfile(t)
	const hour = 3_600_000
	for i, again := range playedOf([]struct {
		name  string
		later int
		how   func(*visitor)
		click bool
	}{
		{"within the hour", hour - 60_000, func(v *visitor) { v.open("/?via=ann&utm_source=blog") }, false},
		{"after the hour", hour + 60_000, func(v *visitor) { v.open("/?via=ann&utm_source=blog") }, true},
		{"reload", 5 * hour, func(v *visitor) { v.do(chromedp.Reload()) }, false},
		{"internal link that keeps the parameters", 5 * hour,
			func(v *visitor) { v.follow("/pricing?via=ann&utm_source=blog") }, false},
		{"internal link that keeps one parameter", 5 * hour, func(v *visitor) { v.follow("/pricing?via=ann") }, false},
		{"internal link with a campaign of its own", 5 * hour, func(v *visitor) { v.follow("/pricing?utm_source=banner") },
			false},
		{"internal link that names another affiliate", 60_000, func(v *visitor) { v.follow("/?via=bob") }, true},
		{"another affiliate's link", 60_000, func(v *visitor) { v.open("/?via=bob") }, true},
		{"another campaign of the same affiliate", 60_000, func(v *visitor) { v.open("/?via=ann&utm_source=mail") }, true},
	}) {
		t.Run(again.name, func(t *testing.T) {
			v.visit(t, fmt.Sprintf("again%d.example", i), snippet)
			v.before(later)
			v.open("/?via=ann&utm_source=blog")
			first := v.eval("tributary.clickId")
			v.sent(1)
			v.exec(fmt.Sprintf("localStorage.later = %d", again.later))
			again.how(v)
			got := v.sent(2)
			if click := got[1].Trigger == "link"; click != again.click || (v.eval("tributary.clickId") != first) != again.click {
				t.Errorf("%s, click %s, want a new click: %v", strings.Join(lines(got), ", "), v.eval("tributary.clickId"),
					again.click)
			}
			if want := idOf(got[1]); again.click && v.eval("tributary.clickId") != want {
				t.Errorf("the page names click %s, want %s", v.eval("tributary.clickId"), want)
			}
			v.noErrors()
		})
	}
}

// An affiliate's link, an ad, and the affiliate's link again within the hour are two clicks.
func TestAdAfterAffiliate(t *testing.T) {
	v := newVisitor(t, "ad.example", snippet)
	v.open("/?via=ann")
	v.open("/?utm_source=google&utm_medium=cpc&gclid=Cj0-1")
	got := v.beacons("link of ann at /?via=ann", "link at /?utm_source=google&utm_medium=cpc&gclid=Cj0-1")
	v.want("tributary.clickId", idOf(got[1]))
	v.want("window.affiliateId", "ann") // who referred this browser; the click of the ad does not name them
	v.follow("/pricing")
	v.open("/?via=ann")
	v.beacons("link of ann at /?via=ann", "link at /?utm_source=google&utm_medium=cpc&gclid=Cj0-1",
		"pageview at /pricing", "pageview at /?via=ann")
	v.want("tributary.clickId", idOf(got[0]))
	v.noErrors()
}

func TestFirstClickStays(t *testing.T) {
	v := newVisitor(t, "firstclick.example", snippetWith(`data-attribution="first"`))
	v.open("/?via=ann")
	v.open("/?via=bob")
	v.open("/?gclid=1")
	got := v.beacons("link of ann at /?via=ann", "link of bob at /?via=bob", "link at /?gclid=1")
	v.want("tributary.clickId", idOf(got[0]))
	v.want("window.affiliateId", "ann")
	v.noErrors()
}

func TestParameters(t *testing.T) {
	v := newProfile(t)
	t.Run("names", func(t *testing.T) {
		v.visit(t, "parameters.example", snippet)
		sent := 0
		for query, want := range map[string]string{
			"via=ann": "ann", "fpr=ann": "ann", "fp_ref=ann": "ann", "aff=ann": "ann", "referral=ann": "ann",
			"via=&aff=ann":             "ann",
			"via=J%C3%B6rg%20%26%20Co": "Jörg & Co", "ref=ann": "", "VIA=ann": "", "via": "",
			"via=" + strings.Repeat("a", 201): "",
		} {
			v.forgetCookies(t) // a new visitor in the same profile: another one is dear
			v.open("/?" + query)
			sent++
			got := v.sent(sent)[sent-1]
			if !strings.HasSuffix(got.Url, "/?"+query) {
				t.Fatalf("the last beacon is of %s, want %s", got.Url, query)
			}
			if got.AffiliateId != want || (got.Trigger == "link") != (want != "") {
				t.Errorf("%s: %s of %q, want %q", query, got.Trigger, got.AffiliateId, want)
			}
			if want == "" {
				want = "undefined"
			}
			v.want("window.affiliateId", want)
		}
		v.noErrors()
	})
	t.Run("named by the site", func(t *testing.T) {
		v.visit(t, "named.example", snippetWith(`data-params="ref partner"`))
		v.open("/?via=nobody")
		v.open("/?ref=ann")
		v.open("/?partner=bob")
		v.beacons("pageview at /?via=nobody", "link of ann at /?ref=ann", "link of bob at /?partner=bob")
	})
	for _, name := range []string{"dub_id", "pimms_id"} {
		t.Run(name, func(t *testing.T) {
			v.visit(t, strings.ReplaceAll(name, "_", "-")+".example", snippet)
			v.open("/?" + name + "=aBcDeFgHiJ123456")
			v.sent(1)
			v.open("/?" + name + "=aBcDeFgHiJ123456")
			got := v.sent(2)
			if got[0].Trigger != "link" || idOf(got[0]) != "aBcDeFgHiJ123456" || got[1].Trigger != "pageview" {
				t.Errorf("%v %s", lines(got), idOf(got[0]))
			}
			v.want("window.pimms_id", "aBcDeFgHiJ123456")
			if value := v.cookie(name); value != "aBcDeFgHiJ123456" {
				t.Errorf("cookie %s is %q", name, value)
			}
			// What could not be a reference at Stripe, or would end a cookie, is not taken.
			v.open("/?" + name + "=a;b%20c")
			v.want("window.pimms_id", "aBcDeFgHiJ123456")
		})
	}
}

// A site that sends no referrer hides from the script that its own links are within it: campaigns
// in those are arrivals. They name no affiliate, and take none away.
func TestNoReferrer(t *testing.T) {
	v := newVisitor(t, "noreferrer.example", `<meta name=referrer content=no-referrer>`+snippet)
	v.open("/?via=ann")
	v.follow("/pricing")
	v.follow("/buy?utm_source=banner")
	v.beacons("link of ann at /?via=ann", "pageview at /pricing", "link at /buy?utm_source=banner")
	v.want("window.affiliateId", "ann")
	v.noErrors()
}

// Who comes back from the page on which they paid has not arrived again.
func TestReturnFromPayment(t *testing.T) {
	v := newVisitor(t, "paid.example", snippet+`<a id=buy href="http://buy.stripe.com/returns">buy</a>`)
	v.serve("buy.stripe.com/returns", `<link rel=icon href="data:,">
		<a id=back href="http://paid.example/thanks?session_id=cs_1&via=ann">back</a>`)
	v.open("/?via=ann")
	v.sent(1)
	v.navigates("buy.click()")
	v.navigates("back.click()")
	got := v.beacons("link of ann at /?via=ann", "pageview at /thanks?via=ann")
	v.want("tributary.clickId", idOf(got[0]))
	v.noErrors()
}

// A page that belongs to an affiliate names them where no link does.
func TestAffiliateOfThePage(t *testing.T) {
	v := newVisitor(t, "landing.example", snippetWith(`data-affiliate="ann" data-program-id="p1"`))
	v.open("/")
	v.follow("/more")
	v.open("/")
	got := v.beacons("link of ann at /", "pageview at /more", "pageview at /")
	if got[0].ProgramId != "p1" {
		t.Errorf("program %q", got[0].ProgramId)
	}
	v.noErrors()
}

// An attribute without a value names nobody, also as JSX writes it.
func TestAffiliateOfNoPage(t *testing.T) {
	v := newProfile(t)
	for name, attribute := range played(map[string]string{"empty": "data-affiliate", "jsx": `data-affiliate="true"`}) {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".attribute.example", snippetWith(attribute))
			v.open("/")
			v.want("window.affiliateId", "undefined")
			v.open("/?via=ann")
			v.beacons("pageview at /", "link of ann at /?via=ann")
			v.noErrors()
		})
	}
}

// However a page includes the script, one arrival is one click.
func TestWaysToInclude(t *testing.T) {
	v := newProfile(t)
	const element = `const s = document.createElement("script"); s.src = "` + edgeURL + `/t.js";
		s.setAttribute("data-key", "pk_test");`
	for name, html := range played(map[string]string{
		"plain": `<head>` + strings.Replace(snippet, "defer", "", 1) + `</head>`,
		"async": strings.Replace(snippet, "defer", "async", 1),
		"next": `<script>{` + element +
			`s.setAttribute("data-nscript", "afterInteractive"); document.body.appendChild(s)}</script>`,
		"two-kinds": snippet + clicks.ScriptElement(edgeURL, "pk_test"),
		"three":     `<script>for (let i = 0; i < 3; i++) {` + element + `document.head.append(s)}</script>`,
		"late":      `<script>setTimeout(() => {` + element + `document.head.append(s)}, 300)</script>`,
	}) {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".include.example", `<body>`+html)
			v.open("/?via=ann")
			v.becomes("window.affiliateId", "ann")
			v.open("/next")
			v.beacons("link of ann at /?via=ann", "pageview at /next")
			v.noErrors()
		})
	}
}

// What an address may hold neither breaks the script nor names anybody whom it does not name.
func TestOddAddresses(t *testing.T) {
	v := newVisitor(t, "odd.example", snippet)
	for _, c := range []struct{ query, affiliate string }{
		{"via=%E0%A4%A", "\uFFFD%A"}, {"via=a%", "a%"}, {"via=ann&via=bob", "ann"}, {"via=&via=cat", "cat"},
		{"via=a+b", "a b"}, {"via=%F0%9F%A6%8A", "🦊"}, {"&&=&via=dan&=x", "dan"},
		{"tributary=%7B%22l%22%3A5%7D&via=eve", "eve"},
		{"__proto__=1&constructor=2&via=flo", "flo"},
	} {
		v.open("/?" + c.query)
		v.want("window.affiliateId", c.affiliate)
	}
	v.sent(9)
	v.noErrors()
}

func TestSinglePageSite(t *testing.T) {
	v := newProfile(t)
	for name, prepare := range played(map[string]string{"navigation": "", "old": "delete window.navigation"}) {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".spa.example", snippet)
			v.before(prepare)
			v.open("/")
			// The framework shows each address by changing the document.
			v.exec(`window.show = (path) => { history.pushState({}, "", path); document.body.append(path) }`)
			v.exec(`show("/?via=ann")`)
			v.becomes("window.affiliateId", "ann")
			v.exec(`show("/pricing")`)
			v.sent(3)
			v.exec(`history.replaceState({scroll: 10}, ""); location.hash = "top"; document.body.append("x")`)
			v.exec(`show("/cart")`)
			got := v.beacons("pageview at /", "link of ann at /?via=ann", "pageview at /pricing", "pageview at /cart")
			if got[2].Referrer != "http://"+v.host+"/?via=ann" {
				t.Errorf("referrer %s", got[2].Referrer)
			}
			v.noErrors()
		})
	}
}

// Routers change address and document in ways of their own; each page is one page view. Turbo
// replaces the body, htmx a part of it, and both evaluate the scripts in what they insert; Next.js
// notes its own state in the address's entry after it has pushed it.
func TestRouters(t *testing.T) {
	v := newProfile(t)
	const page = `<main id=part></main>` + snippet
	insert := `window.insert = (into, html) => { into.innerHTML = html; for (const old of into.querySelectorAll("script")) {
		const s = document.createElement("script"); for (const a of old.attributes) s.setAttribute(a.name, a.value);
		old.replaceWith(s) } }`
	for name, show := range map[string]string{
		"turbo": `history.pushState({turbo: {}}, "", path); const body = document.createElement("body");
			insert(body, page); document.documentElement.replaceChild(body, document.body)`,
		"htmx": `insert(part, "` + strings.ReplaceAll(snippet, `"`, `'`) + `" + path); history.pushState({htmx: true}, "", path)`,
		"next": `history.pushState(null, "", path); history.replaceState({__NA: true}, "", path); part.append(path)`,
	} {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".router.example", page)
			v.open("/?via=ann")
			v.exec(insert + fmt.Sprintf("; window.page = %q; window.show = (path) => { %s }", page, show))
			v.sent(1)
			v.exec(`show("/pricing")`)
			v.sent(2)
			v.exec(`show("/buy")`)
			v.exec(`document.body.insertAdjacentHTML("beforeend", '<a id=buy href="http://buy.stripe.com/a">buy</a>')`)
			got := v.beacons("link of ann at /?via=ann", "pageview at /pricing", "pageview at /buy")
			v.becomes("buy.search", "?client_reference_id="+idOf(got[0]))
			v.exec("history.back()")
			v.beacons("link of ann at /?via=ann", "pageview at /pricing", "pageview at /buy", "pageview at /pricing")
			v.noErrors()
		})
	}
}

// A page that takes the parameters out of its address keeps the click, also when it is loaded
// again, and is no other page; nor is one that notes in its address how far it was read.
func TestCleanedAddress(t *testing.T) {
	v := newVisitor(t, "cleaned.example", snippet)
	v.open("/?via=ann&page=2")
	id := v.eval("tributary.clickId")
	v.exec(`for (let i = 0; i < 100; i++) history.replaceState({}, "", "/?at=" + i); document.body.append("read")`)
	v.exec(`history.replaceState({}, "", "/"); document.body.append("clean")`)
	v.do(chromedp.Reload())
	v.sent(2)
	v.exec(`history.pushState({}, "", "/next")`)
	got := v.beacons("link of ann at /?via=ann&page=2", "pageview at /", "pageview at /next")
	v.want("tributary.clickId", id)
	v.want("window.affiliateId", "ann")
	if idOf(got[0]) != id {
		t.Errorf("the page names %s, want %s", id, idOf(got[0]))
	}
	v.noErrors()
}

// A form that leads to Stripe by GET carries the click in a field of its name, and so does a link
// that opens another tab.
func TestOtherWaysToStripe(t *testing.T) {
	v := newVisitor(t, "ways.example", snippet+`
		<form action="http://buy.stripe.com/form"><input type=hidden name=client_reference_id><button id=send>buy</button></form>
		<a id=blank target=_blank rel=noopener href="http://buy.stripe.com/blank">buy</a>`)
	v.serve("buy.stripe.com/form", `<link rel=icon href="data:,">`) // no icon is asked of another test's handler
	v.open("/?via=ann")
	id := v.eval("tributary.clickId")
	v.want("blank.search", "?client_reference_id="+id)
	v.navigates("send.click()")
	v.want("location.pathname + location.search", "/form?client_reference_id="+id)
	v.noErrors()
}

func TestOtherDomainOfTheSite(t *testing.T) {
	v := newVisitor(t, "cross.example", snippetWith(`data-domains="other.test, cross.test"`)+
		`<a id=shop href="http://www.cross.test/shop?x=1#y">shop</a>
		<a id=other href="http://cross.test.evil.example/">other</a>`)
	v.serve("www.cross.test", snippet)
	v.open("/?via=ann")
	id := v.eval("tributary.clickId")
	v.want(`document.getElementById("other").href`, "http://cross.test.evil.example/")
	v.navigates(`document.getElementById("shop").click()`)
	v.want("location.href", "http://www.cross.test/shop?x=1&tributary_id="+id+"#y")
	v.want("tributary.clickId", id)
	v.do(chromedp.Reload())
	v.want("tributary.clickId", id)
	v.beacons("link of ann at /?via=ann")
	v.host = "cross.test"
	v.beacons("pageview at /shop?x=1&tributary_id="+id, "pageview at /shop?x=1&tributary_id="+id)
	v.noErrors()
}

// What www knows, app knows too; what a site under a public suffix knows, its neighbour does not.
func TestSubdomains(t *testing.T) {
	v := newVisitor(t, "shop.co.uk", snippet)
	v.serve("www.shop.co.uk", snippet)
	v.serve("app.eu.shop.co.uk", snippet)
	v.serve("neighbour.co.uk", snippet)
	v.open("http://www.shop.co.uk/?via=ann")
	id := v.eval("tributary.clickId")
	v.open("http://app.eu.shop.co.uk/")
	v.want("tributary.clickId", id)
	v.open("http://neighbour.co.uk/")
	v.want("tributary.clickId", "undefined")
	got := v.beacons("link of ann at /?via=ann", "pageview at /")
	if got[0].VisitorId != got[1].VisitorId {
		t.Errorf("visitors %s and %s", got[0].VisitorId, got[1].VisitorId)
	}
	v.noErrors()
}

func TestTwoTabs(t *testing.T) {
	v := newVisitor(t, "tabs.example", snippet)
	v.open("/?via=ann")
	other := v.newTab()
	other.open("/?via=bob")
	v.follow("/pricing")
	got := v.beacons("link of ann at /?via=ann", "link of bob at /?via=bob", "pageview at /pricing")
	v.want("tributary.clickId", idOf(got[1]))
	v.noErrors()
}

// A page that the browser keeps and shows again is looked at again, and nobody arrived.
func TestBackForwardCache(t *testing.T) {
	v := newVisitor(t, "back.example", snippet)
	v.open("/?via=ann")
	v.exec("window.kept = 1")
	v.follow("/next")
	v.sent(2)
	v.exec("history.back()")
	v.becomes("window.kept", "1")
	got := v.beacons("link of ann at /?via=ann", "pageview at /next", "pageview at /?via=ann")
	v.want("tributary.clickId", idOf(got[0]))
	v.noErrors()
}

// A page that the browser prepares and nobody sees sends nothing and stores nothing. Headless
// Chromium prepares no pages, so the test says for it that the page is being prepared.
func TestPrerendering(t *testing.T) {
	v := newVisitor(t, "prerender.example", `<script>document.title = document.prerendering</script>`+snippet)
	v.before(`
		let shown = false;
		Object.defineProperty(Document.prototype, "prerendering", {get: () => !shown});
		window.show = () => { shown = true; document.dispatchEvent(new Event("prerenderingchange")) };`)
	v.open("/?via=ann")
	v.want("document.title", "true")
	v.sent(0)
	v.want("document.cookie", "")
	v.exec("show()")
	got := v.beacons("link of ann at /?via=ann")
	v.want("tributary.clickId", idOf(got[0]))
	v.noErrors()
}

// What a page asks of the script while it is being prepared is answered when the visitor sees it, and
// what it says of the visitor's consent counts from the beginning. The last word counts, also behind
// one that was said before the script was loaded.
func TestPrerenderedCalls(t *testing.T) {
	v := newProfile(t)
	for name, tt := range map[string]struct{ before, consent string }{
		"granted": {"", "granted"},
		"denied":  {"", "denied"},
		"withdrawn": {`window.tributary = function () { (tributary.q = tributary.q || []).push(arguments) };
			tributary("consent", "granted")`, "denied"},
	} {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".prepared.example", `<script>`+tt.before+`</script>`+
				strings.Replace(snippet, "defer ", "", 1)+`<script>
				tributary("ready", (t) => window.asked = "" + t.clickId);
				tributary("consent", "`+tt.consent+`");
				tributary.ready((t) => window.again = "" + t.clickId)</script>`)
			v.before(`
				let shown = false;
				Object.defineProperty(Document.prototype, "prerendering", {get: () => !shown});
				window.show = () => { shown = true; document.dispatchEvent(new Event("prerenderingchange")) };`)
			v.open("/?via=ann")
			v.want("window.asked + document.cookie", "undefined")
			v.sent(0)
			v.exec("show()")
			got := v.beacons("link of ann at /?via=ann")
			v.becomes("window.asked", idOf(got[0]))
			v.becomes("window.again", idOf(got[0]))
			if got[0].Consent != tt.consent || (v.eval("document.cookie") == "") != (tt.consent == "denied") {
				t.Errorf("consent %q, cookies %q", got[0].Consent, v.eval("document.cookie"))
			}
			v.noErrors()
		})
	}
}

// Two weeks of one customer on two devices, as a merchant would count them by hand.
func TestFortnight(t *testing.T) {
	const day = 24 * 3_600_000
	clock := `{const now = Date.now; Date.now = () => now() - 14 * 24 * 3.6e6 + Number(localStorage.later || 0)}`
	laptop := newVisitor(t, "fortnight.example", snippet)
	laptop.before(clock)
	at := func(v *visitor, days float64) { v.exec(fmt.Sprintf("localStorage.later = %d", int(days*day))) }

	laptop.open("/?via=ann") // Monday: a blog's link, four pages, and back to the first
	laptop.follow("/features")
	laptop.follow("/pricing")
	laptop.do(chromedp.Reload())
	laptop.follow("/?via=ann")
	at(laptop, 0.01) // the same link from the blog a quarter of an hour later
	laptop.open("/?via=ann")
	at(laptop, 2) // Wednesday: the address typed, then an ad
	laptop.open("/")
	laptop.open("/sale?utm_source=google&utm_medium=cpc&gclid=Cj0-1")
	laptop.follow("/cart")
	at(laptop, 9) // the week after: the blog's link again, and a newsletter's
	laptop.open("/?via=ann")
	laptop.open("/?utm_source=newsletter&utm_campaign=may")
	laptop.follow("/cart?utm_source=banner")

	phone, cancel := chromedp.NewContext(world.browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	mobile := &visitor{t: t, host: laptop.host}
	mobile.start(phone)
	mobile.before(clock)
	mobile.open("/") // a page before, so that the clock can be set
	at(mobile, 10)
	mobile.open("/?via=ann") // the other device: another visitor, another click
	mobile.follow("/cart")

	got := laptop.sent(15)
	triggers, affiliates, ids, visitors := map[string]int{}, map[string]int{}, map[string]bool{}, map[string]bool{}
	for _, c := range got {
		triggers[c.Trigger]++
		ids[idOf(c)], visitors[c.VisitorId] = true, true
		if c.Trigger == "link" {
			affiliates[c.AffiliateId]++
		} else if c.AffiliateId != "" {
			t.Errorf("a page view names %s", c.AffiliateId)
		}
	}
	if triggers["link"] != 5 || triggers["pageview"] != 10 || affiliates["ann"] != 3 || affiliates[""] != 2 ||
		len(ids) != 15 || len(visitors) != 2 {
		t.Errorf("triggers %v, affiliates %v, %d ids, %d visitors:\n%s", triggers, affiliates, len(ids), len(visitors),
			strings.Join(lines(got), "\n"))
	}
	laptop.noErrors()
	mobile.noErrors()
}

// Block lists name the kind of request that sendBeacon makes (EasyPrivacy: $ping,third-party), also
// where they do not know the host.
func TestKindsOfRequests(t *testing.T) {
	v := newVisitor(t, "kinds.example", snippet)
	requests := chromedp.Events(v.tab, network.RequestWillBeSent)
	if _, err := chromedp.Call(v.tab, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	v.open("/?via=ann")
	v.beacons("link of ann at /?via=ann")
	var kinds []string
	for e, err := range requests {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(e.Request.URL, edgeURL) {
			kinds = append(kinds, string(e.Type))
		}
		if len(kinds) == 2 {
			break
		}
	}
	if !slices.Equal(kinds, []string{"Script", "Fetch"}) {
		t.Errorf("requests %v, want the script and a fetch", kinds)
	}
}
