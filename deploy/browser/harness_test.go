package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/race"
	"tributary/ingest/clicks"
	"tributary/ingest/publish"
	"tributary/schemas"
)

// limit is longer than a loaded machine takes for anything here.
const limit = 3 * time.Minute

// edgeURL is the edge as the browser knows it.
const edgeURL = "http://edge.example"

// secretKey is a backend's.
const secretKey = "sk_browser_0123456789"

// snippet is what a site owner pastes.
const snippet = `<script defer src="` + edgeURL + `/t.js" data-key="pk_test"></script>`

// snippetWith is the snippet with more attributes.
func snippetWith(attributes string) string {
	return strings.Replace(snippet, "<script", "<script "+attributes, 1)
}

// world is what all tests share.
var world struct {
	browser  context.Context // of chromedp
	edge     string          // address of the edge for programs that are no browser
	pages    *web
	received *inbox
}

// TestMain starts what all tests share: Kafka, the edge, the web server of all sites, and the
// browser. It ends as chdbtest.Main does.
func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		status = 1
	}
	syscall.Exit(status)
}

func run(m *testing.M) (int, error) {
	chromium, err := findChromium()
	if err != nil {
		return 1, err
	}
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, schemas.TopicClicks, schemas.TopicLeads,
		schemas.TopicStripe))
	if err != nil {
		return 1, fmt.Errorf("start Kafka: %w", err)
	}
	defer kafka.Close()
	edge, stop, err := startEdge(kafka.ListenAddrs())
	if err != nil {
		return 1, err
	}
	defer stop()
	world.edge = "http://" + edge
	if world.received, err = receive(kafka.ListenAddrs()); err != nil {
		return 1, err
	}
	defer world.received.reader.Close()
	world.pages = &web{handlers: make(map[string]http.HandlerFunc), owners: make(map[string]string)}
	plain, secure := httptest.NewServer(world.pages), httptest.NewUnstartedServer(world.pages)
	defer plain.Close()
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()

	secureEdge := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: edge}))
	secureEdge.Config.ErrorLog = secure.Config.ErrorLog
	secureEdge.StartTLS()
	defer secureEdge.Close()

	rules := "MAP edge.example:80 " + edge + ", MAP edge.example:443 " + secureEdge.Listener.Addr().String() +
		", MAP *:80 " + plain.Listener.Addr().String() + ", MAP *:443 " + secure.Listener.Addr().String()
	allocator, cancel := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(chromium), chromedp.Headless, chromedp.NoSandbox, chromedp.NoFirstRun,
		chromedp.Flag("disable-blink-features", "AutomationControlled"), // navigator.webdriver would silence the script
		chromedp.Flag("host-resolver-rules", rules),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("disable-popup-blocking", true),
		chromedp.Flag("disable-background-timer-throttling", true), // several tabs at once, one in the foreground
		chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-features", "HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,LocalNetworkAccessChecks,"+
			// Processes that are started in advance, for each profile, and mostly never used.
			"PreloadTopChromeWebUI,SpareRendererForSitePerProcess,"+
			// Two pages of the browser's own in each window, for suggestions under the address bar.
			"WebUIOmniboxPopup,WebUIOmniboxAimPopup"),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-gpu", true),
	)
	defer cancel()
	browser, cancel := chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(browser, chromedp.Navigate("about:blank")); err != nil {
		return 1, fmt.Errorf("start %s: %w", chromium, err)
	}
	world.browser = browser
	return m.Run(), nil
}

func findChromium() (string, error) {
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium found (hint: apt-get install chromium)")
}

func startEdge(seeds []string) (addr string, stop func(), err error) {
	quiet := slog.New(slog.DiscardHandler)
	pc := publish.Default()
	pc.Seeds, pc.Logger, pc.Timeout, pc.StallAfter = seeds, quiet, limit, limit
	publisher, err := publish.New(pc)
	if err != nil {
		return "", nil, err
	}
	cfg := clicks.Default()
	cfg.Logger, cfg.Registry, cfg.ReadTimeout, cfg.WriteTimeout = quiet, prometheus.NewRegistry(), limit, limit
	cfg.Workspaces = clicks.NewDirectory([]schemas.Workspace{{ID: "default", SecretKeys: []string{secretKey}}})
	server, err := clicks.New(cfg, publisher)
	if err != nil {
		return "", nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() { _ = server.Serve(ln) }()
	return ln.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		_ = publisher.Close(ctx)
	}, nil
}

// inbox holds every record that is in Kafka, clicks in the order of receipt.
type inbox struct {
	reader *kgo.Client
	mu     sync.Mutex // guards what follows
	clicks []*schemas.Click
	leads  []*schemas.Lead
	events []*schemas.StripeEvent
}

func receive(seeds []string) (*inbox, error) {
	reader, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics(schemas.TopicClicks, schemas.TopicLeads,
		schemas.TopicStripe),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(20*time.Millisecond))
	if err != nil {
		return nil, err
	}
	in := &inbox{reader: reader}
	go func() {
		for {
			fetches := reader.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			in.mu.Lock()
			fetches.EachRecord(func(r *kgo.Record) {
				in.take(r)
			})
			slices.SortStableFunc(in.clicks, func(a, b *schemas.Click) int { return int(a.ReceivedAt - b.ReceivedAt) })
			in.mu.Unlock()
		}
	}()
	return in, nil
}

func (in *inbox) take(r *kgo.Record) {
	switch r.Topic {
	case schemas.TopicClicks:
		if c, err := schemas.DecodeClick(r); err == nil {
			in.clicks = append(in.clicks, c)
		}
	case schemas.TopicLeads:
		if l, err := schemas.DecodeLead(r); err == nil {
			in.leads = append(in.leads, l)
		}
	case schemas.TopicStripe:
		if e, err := schemas.DecodeStripe(r); err == nil {
			in.events = append(in.events, e)
		}
	}
}

// of returns what was sent from pages of the host and its subdomains.
func (in *inbox) of(host string) []*schemas.Click {
	in.mu.Lock()
	defer in.mu.Unlock()
	var of []*schemas.Click
	for _, c := range in.clicks {
		_, rest, _ := strings.Cut(c.Url, "://")
		name, _, _ := strings.Cut(rest, "/")
		if name == host || strings.HasSuffix(name, "."+host) {
			of = append(of, c)
		}
	}
	return of
}

// web serves the pages of all sites.
type web struct {
	mu       sync.Mutex // guards what follows
	handlers map[string]http.HandlerFunc
	owners   map[string]string // of each host: the test that has it
}

// claim gives a host to a test, and reports whether no other test has it.
func (w *web) claim(host, test string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if owner, taken := w.owners[host]; taken {
		return owner == test // which is run once more
	}
	w.owners[host] = test
	return true
}

func (w *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	h := w.handlers[r.Host+r.URL.Path]
	if h == nil {
		h = w.handlers[r.Host]
	}
	w.mu.Unlock()
	if h == nil {
		http.NotFound(rw, r)
		return
	}
	h(rw, r)
}

// handler returns what serves a host.
func (w *web) handler(host string) http.HandlerFunc {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.handlers[host]
}

// visitor is a browser profile in which one tab is open.
type visitor struct {
	t       *testing.T
	host    string // of the test's site
	tab     context.Context
	scripts []page.ScriptIdentifier // that run before those of each page

	mu     sync.Mutex // guards what follows
	errors []string   // uncaught exceptions and console errors
}

// newVisitor is a visitor in a new profile. host, which no other test uses, is the site whose clicks
// the test asks for; all its pages show html.
func newVisitor(t *testing.T, host, html string) *visitor {
	t.Helper()
	v := newProfile(t)
	v.visit(t, host, html)
	return v
}

// newProfile opens a tab in a new profile, and lets the test run beside others. The cases of a test
// share it one after another, each by its own visit: a profile and its window cost more than what
// most cases do in them.
func newProfile(t *testing.T) *visitor {
	t.Helper()
	t.Parallel()
	profile, cancel := chromedp.NewContext(world.browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	v := &visitor{t: t}
	v.start(profile)
	return v
}

// visit lets the profile begin with a site as if it were new: without cookies, scripts and errors of
// the case before.
func (v *visitor) visit(t *testing.T, host, html string) {
	t.Helper()
	if !world.pages.claim(host, t.Name()) {
		t.Fatalf("another test has the site %s", host)
	}
	again := v.host != ""
	v.t, v.host = t, host
	v.serve(host, html)
	if !again {
		return
	}
	for _, id := range v.scripts {
		if _, err := chromedp.Call(v.tab, page.RemoveScriptToEvaluateOnNewDocument,
			page.RemoveScriptToEvaluateOnNewDocumentParams{Identifier: id}); err != nil {
			t.Fatal(err)
		}
	}
	v.scripts = nil
	v.do(chromedp.Navigate("about:blank")) // the page before may still set a cookie
	v.forgetCookies(t)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.errors = nil
}

// newTab opens another tab in the same profile.
func (v *visitor) newTab() *visitor {
	v.t.Helper()
	tab, cancel := chromedp.NewContext(v.tab)
	v.t.Cleanup(cancel)
	other := &visitor{t: v.t, host: v.host}
	other.start(tab)
	return other
}

// start opens the tab and begins to collect its errors.
func (v *visitor) start(tab context.Context) {
	v.t.Helper()
	if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil {
		v.t.Fatal(err)
	}
	tab, cancel := context.WithTimeout(tab, 4*limit)
	v.t.Cleanup(cancel)
	v.tab = tab
	messages := chromedp.Console(tab)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == "error" {
				v.mu.Lock()
				v.errors = append(v.errors, m.String())
				v.mu.Unlock()
			}
		}
	}()
}

// played returns the cases of a test by name, playedOf by number: all of them, and every third under
// the race detector, which finds no more in a browser's page.
func played[C any](cases map[string]C) iter.Seq2[string, C] {
	return func(yield func(string, C) bool) {
		for _, name := range playedOf(slices.Sorted(maps.Keys(cases))) {
			if !yield(name, cases[name]) {
				return
			}
		}
	}
}

func playedOf[C any](cases []C) iter.Seq2[int, C] {
	return func(yield func(int, C) bool) {
		for i, c := range cases {
			if race.Enabled && i%3 != 0 {
				continue
			}
			if !yield(i, c) {
				return
			}
		}
	}
}

func (v *visitor) do(steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	if err := chromedp.Do(v.tab, steps...); err != nil {
		v.t.Fatal(err)
	}
}

// serve shows html on a path of a host ("shop.example/pricing"), or on all its paths
// ("shop.example").
func (v *visitor) serve(where, html string) {
	v.handle(where, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>x</title>"+html)
	})
}

func (v *visitor) handle(where string, h http.HandlerFunc) {
	world.pages.mu.Lock()
	defer world.pages.mu.Unlock()
	world.pages.handlers[where] = h
}

// open goes to an address as a visitor does who typed it or followed a link from a mail; "/" is the
// test's site.
func (v *visitor) open(address string) {
	v.t.Helper()
	v.do(chromedp.Navigate(v.address(address)))
}

// follow goes to an address by a link on the page.
func (v *visitor) follow(address string) {
	v.t.Helper()
	v.navigates(fmt.Sprintf(`{const a = document.createElement("a"); a.href = %q; document.body.append(a); a.click()}`,
		v.address(address)))
}

// navigates runs a statement and waits until the page that it leads to is loaded.
func (v *visitor) navigates(statement string) {
	v.t.Helper()
	_, err := chromedp.Run(v.tab, chromedp.WaitEvent(page.LoadEventFired,
		func(page.EventLoadEventFired) bool { return true },
		chromedp.Evaluate[any](statement)))
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *visitor) address(address string) string {
	if strings.HasPrefix(address, "/") {
		return "http://" + v.host + address
	}
	return address
}

// before runs script in each page before any of the page's own.
func (v *visitor) before(script string) {
	v.t.Helper()
	added, err := chromedp.Call(v.tab, page.AddScriptToEvaluateOnNewDocument,
		page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	if err != nil {
		v.t.Fatal(err)
	}
	v.scripts = append(v.scripts, added.Identifier)
}

// eval returns the value of a JavaScript expression as text; "undefined" for undefined.
func (v *visitor) eval(expression string) string {
	v.t.Helper()
	text, err := chromedp.Run(v.tab, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		v.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// exec runs statements.
func (v *visitor) exec(statements string) {
	v.t.Helper()
	v.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := chromedp.Evaluate[any]("{"+statements+"}; 0")(ctx, tab)
		return err
	}))
}

// want compares the value of a JavaScript expression.
func (v *visitor) want(expression, want string) {
	v.t.Helper()
	if got := v.eval(expression); got != want {
		v.t.Errorf("%s is %s, want %s", expression, got, want)
	}
}

// becomes waits until the expression has the value.
func (v *visitor) becomes(expression, want string) {
	v.t.Helper()
	got := ""
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = v.eval(expression); got == want {
			return
		}
	}
	v.t.Fatalf("%s is %s, want %s", expression, got, want)
}

// cookie returns the value of a cookie that the page can read.
func (v *visitor) cookie(name string) string {
	v.t.Helper()
	for _, c := range strings.Split(v.eval("document.cookie"), "; ") {
		if value, found := strings.CutPrefix(c, name+"="); found {
			return value
		}
	}
	return ""
}

// forgetCookies removes all cookies of the profile, those that the page cannot read among them.
func (v *visitor) forgetCookies(t *testing.T) {
	t.Helper()
	if _, err := chromedp.Call(v.tab, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
}

// sent waits until n beacons of the site are in Kafka, and a little for one too many.
func (v *visitor) sent(n int) []*schemas.Click {
	v.t.Helper()
	for deadline := time.Now().Add(limit); len(world.received.of(v.host)) < n && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(150 * time.Millisecond)
	got := world.received.of(v.host)
	if len(got) != n {
		v.t.Fatalf("%d beacons, want %d:\n%s", len(got), n, strings.Join(lines(got), "\n"))
	}
	return got
}

// beacons compares the beacons of the site: trigger, affiliate and path of each. It returns them in
// the order of want: a page's beacon may come behind that of the next page.
func (v *visitor) beacons(want ...string) []*schemas.Click {
	v.t.Helper()
	got := v.sent(len(want))
	ordered, rest := make([]*schemas.Click, 0, len(got)), slices.Clone(got)
	for _, line := range want {
		i := indexOf(rest, line)
		if i < 0 {
			v.t.Fatalf("beacons:\n%s\nwant:\n%s", strings.Join(lines(got), "\n"), strings.Join(want, "\n"))
		}
		ordered, rest = append(ordered, rest[i]), slices.Delete(rest, i, i+1)
	}
	return ordered
}

func lines(clicks []*schemas.Click) []string {
	var text []string
	for _, c := range clicks {
		_, rest, _ := strings.Cut(c.Url, "://")
		_, path, _ := strings.Cut(rest, "/")
		line := c.Trigger
		if c.AffiliateId != "" {
			line += " of " + c.AffiliateId
		}
		text = append(text, line+" at /"+path)
	}
	return text
}

// idOf returns the click's id as text.
func idOf(c *schemas.Click) string {
	if c.ForeignId != "" {
		return c.ForeignId
	}
	var id schemas.ClickID
	copy(id[:], c.ClickId)
	return id.String()
}

// noErrors fails the test if a page reported an error. On a slow machine these are none: 429, since
// the questions of a page that was left are still being answered, and 503 and 504, since a question
// may take only so long. The page asks again by itself.
func (v *visitor) noErrors() {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, text := range v.errors {
		if busy.MatchString(text) {
			continue
		}
		v.t.Errorf("the console says: %s", text)
	}
}

var busy = regexp.MustCompile("the server responded with a status of (429|503|504)")

// indexOf returns the place of a beacon by its line, -1 if it is not there.
func indexOf(clicks []*schemas.Click, line string) int { return slices.Index(lines(clicks), line) }

// offline lets the tab know that there is no network, or that there is one again.
func (v *visitor) offline(off bool) {
	v.t.Helper()
	if _, err := chromedp.Call(v.tab, network.OverrideNetworkState,
		network.OverrideNetworkStateParams{Offline: off}); err != nil {
		v.t.Fatal(err)
	}
}
