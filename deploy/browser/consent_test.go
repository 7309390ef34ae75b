package browser

import (
	"testing"
)

const nothingStored = `document.cookie + Object.keys(localStorage)`

func TestConsent(t *testing.T) {
	v := newVisitor(t, "consent.example", snippetWith(`data-consent="denied"`))
	v.open("/?via=ann")
	got := v.beacons("link of ann at /?via=ann")
	if got[0].VisitorId != "" || got[0].Consent != "denied" || len(got[0].IdentityHash) > 0 {
		t.Errorf("without consent: %v", got[0])
	}
	v.want(nothingStored, "")
	v.want("window.affiliateId", "ann") // known to this page, and to no other
	id := v.eval("tributary.clickId")

	v.exec(`tributary("consent", "granted")`)
	v.want("tributary.clickId", id)
	if v.cookie("tributary_id") != id || v.cookie("pimms_id") != id || v.cookie("tributary") == "" {
		t.Errorf("cookies after consent: %s", v.eval("document.cookie"))
	}
	v.serve(v.host, snippetWith(`data-consent="granted"`))
	v.follow("/next")
	got = v.beacons("link of ann at /?via=ann", "pageview at /next")
	if got[1].VisitorId == "" || got[1].Consent != "granted" {
		t.Errorf("with consent: %v", got[1])
	}
	v.want("tributary.clickId", id)

	v.exec(`document.cookie = "pimms_id=of-another-script;path=/;domain=consent.example"; tributary.consent("denied")`)
	v.want(`document.cookie`, "pimms_id=of-another-script")
	v.want(`Object.keys(localStorage).length`, "0")
	for _, name := range []string{"tributary.clickId", "tributary.affiliateId", "window.pimms_id", "window.affiliateId"} {
		v.want(name, "undefined")
	}
	v.noErrors()
}

// What the page says before the script is there counts for the first beacon, also behind a call
// that the script does not know; and whatever is said that is not "granted" withholds consent.
func TestConsentBeforeTheScript(t *testing.T) {
	v := newProfile(t)
	const stub = `<script>window.tributary = function () { (tributary.q = tributary.q || []).push(arguments) };
		tributary("track", "x");`
	for name, page := range map[string]string{
		"denied":    stub + `tributary("consent", "denied")</script>` + snippet,
		"false":     stub + `tributary("consent", false)</script>` + snippetWith(`data-consent="granted"`),
		"attribute": snippetWith(`data-consent="Denied"`),
	} {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".before-consent.example", page)
			v.open("/?via=ann")
			got := v.beacons("link of ann at /?via=ann")
			if got[0].VisitorId != "" || got[0].Consent != "denied" || len(got[0].IdentityHash) > 0 {
				t.Errorf("%v", got[0])
			}
			v.want(nothingStored, "")
			v.want("window.affiliateId", "ann")
			v.noErrors()
		})
	}
}

// Consent that is withdrawn in another tab is withdrawn in this one, which still knows what it was
// opened by.
func TestConsentInAnotherTab(t *testing.T) {
	v := newVisitor(t, "withdrawn.example", snippet)
	v.open("/?via=ann")
	id := v.eval("tributary.clickId")
	other := v.newTab()
	other.open("/other")
	other.exec(`tributary.consent("denied")`)
	v.exec(`history.pushState({}, "", "/next")`)
	got := v.beacons("link of ann at /?via=ann", "pageview at /other", "pageview at /next")
	if got[0].VisitorId == "" || got[2].VisitorId != "" || got[2].Consent != "denied" {
		t.Errorf("visitors %q and %q, consent %q", got[0].VisitorId, got[2].VisitorId, got[2].Consent)
	}
	v.want(nothingStored, "")
	v.want("tributary.clickId", id)
	v.noErrors()
}

// A browser that asks not to be followed is not, whatever the page says, and loses what was stored
// before it asked.
func TestPrivacySignals(t *testing.T) {
	v := newProfile(t)
	for name, signal := range map[string]string{
		"gpc": `Object.defineProperty(Navigator.prototype, "globalPrivacyControl", {get: () => true})`,
		"dnt": `Object.defineProperty(Navigator.prototype, "doNotTrack", {get: () => "1"})`,
	} {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".privacy.example", snippetWith(`data-consent="granted"`))
			v.open("/?via=ann")
			v.sent(1)
			v.forgetCookies(t)
			// A beacon that waits has ids from before, and may outlive the cookies. It is put there as the
			// next page begins: this one may still be about to send what waits.
			v.before(`localStorage.tributary_queue = JSON.stringify({url: location.origin + "/waits", visitor_id: "v"});` +
				signal)
			v.open("/?via=bob")
			got := v.beacons("link of ann at /?via=ann", "link of bob at /?via=bob")
			if got[1].VisitorId != "" || got[1].Consent != "denied" {
				t.Errorf("%v", got[1])
			}
			v.want(nothingStored, "")
			v.want("window.affiliateId", "bob")
			v.noErrors()
		})
	}
}

func TestCommands(t *testing.T) {
	v := newVisitor(t, "commands.example", `<script>
		window.tributary = window.tributary || function () { (tributary.q = tributary.q || []).push(arguments) };
		window.seen = [];
		tributary("ready", (t) => seen.push("ready " + (t.clickId === window.pimms_id) + " " + t.affiliateId));
		document.addEventListener("tributary", () => seen.push("event " + window.affiliateId));
	</script>`+snippet)
	v.open("/?via=ann")
	v.want("seen.join()", "event ann,ready true ann")
	v.exec(`tributary("ready", (t) => seen.push("again " + t.affiliateId)); tributary.ready(() => seen.push("method"))`)
	v.exec(`history.pushState({}, "", "/?via=bob")`)
	v.want("seen.slice(2).join()", "again ann,method,event bob")
	v.noErrors()
}

// The recipe for Tag Manager makes the element by script, and sets its attributes one by one.
func TestTagManager(t *testing.T) {
	v := newVisitor(t, "manager.example", `<body><script>
		var pushLap = document.createElement('script');
		pushLap.src = "`+edgeURL+`/t.js";
		document.head.appendChild(pushLap);
		pushLap.setAttribute('data-affiliate', '');
		pushLap.setAttribute('data-program-id', 'YOUR_AFFILIATE_PROGRAM_ID');
		setTimeout(() => pushLap.setAttribute('data-key', 'pk_late'), 500);
	</script>`)
	v.open("/?via=ann")
	v.open("/next")
	got := v.beacons("link of ann at /?via=ann", "pageview at /next")
	for _, c := range got {
		if c.ProgramId != "YOUR_AFFILIATE_PROGRAM_ID" {
			t.Errorf("program %q", c.ProgramId)
		}
	}
	v.noErrors()
}
