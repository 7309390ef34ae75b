package browser

import (
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Other scripts' cookies, and none at all, cost neither the beacon nor the id.
func TestCookiesOfOthers(t *testing.T) {
	v := newProfile(t)
	for name, cookie := range played(map[string]string{
		"malformed": "tributary=%E0%A4%A", "malformed-id": "tributary_id=%", "not-json": "tributary=x",
		"wrong-shape": "tributary=%7B%7D",
		"null-link":   "tributary=%7B%22l%22%3A%5Bnull%5D%7D",
		"null":        "tributary=null", "foreign-visitor": "visitor_id=50%",
		"long-visitor": "visitor_id=" + strings.Repeat("x", 300),
	}) {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".cookies.example", snippet)
			v.before("document.cookie = '" + cookie + "'")
			v.open("/?via=ann")
			v.open("/next")
			got := v.beacons("link of ann at /?via=ann", "pageview at /next")
			v.want("tributary.clickId", idOf(got[0]))
			if got[0].VisitorId != got[1].VisitorId || len(got[0].VisitorId) != 36 {
				t.Errorf("visitors %q and %q", got[0].VisitorId, got[1].VisitorId)
			}
			v.want("document.cookie.includes('"+cookie+"')", "true")
			v.noErrors()
		})
	}
}

const (
	noCookies = `{const refuse = () => { throw new DOMException("", "SecurityError") };
		Object.defineProperty(Document.prototype, "cookie", {get: refuse, set: refuse})}`
	noStorage = `Object.defineProperty(window, "localStorage", {get() { throw new DOMException("", "SecurityError") }})`
	// Firefox gives a storage whose file is broken, and fails at each use of it.
	brokenStorage = `{const fail = () => { throw new DOMException("", "NS_ERROR_FILE_CORRUPTED") };
		const storage = new Proxy({}, {get: fail, set: fail, has: fail, deleteProperty: fail});
		Object.defineProperty(window, "localStorage", {value: storage})}`
)

func TestBlockedStorage(t *testing.T) {
	v := newProfile(t)
	for _, blocked := range playedOf([]struct {
		name, script string
		remembers    bool
	}{
		{"cookies", noCookies, true},
		{"silent-cookies", `Object.defineProperty(Document.prototype, "cookie", {get: () => "", set() {}})`, true},
		{"storage", noStorage, true},
		{"broken-storage", brokenStorage, true},
		{"broken-storage-no-cookies", noCookies + ";" + brokenStorage, false},
		// A site may keep items under these names.
		{"own-items", `localStorage.trim = localStorage.link = localStorage.search = "1"`, true},
		{"null-storage", `Object.defineProperty(window, "localStorage", {value: null})`, true},
		{"full-storage", noCookies +
			`; Storage.prototype.setItem = () => { throw new DOMException("", "QuotaExceededError") }`, true},
		{"both", noCookies + ";" + noStorage, false},
	}) {
		t.Run(blocked.name, func(t *testing.T) {
			v.visit(t, blocked.name+".blocked.example", snippet)
			v.before(blocked.script)
			v.open("/?via=ann")
			got := v.beacons("link of ann at /?via=ann")
			v.want("tributary.clickId", idOf(got[0]))
			v.open("/next")
			want := "undefined"
			if blocked.remembers {
				want = idOf(got[0])
			}
			v.want("tributary.clickId", want)
			v.beacons("link of ann at /?via=ann", "pageview at /next")
			v.noErrors()
		})
	}
}

// A frame without an origin of its own may read neither cookies nor storage.
func TestSandboxedFrame(t *testing.T) {
	v := newVisitor(t, "sandbox.example", `<iframe sandbox="allow-scripts" src="/frame?via=ann"></iframe>`)
	v.serve("sandbox.example/frame", snippet)
	v.open("/")
	v.beacons("link of ann at /frame?via=ann")
	v.noErrors()
}

func TestSecureCookies(t *testing.T) {
	v := newVisitor(t, "secure.example", strings.ReplaceAll(snippet, "http:", "https:"))
	v.open("https://secure.example/?via=ann")
	got, err := chromedp.Call(v.tab, network.GetCookies, network.GetCookiesParams{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Cookies) != 4 {
		t.Errorf("%d cookies, want tributary, tributary_id, pimms_id and dub_id", len(got.Cookies))
	}
	for _, c := range got.Cookies {
		if !c.Secure || c.SameSite != network.CookieSameSiteLax || c.Domain != ".secure.example" || c.Path != "/" {
			t.Errorf("%+v", c)
		}
	}
	v.beacons("link of ann at /?via=ann")
	v.noErrors()
}

// A site may pass script and beacons through its own host, and say how long visitors are
// remembered.
func TestProxyOfTheSite(t *testing.T) {
	const script = `<script defer src="/proxy/t.js" data-api-host="http://proxied.example/proxy" data-cookie-days=30></script>`
	v := newVisitor(t, "proxied.example", script)
	edge, err := url.Parse(world.edge)
	if err != nil {
		t.Fatal(err)
	}
	proxy := http.StripPrefix("/proxy", httputil.NewSingleHostReverseProxy(edge))
	for _, path := range []string{"/t.js", "/v1/click"} {
		v.handle("proxied.example/proxy"+path, proxy.ServeHTTP)
	}
	v.open("/?via=ann")
	v.beacons("link of ann at /?via=ann")
	got, err := chromedp.Call(v.tab, network.GetCookies, network.GetCookiesParams{})
	if err != nil {
		t.Fatal(err)
	}
	now := float64(time.Now().Unix()) // a loaded machine may have taken minutes since the cookie was set
	for _, c := range got.Cookies {
		if days := (c.Expires - now) / 86400; days < 29.9 || days > 30.1 {
			t.Errorf("cookie %s ends in %.2f days, want 30", c.Name, days)
		}
	}
	if len(got.Cookies) == 0 {
		t.Error("no cookies")
	}
	v.noErrors()
}

// Where fetch is missing or fails, the beacon goes another way.
func TestTransports(t *testing.T) {
	v := newProfile(t)
	for name, script := range played(map[string]string{
		"beacon":     `delete window.fetch`,
		"pixel":      `delete window.fetch; Navigator.prototype.sendBeacon = undefined`,
		"refused":    `window.fetch = () => Promise.reject(new TypeError("blocked"))`,
		"full-queue": `delete window.fetch; Navigator.prototype.sendBeacon = () => false`,
	}) {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".transport.example", snippet)
			v.before(script)
			v.open("/?via=ann&utm_source=x%20y")
			got := v.beacons("link of ann at /?via=ann&utm_source=x%20y")
			v.want("tributary.clickId", idOf(got[0]))
			if got[0].VisitorId == "" {
				t.Error("no visitor")
			}
			v.noErrors()
		})
	}
}

// What the edge has no room for, and what happens without a network, is sent later.
func TestKeptForLater(t *testing.T) {
	v := newProfile(t)
	t.Run("busy edge", func(t *testing.T) {
		v.visit(t, "busy.example", snippet)
		v.before(`if (location.pathname == "/busy") window.fetch = () => Promise.resolve({status: 503})`)
		v.open("/busy?via=ann")
		v.sent(0)
		id := v.eval("tributary.clickId")
		v.open("/next")
		got := v.sent(2)
		if i := indexOf(got, "link of ann at /busy?via=ann"); i < 0 || idOf(got[i]) != id {
			t.Errorf("%v", lines(got))
		}
		v.open("/last")
		v.sent(3)
		v.noErrors()
	})
	t.Run("offline", func(t *testing.T) {
		v.visit(t, "offline.example", snippet)
		v.open("/?via=ann")
		v.sent(1)
		v.offline(true)
		v.exec(`history.pushState({}, "", "/a")`)
		v.exec(`history.pushState({}, "", "/b?via=bob")`)
		v.sent(1)
		v.becomes("(localStorage.tributary_queue || '').split('\\n').length", "3")
		v.offline(false)
		got := v.sent(3)
		if indexOf(got, "pageview at /a") < 0 || indexOf(got, "link of bob at /b?via=bob") < 0 {
			t.Errorf("%v", lines(got))
		}
		v.want("localStorage.tributary_queue", "undefined")
		v.noErrors()
	})
}

// A strict policy names the edge's host and nothing else.
func TestContentSecurityPolicy(t *testing.T) {
	v := newProfile(t)
	for _, policy := range []struct{ name, header string }{
		{"strict", "default-src 'none'; script-src " + edgeURL + "; connect-src " + edgeURL +
			"; require-trusted-types-for 'script'; trusted-types 'none'"},
		{"images-only", "default-src 'none'; script-src " + edgeURL + "; img-src " + edgeURL},
	} {
		t.Run(policy.name, func(t *testing.T) {
			v.visit(t, policy.name+".csp.example", "")
			v.handle(v.host, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Content-Security-Policy", policy.header)
				_, _ = io.WriteString(w, snippet+`<a href="http://buy.stripe.com/x">buy</a>`)
			})
			v.open("/?via=ann")
			got := v.beacons("link of ann at /?via=ann")
			v.want("document.links[0].search", "?client_reference_id="+idOf(got[0]))
			if policy.name == "strict" {
				v.noErrors()
			}
		})
	}
}

func TestNobodyIsCounted(t *testing.T) {
	v := newProfile(t)
	for name, script := range map[string]string{
		"automation": `Object.defineProperty(Navigator.prototype, "webdriver", {get: () => true})`,
		"opted-out":  `localStorage.tributary_ignore = 1`,
	} {
		t.Run(name, func(t *testing.T) {
			v.visit(t, name+".example", snippet)
			v.before(script)
			v.open("/?via=ann")
			v.exec(`tributary("consent", "granted")`)
			v.sent(0)
			v.want("document.cookie", "")
			v.want("window.pimms_id", "undefined")
			v.noErrors()
		})
	}
	t.Run("localhost", func(t *testing.T) {
		v.visit(t, "localhost", snippet)
		v.open("/?via=ann")
		v.sent(0)
		v.serve("localhost", snippetWith("data-localhost"))
		v.open("/?via=ann")
		v.beacons("link of ann at /?via=ann")
		v.noErrors()
	})
}

// Sites that are called like a machine's own address are sites.
func TestSitesLikeLocalhost(t *testing.T) {
	v := newProfile(t)
	for _, host := range []string{"127things.example", "localhost.example", "203.0.113.127"} {
		t.Run(host, func(t *testing.T) {
			v.visit(t, host, snippet)
			v.open("/?via=ann")
			v.open("/next")
			got := v.beacons("link of ann at /?via=ann", "pageview at /next")
			if got[0].VisitorId == "" || got[0].VisitorId != got[1].VisitorId {
				t.Errorf("visitors %q and %q", got[0].VisitorId, got[1].VisitorId)
			}
			v.noErrors()
		})
	}
}

func TestLoadedTwice(t *testing.T) {
	v := newVisitor(t, "twice.example", snippet+snippet)
	v.open("/?via=ann")
	v.beacons("link of ann at /?via=ann")
	v.noErrors()
}
