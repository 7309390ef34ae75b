package browser

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/deploy/tools"
	"tributary/schemas"
)

// packages returns the folder of the vendors' packages.
func packages(t *testing.T) string {
	t.Helper()
	dir, err := tools.Dir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "browser", "node_modules")
	if _, err := os.Stat(folder); err != nil {
		t.Fatalf("%v (hint: make tools)", err)
	}
	return folder
}

// The vendors' SDKs for backends take the edge for their own server: testdata/sdks.mjs compares
// each answer, and here is what was stored.
func TestSDKs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "testdata/sdks.mjs")
	node.Env = append(os.Environ(), "EDGE="+world.edge, "SECRET="+secretKey, "PACKAGES="+packages(t))
	if output, err := node.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	want := []string{
		"click of go.dub.example/ann",
		"click of pim.example/lena",
		"lead dub_1 Sign up wait 2 by go.dub.example/ann",
		"lead dub_1 Subscription deferred 1 by nothing",
		"lead dub_2 Sign up deferred 1 by nothing",
		"lead pimms_1 Purchase deferred 1 by nothing",
		"lead pimms_1 Register async 1 by pim.example/lena",
		"sale dub_order_1",
		"sale pimms_order_1",
	}
	got := world.received.bySDKs(len(want))
	if !slices.Equal(got, want) {
		t.Errorf("stored:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// bySDKs waits for n records that the SDKs' calls make, and describes them.
func (in *inbox) bySDKs(n int) []string {
	var all []string
	for deadline := time.Now().Add(limit); len(all) < n && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
		all = in.describe()
	}
	return all
}

func (in *inbox) describe() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	var all []string
	links := map[string]string{"": "nothing"}
	for _, c := range in.clicks {
		if strings.HasPrefix(c.Url, "https://sdk.example/") {
			links[idOf(c)] = c.LinkId
			all = append(all, "click of "+c.LinkId)
		}
	}
	for _, l := range in.leads {
		if l.GetVouched() {
			all = append(all, fmt.Sprintf("lead %s %s %s %d by %s", l.ExternalId, l.EventName, l.Mode, l.Quantity,
				links[l.ClickRef]))
		}
	}
	for _, e := range in.events {
		for _, id := range []string{"dub_order_1", "pimms_order_1"} {
			if strings.Contains(string(e.Body), `"`+id+`"`) {
				all = append(all, "sale "+id)
			}
		}
	}
	slices.Sort(all)
	return all
}

// The vendors' packages for pages insert a script; given the address of /t.js they insert that, and
// the page's cookies are those that their backends read.
func TestPackagesForPages(t *testing.T) {
	v := newProfile(t)
	for name, cookie := range map[string]string{"@dub/analytics": "dub_id", "@getpimms/analytics": "pimms_id"} {
		t.Run(name, func(t *testing.T) {
			host := strings.Trim(strings.ReplaceAll(name, "/", "-"), "@") + ".example"
			v.visit(t, host, `<script type=module>
				import {inject} from "/package.js";
				inject({apiHost: "`+edgeURL+`", scriptProps: {src: "`+edgeURL+`/t.js"}, domainsConfig: {refer: "go.example"}})</script>`)
			v.handle(host+"/package.js", func(w http.ResponseWriter, r *http.Request) {
				http.ServeFile(w, r, filepath.Join(packages(t), name, "dist", "index.js"))
			})
			v.open("/?via=ann")
			c := v.beacons("link of ann at /?via=ann")[0]
			if got := v.cookie(cookie); got != idOf(c) {
				t.Errorf("cookie %s is %q, want %s", cookie, got, idOf(c))
			}
			v.open("/?" + cookie + "=aBcDeFgHiJ123456")
			v.sent(2)
			if got := v.cookie(cookie); got != "aBcDeFgHiJ123456" {
				t.Errorf("cookie %s is %q, want the one that the address has", cookie, got)
			}
			v.noErrors()
		})
	}
}

// A page that speaks Dub's protocol itself, as Dub's script does, may call every address of it and
// read each answer, refusals included.
func TestPageSpeaksDub(t *testing.T) {
	v := newVisitor(t, "dubscript.example", `<script>
		window.call = async (path, body, headers) => {
			const r = await fetch("`+edgeURL+`/track/" + path, {method: "POST", body: JSON.stringify(body),
				headers: {"Content-Type": "application/json", ...headers}});
			window.last = r.status + " " + await r.text();
		}</script>`)
	v.open("/")
	call := func(path, body, want string) {
		t.Helper()
		v.exec(`window.last = ""; call("` + path + `", ` + body + `, {Authorization: "Bearer dub_pk_1"})`)
		v.becomes(`window.last.startsWith("`+strings.ReplaceAll(want, `"`, `\"`)+`") || window.last`, "true")
	}
	call("click", `{domain: "go.dubscript.example", key: "ann", url: location.href, referrer: document.referrer}`,
		`200 {"clickId":"`)
	call("visit", `{domain: "go.dubscript.example", url: location.href, referrer: ""}`, `200 {"clickId":"`)
	call("open", `{deepLink: "https://dubscript.example/ann"}`, `200 {"clickId":"`)
	call("lead/client", `{eventName: "Sign up", customerExternalId: "Page-Lead-1"}`, `200 {"click":{"id":""}`)
	call("sale/client", `{amount: 4900, customerExternalId: "Page-Lead-1"}`, `200 {"customer":`)
	call("sale/client", `{amount: 4900}`, `400 {"error":{"code":"bad_request"`)
	v.beacons("link at /", "pageview at /", "deeplink at /ann")
	world.received.mu.Lock()
	defer world.received.mu.Unlock()
	n := 0
	for _, l := range world.received.leads {
		if l.ExternalId == "Page-Lead-1" {
			n++
			if l.GetVouched() {
				t.Errorf("a page's lead is vouched for: %v", l)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d leads, want the lead and the claim of a sale", n)
	}
	if i := slices.IndexFunc(world.received.events, func(e *schemas.StripeEvent) bool {
		return strings.Contains(string(e.Body), "Page-Lead-1")
	}); i >= 0 {
		t.Errorf("a page's sale is money: %s", world.received.events[i].Body)
	}
}
