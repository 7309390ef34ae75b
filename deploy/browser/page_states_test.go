package browser

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"

	"tributary/deploy/race"
	"tributary/processor/access"
	store "tributary/processor/clickhouse"
	"tributary/processor/dashboard"
	"tributary/processor/workspace"
	"tributary/sql/sqltest"
)

// One sale is a workspace, too; test mode is in none of its figures, and is shown apart when asked
// for.
func TestPageOfOneSale(t *testing.T) {
	v := newVisitor(t, "one.example", "")
	m := monthOf(t, dashboardOf(t, v))
	m.sell("ann", 3, 10000)
	m.livemode = false
	m.sell("tester", 4, 777700)
	m.load()
	v.open("https://" + v.host + "/?range=last_month")
	v.shows(tile("net"), "$100.00")
	v.answered()
	v.want(tile("sales"), "1")
	v.want(`document.querySelectorAll("table.sales tbody tr").length`, "1")
	v.want(`document.body.innerText.includes("7,777")`, "false")
	v.want(`[...document.querySelectorAll(".search, .more")].filter(e => e.checkVisibility()).length`, "0")
	v.shows(`document.querySelector("#test").innerText.includes("has one entry, which is in no figure here.")`, "true")
	v.press("#test a", "Show them apart")
	v.shows(tile("net"), "$7,777.00")
	v.answered()
	v.shows(`document.querySelector("#title").textContent`, "Overview (Stripe’s test mode)")
	v.want(`document.querySelectorAll("table.sales tbody tr").length`, "1")
	v.shows(`document.querySelector("#test a").textContent`, "Show live figures")
	if race.Enabled { // make proof also goes back, to another currency, and to a workspace that is not there
		v.noErrors()
		return
	}
	v.press("#test a", "Show live figures")
	v.shows(tile("net"), "$100.00")
	// A figure that lacks money says so, in whatever section and currency.
	v.choose("#currency", "chf")
	const lacks = `!document.querySelector("#unshown").hidden && document.querySelector("#unshown").textContent`
	v.shows(lacks, "No exchange rate to CHF."+
		"1 of the sales, refunds and disputes of this time are in no figure in this currency.")
	v.exec(`history.back()`)
	v.shows(lacks, "false")
	v.noErrors()
	// Of a workspace that is not there, the page says so once, and shows the way to those that are.
	v.open("https://" + v.host + "/?workspace=nope&section=sales")
	v.shows(`document.querySelector("#error").textContent + " " + document.querySelector("#blocks").checkVisibility()`,
		"There is no workspace nope.You may see default studio berlin false")
	v.press("#error a", "default")
	v.shows(tile("net")+` && document.querySelector("#error").hidden`, "true")
}

// The health section says what the processors and the last checks say, with its time, and of what
// nobody has said that it is not known. What is wrong is on the overview, too.
func TestPageHealth(t *testing.T) {
	v := newVisitor(t, "health.example", "")
	dsn := dashboardOf(t, v)
	m := monthOf(t, dsn)
	m.sell("ann", 3, 10000)
	m.load()
	pairs := `Object.fromEntries([...document.querySelectorAll("#blocks > section")].find(s =>
		s.querySelector("h2").textContent === "Processors and checks").querySelectorAll("dt").entries().map(([, e]) =>
		[e.textContent, e.nextElementSibling.innerText]))`
	expect := func(path string, want map[string]string) {
		t.Helper()
		v.open(path)
		v.answered()
		for name, text := range want {
			if got := v.eval(fmt.Sprintf("(%s)[%q]", pairs, name)); !strings.HasPrefix(got, text) {
				t.Errorf("%s is %q, want %q", name, got, text)
			}
		}
	}
	expect("https://health.example/?section=health", map[string]string{
		"Waiting in Kafka": "not known: no processor has reported it", "Audit": "not known", "Stripe’s balance": "not known",
		"Backfill": "not known",
	})
	now := time.Now().UTC()
	fresh := now.Add(time.Hour) // a lag is known for two minutes, and this may take longer
	if err := m.store.InsertStatus(t.Context(), []store.StatusRow{
		{What: "lag", Subject: "tributary-processor clicks.v1", At: fresh, Number: 7},
		{What: "lag", Subject: "tributary-processor stripe.v1", At: fresh},
		{What: "audit", At: now.Add(-time.Hour), Verdict: "findings", Number: 2, Detail: "12 records handled again"},
		{What: "reconcile", Subject: "live acct_1", At: now.Add(-49 * time.Hour), Verdict: "good", Detail: "Equal."},
		{What: "backfill", Subject: "live", At: now, Verdict: "under_way", Number: 4, Detail: "4 of 13 lists"},
	}); err != nil {
		t.Fatal(err)
	}
	serveDashboard(t, v, "health2.example", dsn) // another, which has no answer in memory
	expect("https://health2.example/?section=health", map[string]string{
		"Waiting in Kafka": "7 records of clicks.v1", "Audit": "2 findings, ", "Stripe’s balance, live acct_1": "good, ",
		"Backfill, live": "under way, or interrupted, ",
	})
	v.open("https://health2.example/?range=last_month")
	v.answered()
	v.want(`document.querySelector(".notes").innerText.includes("7 records wait in Kafka. "+`+
		`"New ones are in no figure yet; after a start, the last ones are read again.")`, "true")
	v.want(`document.querySelector(".notes").innerText.includes("2 findings of the last audit.")`, "true")

	if race.Enabled { // make proof also plays a processor that has fallen silent
		v.noErrors()
		return
	}
	if err := m.store.Exec(t.Context(), "TRUNCATE TABLE pipeline_status"); err != nil {
		t.Fatal(err)
	}
	if err := m.store.InsertStatus(t.Context(), []store.StatusRow{
		{What: "lag", Subject: "tributary-processor clicks.v1", At: now.Add(-time.Hour)},
		{What: "audit", At: now, Verdict: "good", Detail: "12 records handled again"},
	}); err != nil {
		t.Fatal(err)
	}
	serveDashboard(t, v, "health3.example", dsn)
	expect("https://health3.example/?section=health", map[string]string{
		"Waiting in Kafka": "not known: no processor has reported it since ", "Audit": "good, ",
	})
	v.open("https://health3.example/?range=last_month")
	v.answered()
	v.want(`document.querySelector(".notes").innerText.includes("No processor has reported")`, "true")
	v.noErrors()
}

// loginOf serves the page behind a login: olga owns the workspace.
func loginOf(t *testing.T, v *visitor, dsn string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("a long password"), 10)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users.json")
	users := fmt.Sprintf(`[{"name":"olga","role":"owner","workspaces":["default"],"password_hash":%q}]`, hash)
	if err := os.WriteFile(path, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	known := func(id string) bool { return id == "default" }
	list, err := access.ReadUsers(path, known)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	guard, err := access.New(access.Config{
		Users: list, Public: &url.URL{Scheme: "https", Host: v.host}, Key: "a key that signs in tests",
		SessionLife: time.Hour, Known: known, Log: quiet, Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := dashboard.New(dashboard.Config{DSN: sqltest.Patient(dsn), Guard: guard, Log: quiet,
		Workspaces: func() []workspace.Region {
			return []workspace.Region{{Workspace: "default", Timezone: "UTC", Currency: "usd"}}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	v.handle(v.host, d.ServeHTTP)
}

func (v *visitor) logIn() {
	v.t.Helper()
	v.shows(`location.pathname`, "/login")
	v.navigates(`document.querySelector("[name=name]").value = "olga";
		document.querySelector("[name=password]").value = "a long password";
		document.querySelector("form").requestSubmit()`)
}

// A session that ends while the page is open leads to the login, and from there back to the same
// view. An affiliate's link shows that affiliate and nobody else, whatever is asked for.
func TestPageLogin(t *testing.T) {
	v := newVisitor(t, "login.example", "")
	dsn := dashboardOf(t, v)
	m := monthOf(t, dsn)
	m.sell("ann", 3, 10000)
	m.sell("bert", 4, 777700)
	m.load()
	loginOf(t, v, dsn)
	v.open("https://" + v.host + "/?range=last_month&is.affiliate=ann&section=affiliates")
	v.logIn()
	v.shows(tile("net"), "$100.00")
	v.answered()
	v.want(`document.querySelector("#name").textContent`, "olga")
	v.press("section button", "Make a link for this affiliate")
	v.shows(`document.querySelector("output input")?.value.startsWith("https://login.example/view/")`, "true")
	link := v.eval(`document.querySelector("output input").value`)

	v.forgetCookies(t) // what the end of a session is to the page
	v.shows(`location.pathname`, "/login")
	v.logIn()
	v.shows(`location.pathname + new URLSearchParams(location.search).get("is.affiliate")`, "/ann")
	v.shows(tile("net"), "$100.00")
	v.answered()

	v.navigates(`document.querySelector("#user button").click()`)
	v.shows(`location.pathname`, "/login")
	v.open(link)
	v.shows(`location.pathname + document.querySelector("h1").textContent`, "/ann")
	v.want(`document.body.innerText.includes("100.00") && !document.body.innerText.includes("bert")`, "true")
	for _, path := range []string{
		"/?is.affiliate=bert&section=sales", "/explain?object=pi_4", "/api/session", "/api/query", "/api/views", "/mcp",
		"/api/query/affiliate_sales?affiliate=bert&from=2020-01-01&to=2100-01-01",
		"/api/query/affiliate_sales?affiliate=ann&affiliate=bert&from=2020-01-01&to=2100-01-01",
		"/api/query/breakdown?from=2020-01-01&to=2100-01-01", "/api/query/story_of_a_sale?sale=pi_4",
		"/api/query/live_events",
		"/api/query/statements?month=2026-01-01&affiliate=bert", "/api/query/pipeline_status", "/api/query/dead_letters",
	} {
		v.exec(fmt.Sprintf(`window.got = undefined; fetch(%q).then(async (r) => { window.got = r.status + await r.text(); })`,
			path))
		v.shows(`window.got !== undefined`, "true")
		if got := v.eval(`window.got`); strings.Contains(got, "bert") && !strings.Contains(got, `"error"`) ||
			strings.Contains(got, "7777") {
			t.Errorf("%s shows another affiliate: %s", path, got)
		}
	}
}
