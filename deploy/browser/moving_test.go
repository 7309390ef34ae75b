package browser

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tributary/deploy/race"
)

// moving returns the markup that a section of ingest/MOVING.md shows, for the edge of the tests.
func moving(t *testing.T, section string) string {
	t.Helper()
	page, err := os.ReadFile("../../ingest/MOVING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	block := regexp.MustCompile("(?s)```html\n(.*?)```").FindStringSubmatch(text)
	if !found || block == nil {
		t.Fatalf("ingest/MOVING.md shows no markup under %q", section)
	}
	return strings.ReplaceAll(block[1], "https://clicks.example.com", edgeURL)
}

// Each section's markup gives the site what its programme gave it: nothing to visitors whom nobody
// referred, and the click or the affiliate to the others, where the site's own code reads it.
func TestMovingPage(t *testing.T) {
	v := newProfile(t)
	for section, reads := range played(map[string]struct{ expression, without, cookie string }{
		"From Dub":               {`tributary.clickId`, "undefined", "dub_id"},
		"From PiMMs":             {`window.pimms_id`, "undefined", "pimms_id"},
		"From Push Lap Growth":   {`JSON.stringify({client_reference_id: window.affiliateId})`, "{}", ""},
		"From Rewardful":         {`Rewardful.referral`, "", "referral"},
		"From FirstPromoter":     {`FPROM.data.tid`, "undefined", "_fprom_tid"},
		"From Tolt":              {`window.tolt_referral`, "undefined", "tolt_referral"},
		"From Affonso":           {`window.affonso_referral`, "undefined", "affonso_referral"},
		"From Endorsely":         {`window.endorsely_referral`, "undefined", "endorsely_referral"},
		"From PromoteKit":        {`window.promotekit_referral`, "undefined", "promotekit_referral"},
		"From another programme": {`tributary.clickId`, "undefined", "partner_click"},
	}) {
		t.Run(section, func(t *testing.T) {
			host := strings.ToLower(strings.ReplaceAll(section, " ", "-")) + ".example"
			v.visit(t, host, moving(t, section)+`<form><input type=hidden name=referral id=field></form>
				<form data-rewardful id=auto></form>`)
			if section == "From Rewardful" {
				v.before(`window.early = 0; (window.rewardful = function () { (rewardful.q = rewardful.q || []).push(arguments) })(
					"ready", () => window.early++)`)
			}
			v.open("/")
			v.becomes("window.tributary && typeof tributary.consent", "function")
			v.want(reads.expression, reads.without)
			v.want("auto.elements.length", "0")
			query := "/?via=ann"
			if section == "From another programme" {
				query = "/?partner=ann"
			}
			v.open(query)
			got := v.beacons("pageview at /", "link of ann at "+query)
			want := idOf(got[1])
			if section == "From Push Lap Growth" {
				want = `{"client_reference_id":"ann"}`
			}
			v.want(reads.expression, want)
			if reads.cookie != "" && v.cookie(reads.cookie) != want {
				t.Errorf("cookie %s is %q, want %s", reads.cookie, v.cookie(reads.cookie), want)
			}
			if section == "From Tolt" {
				v.want("tolt_data.click_id + tolt_data.partner_id + tolt_data.customer_id", want+"annnull")
				v.exec(`tolt.signup("ann@shop.example").then((lead) => window.lead = lead.click_id)`)
				v.becomes("window.lead", want)
			}
			if section == "From Rewardful" {
				v.want("field.value", want)
				v.becomes("auto.elements.length && auto.elements.referral.value", want)
				v.want("Rewardful.affiliate.token", "ann")
				v.exec(`rewardful("ready", () => window.ready = Rewardful.referral)`)
				v.want("window.ready", want)
				v.want("window.early", "1") // what the page asked for before the script was there
			}
			v.noErrors()
		})
	}
}

// Who came before the move is known by the cookies of the script before, and nobody else is.
func TestVisitorsOfBefore(t *testing.T) {
	v := newProfile(t)
	const (
		id        = "aBcDeFgHiJ123456"
		uuid      = "fb788b6e-4a9a-4be6-b57c-2a9de51b05bb"
		rewardful = "%7B%22id%22%3A%22" + uuid + "%22%2C%22created_at%22%3A%222026-10-14%22%2C%22affiliate%22%3A%7B" +
			"%22token%22%3A%22ann%22%7D%7D"
	)
	for name, before := range played(map[string]struct{ section, cookies, click, affiliate string }{
		"dub":           {"", "dub_id=" + id, id, "undefined"},
		"pimms":         {"From PiMMs", "x=1; pimms_id=" + id + "; y=2", id, "undefined"},
		"push-lap":      {"From Push Lap Growth", "87f1-fd_affiliate_ref=ann; 87f1-fd_affiliate_referral=1234", "1234", "ann"},
		"rewardful":     {"From Rewardful", "rewardful.referral=" + rewardful, uuid, "undefined"},
		"firstpromoter": {"From FirstPromoter", "_fprom_tid=" + uuid + "; _fprom_ref=ann", uuid, "ann"},
		"nobody":        {"", "visitor_id=x", "undefined", "undefined"},
		"malformed":     {"", "dub_id=a%20b; pimms_id=%E0%A4%A", "undefined", "undefined"},
		"rewardful-bad": {"From Rewardful", "rewardful.referral=%7B%22id", "undefined", "undefined"},
		"not-theirs":    {"", "my_dub_id=" + id, "undefined", "undefined"},
		"too-long":      {"", "dub_id=" + strings.Repeat("a", 201), "undefined", "undefined"},
	}) {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".before.example", `<title>x</title>`)
			v.open("/")
			for cookie := range strings.SplitSeq(before.cookies, "; ") {
				v.exec(`document.cookie = "` + cookie + `"`)
			}
			script := snippet
			if before.section != "" {
				script = strings.ReplaceAll(moving(t, before.section), "YOUR_AFFILIATE_PROGRAM_ID", "87f1-fd")
			}
			v.serve(v.host, script)
			v.open("/pricing")
			v.beacons("pageview at /pricing")
			v.want("tributary.clickId", before.click)
			v.want("window.affiliateId", before.affiliate)
			if before.click != "undefined" && v.cookie("tributary_id") != before.click {
				t.Errorf("cookies %s", v.eval("document.cookie"))
			}
			// A click of now takes its place, and the old cookie does not come back.
			v.open("/?via=bob")
			now := idOf(v.beacons("pageview at /pricing", "link of bob at /?via=bob")[1])
			v.open("/next")
			v.want("tributary.clickId", now)
			v.want("window.affiliateId", "bob")
			v.noErrors()
		})
	}
}

type programme struct{ script, calls, answered, names string }

// programmeCalls are what pages call by a programme's guide, as soon as its script is there, and an
// expression that is "yes" when all calls that have an answer got it.
var programmeCalls = map[string]programme{
	"dub": {`/analytics/script.js`, `dubAnalytics("ready", () => window.asked = "yes");
		dubAnalytics.trackLead({eventName: "Seen", customerExternalId: "Prerendered"}).then(() => window.led = "yes");
		DubAnalytics.partner`, `asked && led`, `tributary.clickId`},
	"pushlap": {`/affiliate-tracker.js" data-program-id="87f1`, `window.affiliateId; getPushLapAffiliateInfo();
		createPushLapSale({email: "a@b.example", amount: 49}); pushLapTrackAddToCart();
		createPushLapEmail("a@b.example", "Ann").then(() => window.asked = "yes")`, `asked`, `getPushLapAffiliateInfo().clickId`},
	"rewardful": {`/rw.js`, `rewardful("ready", () => window.asked = "yes"); rewardful("convert", {email: "a@b.example"});
		Rewardful.referral; Rewardful.affiliate`, `asked`, `Rewardful.referral`},
	"firstpromoter": {`/fpr.js`, `FPROM.data.tid`, `"yes"`, `FPROM.data.tid`},
	"tolt": {`/tolt.js`, `window.tolt_referral; tolt.signup("a@b.example").then(() => window.asked = "yes")`, `asked`,
		`tolt_referral`},
	"affonso": {`/js/pixel.min.js" data-requires-consent="true`, `affonsoConsentGranted();
		Affonso.signup("a@b.example").then(() => window.asked = "yes")`, `asked`, `affonso_referral`},
	"endorsely":  {`/endorsely.js`, `window.endorsely_referral`, `"yes"`, `endorsely_referral`},
	"promotekit": {`/promotekit.js`, `promotekit.refer("a@b.example").then(() => window.asked = "yes")`, `asked`, `promotekit_referral`},
}

// programmes returns those that the nth test plays: all, and under the race detector two, other
// ones than the test before it.
func programmes(n int) iter.Seq2[string, programme] {
	return func(yield func(string, programme) bool) {
		for i, name := range slices.Sorted(maps.Keys(programmeCalls)) {
			if race.Enabled && (i+n)%4 != 0 {
				continue
			}
			if !yield(name, programmeCalls[name]) {
				return
			}
		}
	}
}

// What a page calls while the browser prerenders it is done when the visitor sees it. /t.js stores
// and sends nothing before that.
func TestProgrammesPrerendered(t *testing.T) {
	v := newProfile(t)
	for name, c := range programmes(0) {
		t.Run(name, func(t *testing.T) {
			stand := strings.NewReplacer("defer ", "", "/t.js", c.script).Replace(snippet)
			v.visit(t, name+".prerendered.example",
				stand+`<script>window.asked = window.led = "";`+c.calls+`</script>`)
			v.before(`let shown = false;
				Object.defineProperty(Document.prototype, "prerendering", {get: () => !shown});
				window.show = () => { shown = true; document.dispatchEvent(new Event("prerenderingchange")) };`)
			v.open("/?via=ann")
			v.want("document.cookie", "")
			v.exec(`show()`)
			v.becomes(c.answered, "yes")
			click := v.beacons("link of ann at /?via=ann")[0]
			v.becomes(c.names, idOf(click))
			if click.VisitorId == "" || name == "affonso" && click.Consent != "granted" {
				t.Errorf("with consent: %v", click)
			}
			v.noErrors()
		})
	}
}

// A page that has the script twice, or /t.js before it, is counted once, and what the programme's
// guide reads is there.
func TestProgrammesTwice(t *testing.T) {
	v := newProfile(t)
	for name, c := range programmes(1) {
		t.Run(name, func(t *testing.T) {
			plain := strings.Replace(snippet, "defer ", "", 1)
			stand := strings.Replace(plain, "/t.js", c.script, 1)
			calls := `<script>window.asked = window.led = "";` + c.calls + `</script>`
			v.visit(t, name+".again.example", plain+stand+calls+stand+calls)
			v.open("/?via=ann")
			v.becomes(c.answered, "yes")
			v.becomes(c.names, idOf(v.beacons("link of ann at /?via=ann")[0]))
			v.noErrors()
		})
	}
}

// Where the script counts nobody, as under a browser that a test drives, the page's calls are
// answered too, and report nothing.
func TestProgrammesSilent(t *testing.T) {
	v := newProfile(t)
	for name, c := range programmes(2) {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".silent.example", strings.NewReplacer("defer ", "", "/t.js", c.script).Replace(snippet)+
				`<script>window.asked = window.led = "";`+c.calls+`</script>`)
			v.before(`Object.defineProperty(navigator, "webdriver", {get: () => true})`)
			v.open("/?via=ann")
			v.becomes(c.answered, "yes")
			v.want("document.cookie", "")
			v.noErrors()
		})
	}
}

// Where the script cannot run, the page's calls are answered all the same, and report nothing: a page
// may go on to pay only then.
func TestProgrammesWithoutScript(t *testing.T) {
	v := newProfile(t)
	for name, c := range programmes(3) {
		t.Run(name, func(t *testing.T) {
			stand := strings.NewReplacer("defer ", "", "/t.js", c.script).Replace(snippet)
			v.visit(t, name+".old-browser.example",
				stand+`<script>window.asked = window.led = "";`+c.calls+`</script>`)
			v.before(`URLSearchParams = MutationObserver = class { constructor() { throw "not in this browser" } }`)
			v.open("/?via=ann")
			if name == "dub" || !strings.Contains(c.calls, `"ready"`) {
				v.becomes(c.answered, "yes")
			}
			v.want("document.cookie", "")
			v.sent(0)
		})
	}
}

// An element of the page may have the id by which the page calls the script.
func TestElementIsCalledTributary(t *testing.T) {
	v := newProfile(t)
	for name, c := range programmes(4) {
		t.Run(name, func(t *testing.T) {
			stand := strings.NewReplacer("defer ", "", "/t.js", c.script).Replace(snippet)
			v.visit(t, name+".element.example",
				`<p id="tributary"></p>`+stand+`<script>window.asked = window.led = "";`+c.calls+`</script>`)
			v.open("/?via=ann")
			v.becomes(c.answered, "yes")
			v.becomes(c.names, idOf(v.beacons("link of ann at /?via=ann")[0]))
			v.noErrors()
		})
	}
}

// A page that has read the global into a variable of the same name, before the script was there, is
// counted too, and has the id there.
func TestGlobalIsVariable(t *testing.T) {
	v := newProfile(t)
	for section, name := range played(map[string]string{
		"From Tolt": "tolt_referral", "From Affonso": "affonso_referral",
		"From Endorsely": "endorsely_referral", "From PromoteKit": "promotekit_referral",
	}) {
		t.Run(section, func(t *testing.T) {
			v.visit(t, "variable-"+strings.TrimSuffix(name, "_referral")+".example",
				"<script>var "+name+" = window."+name+", tolt_data = window.tolt_data</script>"+moving(t, section))
			v.open("/?via=ann")
			v.want(name, idOf(v.beacons("link of ann at /?via=ann")[0]))
			v.noErrors()
		})
	}
}

// Pages of Push Lap Growth read the reference and listen for events, wherever they stand; the
// programme's id may stand in the script's address. ref is the programme's parameter at first.
func TestPushLap(t *testing.T) {
	v := newProfile(t)
	const listens = `<script>addEventListener("affiliate_id_ready", (e) => (window.told ??= []).push(e.detail.ref, e.detail.clickId));
		addEventListener("affiliate_referral_ready", () => window.done = (window.done || 0) + 1)</script>`
	for name, page := range played(map[string]string{
		"above": listens + moving(t, "From Push Lap Growth"),
		"below": strings.Replace(moving(t, "From Push Lap Growth"), " async", "", 1) + listens,
		"late": `<script>onload = () => { let s = document.createElement("script"); s.src = "` + edgeURL +
			`/affiliate-tracker.js"; s.setAttribute("data-affiliate", ""); s.setAttribute("data-program-id",
			"YOUR_AFFILIATE_PROGRAM_ID"); document.head.append(s) }</script>` + listens,
		"id in the address": `<script src="` + edgeURL + `/affiliate-tracker.js?programId=YOUR_AFFILIATE_PROGRAM_ID"></script>` + listens,
	}) {
		t.Run(name, func(t *testing.T) {
			v.visit(t, strings.ReplaceAll(name, " ", "-")+".pushlap.example", page)
			v.open("/")
			v.becomes("window.done > 0", "true")
			v.want("[window.told, window.affiliateRef].join()", ",")
			v.want("JSON.stringify(getPushLapAffiliateInfo())", `{"ref":null,"clickId":null,"storageType":"cookies"}`)
			v.open("/?ref=ann")
			v.becomes("window.done > 0", "true")
			got := v.beacons("pageview at /", "link of ann at /?ref=ann")[1]
			id := idOf(got)
			v.want("told.slice(0, 2).join()", "ann,"+id)
			v.want("affiliateRef + affiliateId", "annann")
			v.want("JSON.stringify(getPushLapAffiliateInfo())", `{"ref":"ann","clickId":"`+id+`","storageType":"cookies"}`)
			if got.ProgramId != "YOUR_AFFILIATE_PROGRAM_ID" || v.cookie("YOUR_AFFILIATE_PROGRAM_ID_affiliate_referral") != id {
				t.Errorf("programme %q, cookies %s", got.ProgramId, v.eval("document.cookie"))
			}
			v.exec(`window.told = []; history.pushState({}, "", "/?ref=bob")`)
			v.becomes("told[0]", "bob")
			v.noErrors()
		})
	}
}

// Affonso's own guides have pages do this: wait for the visitor's consent, and for the script
// before links to Stripe are marked.
func TestAffonso(t *testing.T) {
	v := newVisitor(t, "affonso.example", strings.Replace(moving(t, "From Affonso"), "data-affonso",
		`data-requires-consent="true" data-affonso`, 1)+`<a id=pay href="https://buy.stripe.com/test_1">Pay</a><script>
			window.ready = 0; addEventListener("affonso_referral_ready", () => ready++)</script>`)
	v.open("/?atp=ann")
	if got := v.beacons("link of ann at /?atp=ann"); got[0].VisitorId != "" || got[0].Consent != "denied" {
		t.Errorf("before consent: %v", got[0])
	}
	v.want(nothingStored, "")
	v.want("ready > 0", "true")
	id := v.eval("affonso_referral")
	v.exec(`affonsoConsentGranted(); Affonso.signup("ann@shop.example"); Affonso.signup({email: "ann@shop.example"})`)
	if v.cookie("affonso_referral") != id {
		t.Errorf("cookies after consent: %s", v.eval("document.cookie"))
	}
	v.becomes(`new URL(pay.href).searchParams.get("client_reference_id")`, id)
	v.noErrors()
}

// A visitor who does not allow cookies is not known by those of before either.
func TestVisitorOfBeforeWithoutConsent(t *testing.T) {
	v := newVisitor(t, "refused.before.example", `<title>x</title>`)
	v.open("/")
	v.exec(`document.cookie = "dub_id=aBcDeFgHiJ123456"`)
	v.serve(v.host, snippetWith(`data-consent="denied"`))
	v.open("/pricing")
	got := v.beacons("pageview at /pricing")
	v.want("tributary.clickId", "undefined")
	if got[0].VisitorId != "" || v.cookie("tributary_id") != "" {
		t.Errorf("%v, cookies %s", got[0], v.eval("document.cookie"))
	}
	v.noErrors()
}

// What Dub's and PiMMs' elements say in JSON means the same here, however much of it there is.
func TestAttributesOfDub(t *testing.T) {
	v := newProfile(t)
	for name, c := range played(map[string]struct{ attributes, wants string }{
		"whole": {`data-publishable-key="pk_1" data-domains='{"refer":"go.example","outbound":"docs.test, *.Cal.test:443"}'
			data-query-params='["partner","ref"]' data-attribution-model="first-click" data-cookie-options='{"expiresInDays":30}'`,
			"first ann true"},
		"arrays":        {`data-domains='{"outbound":["https://cal.test/", ""]}' data-query-param="ref"`, "last bob true"},
		"single quotes": {`data-domains="{'site':'x.example','outbound':'cal.test'}" data-query-param="ref"`, "last bob true"},
		"odd":           {`data-domains="{'site':'x.example'" data-query-params="ref" data-cookie-options="no"`, "last bob false"},
		"ours":          {`data-domains="cal.test" data-params="ref" data-query-params='["via"]'`, "last bob true"},
	}) {
		t.Run(name, func(t *testing.T) {
			host := strings.ReplaceAll(name, " ", "-") + ".attributes.example"
			v.visit(t, host, strings.Replace(snippet, "/t.js\" data-key=\"pk_test\"",
				"/analytics/script.outbound-domains.js\" "+c.attributes, 1)+`<a id=out href="http://www.cal.test/">cal</a>`)
			v.open("/?ref=ann")
			first := v.eval("tributary.clickId")
			v.sent(1)
			v.open("/?ref=bob")
			got := v.beacons("link of ann at /?ref=ann", "link of bob at /?ref=bob")
			which := "last"
			if v.eval("tributary.clickId") == first {
				which = "first"
			}
			marked := strings.Contains(v.eval("out.search"), "tributary_id="+v.eval("tributary.clickId"))
			if is := fmt.Sprint(which, " ", v.eval("window.affiliateId"), " ", marked); is != c.wants {
				t.Errorf("%s, want %s; %v", is, c.wants, got)
			}
			v.open("/?via=cat") // Dub's script reads it beside those that the page lists
			if third := v.sent(3)[2]; (third.AffiliateId == "cat") != (name != "ours") {
				t.Errorf("via names %q", third.AffiliateId)
			}
			v.noErrors()
		})
	}
}

// A page that reports clicks, leads and sales by Dub's function goes on to do so, also before the
// script is there. A click that it reports is the visitor's from then on.
func TestCommandsOfDub(t *testing.T) {
	queue := `<script>!function(c,n){c[n]=c[n]||function(){(c[n].q=c[n].q||[]).push(arguments)};
		["trackClick","trackLead","trackSale"].forEach(t=>c[n][t]=(...a)=>c[n](t,...a))}(window,"dubAnalytics")</script>`
	script := strings.Replace(snippet, "/t.js\"", `/analytics/script.conversion-tracking.js" data-domains='{"refer":"go.example"}'`, 1)
	v := newVisitor(t, "commands.dub.example", queue+`<script>
		dubAnalytics("ready", () => window.told = JSON.stringify(DubAnalytics));
		location.search || dubAnalytics.trackLead({eventName: "Sign up", customerExternalId: "Queued-Lead"});
		dubAnalytics("trackView", {});</script>`+script)
	leads := func(person string) (refs []string) {
		world.received.mu.Lock()
		defer world.received.mu.Unlock()
		for _, l := range world.received.leads {
			if l.ExternalId == person {
				refs = append(refs, l.ClickRef)
			}
		}
		return refs
	}
	v.open("/")
	v.becomes("window.told", `{"partner":null,"discount":null}`)
	v.exec(`window.sent = ""; dubAnalytics.trackLead({eventName: "Other", customerExternalId: "Queued-Lead"}).then(() => sent = "yes")`)
	v.becomes("window.sent", "yes")
	v.exec(`dubAnalytics.trackClick({domain: "go.example", key: "spring"})`)
	v.becomes("!!tributary.clickId", "true")
	first := v.eval("tributary.clickId")
	v.exec(`window.sent = "";
		dubAnalytics("trackSale", {amount: 4900, customerExternalId: "Buyer"}).then((a) => sent = "" + a.sale)`)
	v.becomes("window.sent", "null")
	got := v.beacons("pageview at /", "link at /")
	if got[1].LinkId != "go.example/spring" || idOf(got[1]) != first {
		t.Errorf("%v, and the visitor's click is %s", got[1], first)
	}
	for _, name := range []string{"tributary_id", "pimms_id", "dub_id"} {
		if got := v.cookie(name); got != first {
			t.Errorf("cookie %s is %q, want %s", name, got, first)
		}
	}
	if refs := leads("Buyer"); len(refs) != 1 || refs[0] != first {
		t.Errorf("the sale names %q", refs)
	}
	if refs := leads("Queued-Lead"); len(refs) != 2 {
		t.Errorf("%d leads, want the one of the queue and the one after it", len(refs))
	}
	v.open("/?x")
	v.becomes("tributary.clickId", first)
	v.exec(`dubAnalytics("trackClick", "autumn")`)
	v.becomes(`tributary.clickId != "`+first+`"`, "true")
	if got := v.sent(4)[3]; got.LinkId != "go.example/autumn" || idOf(got) != v.cookie("dub_id") {
		t.Errorf("%v, cookie %s", got, v.cookie("dub_id"))
	}
	v.noErrors()
}

// Who allows no cookies gets none from a click that the page reports.
func TestCommandsOfDubWithoutConsent(t *testing.T) {
	script := strings.Replace(snippet, "/t.js\"", `/analytics/script.js" data-consent="denied"`, 1)
	v := newVisitor(t, "denied.dub.example", script)
	v.open("/")
	v.exec(`window.sent = ""; dubAnalytics.trackClick({domain: "go.example", key: "spring"}).then(() => sent = "yes")`)
	v.becomes("window.sent", "yes")
	v.beacons("pageview at /", "link at /")
	v.want("document.cookie", "")
	v.noErrors()
}

// Under the address of a programme's script, its links name the affiliate, and no others do.
func TestLinksOfProgrammes(t *testing.T) {
	v := newVisitor(t, "links.programmes.example", "")
	const source = `<script>(function(w,r){w._rwq=r;w[r]=w[r]||function(){(w[r].q=w[r].q||[]).push(arguments)}})
		(window,"rewardful"); rewardful("source", "eve")</script>`
	for i, c := range []struct{ before, script, query, affiliate string }{
		{source, `/rw.js`, "", "eve"},
		{"", `/rw.js" data-rewardful-params="rfsn, ref`, "rfsn=ann", "ann"},
		{source, `/rw.js" data-rewardful-params="rfsn, ref`, "via=bob", "bob"},
		{"", `/rw.js`, "ref=cat", ""},
		{"", `/affiliate-tracker.js`, "ref=fay", "fay"},
		{"", `/affiliate-tracker.js" data-params="via`, "ref=gil", ""},
		{"", `/fpr.js`, "_by=dan", "dan"},
		{"", `/fpr.js`, "deal=summer", ""},
	} {
		v.serve(v.host, c.before+strings.Replace(snippet, "/t.js", c.script, 1))
		v.open("/?" + c.query)
		if got := v.sent(i + 1)[i].AffiliateId; got != c.affiliate {
			t.Errorf("%s: %s names %q, want %q", c.script, c.query, got, c.affiliate)
		}
	}
	v.noErrors()
}
