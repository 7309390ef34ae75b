package browser

import (
	"os"
	"regexp"
	"strings"
	"testing"
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
	for section, reads := range map[string]struct{ expression, without, cookie string }{
		"From Dub":             {`tributary.clickId`, "undefined", "dub_id"},
		"From PiMMs":           {`window.pimms_id`, "undefined", "pimms_id"},
		"From Push Lap Growth": {`JSON.stringify({client_reference_id: window.affiliateId})`, "{}", ""},
		"From Rewardful":       {`Rewardful.referral`, "", "referral"},
	} {
		t.Run(section, func(t *testing.T) {
			host := strings.ToLower(strings.ReplaceAll(section, " ", "-")) + ".example"
			v := newVisitor(t, host, moving(t, section)+`<form><input type=hidden name=referral id=field></form>`)
			v.open("/")
			v.becomes("typeof tributary.consent", "function")
			v.want(reads.expression, reads.without)
			v.open("/?via=ann")
			got := v.beacons("pageview at /", "link of ann at /?via=ann")
			want := idOf(got[1])
			if section == "From Push Lap Growth" {
				want = `{"client_reference_id":"ann"}`
			}
			v.want(reads.expression, want)
			if reads.cookie != "" && v.cookie(reads.cookie) != want {
				t.Errorf("cookie %s is %q, want %s", reads.cookie, v.cookie(reads.cookie), want)
			}
			if section == "From Rewardful" {
				v.want("field.value", want)
				v.exec(`rewardful("ready", () => window.ready = Rewardful.referral)`)
				v.want("window.ready", want)
			}
			v.noErrors()
		})
	}
}

// Who came before the move is known by the cookies of the script before, and nobody else is.
func TestVisitorsOfBefore(t *testing.T) {
	for name, before := range map[string]struct{ cookies, click, affiliate string }{
		"dub":   {"dub_id=aBcDeFgHiJ123456", "aBcDeFgHiJ123456", "undefined"},
		"pimms": {"x=1; pimms_id=aBcDeFgHiJ123456; y=2", "aBcDeFgHiJ123456", "undefined"},
		"first": {"tributary_click=019cadfd-13d0-7000-80e2-e2e2e2e2e2e2; tributary_affiliate=ann",
			"019cadfd-13d0-7000-80e2-e2e2e2e2e2e2", "ann"},
		"nobody":     {"visitor_id=x", "undefined", "undefined"},
		"malformed":  {"dub_id=a%20b; tributary_affiliate=%E0%A4%A", "undefined", "undefined"},
		"not-theirs": {"my_dub_id=aBcDeFgHiJ123456", "undefined", "undefined"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVisitor(t, name+".before.example", `<title>x</title>`)
			v.open("/")
			for _, cookie := range strings.Split(before.cookies, "; ") {
				v.exec(`document.cookie = "` + cookie + `"`)
			}
			v.serve(v.host, moving(t, "What every move needs")+snippet)
			v.open("/pricing")
			v.beacons("pageview at /pricing")
			v.want("tributary.clickId", before.click)
			v.want("window.affiliateId", before.affiliate)
			if before.click != "undefined" && v.cookie("pimms_id") != before.click {
				t.Errorf("cookies %s", v.eval("document.cookie"))
			}
			// A click of now takes its place, and the old cookie does not come back.
			v.open("/?via=bob")
			id := idOf(v.beacons("pageview at /pricing", "link of bob at /?via=bob")[1])
			v.open("/next")
			v.want("tributary.clickId", id)
			v.want("window.affiliateId", "bob")
			v.noErrors()
		})
	}
}
