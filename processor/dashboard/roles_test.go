package dashboard

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/access"
	"tributary/processor/query"
	"tributary/processor/workspace"
	"tributary/sql"
)

// tokens of the users below, as bearer tokens are given.
const (
	ownerToken     = "trib_owner"
	analystToken   = "trib_analyst"
	affiliateToken = "trib_affiliate"
	everyToken     = "trib_every"
	strayToken     = "trib_stray"
)

// behindLogin is a dashboard with a login, of the workspaces acme and bolt.
func behindLogin(t *testing.T, dsn string) *Dashboard {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.json")
	hash := func(token string) string { return `"token_hashes":["` + access.TokenHash(token) + `"]}` }
	users := `[{"name":"olga","role":"owner","workspaces":["acme"],` + hash(ownerToken) + `,
		{"name":"anton","role":"analyst","workspaces":["acme"],` + hash(analystToken) + `,
		{"name":"anna","role":"affiliate","affiliate":"anna","workspaces":["acme"],` + hash(affiliateToken) + `,
		{"name":"every","role":"analyst","workspaces":["*"],` + hash(everyToken) + `,
		{"name":"stray","role":"owner","workspaces":["bolt"],` + hash(strayToken) + `]`
	if err := os.WriteFile(path, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	regions := []workspace.Region{
		{Workspace: "acme", Timezone: "Europe/Paris", Currency: "eur"},
		{Workspace: "bolt", Timezone: "UTC", Currency: "usd"},
	}
	known := func(id string) bool { return id == "acme" || id == "bolt" }
	list, err := access.ReadUsers(path, known)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := access.New(
		access.Config{Users: list, Public: &url.URL{Scheme: "http", Host: "127.0.0.1:8090"}, Key: "a key that signs in tests",
			SessionLife: time.Hour, Known: known, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()},
	)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, Config{DSN: dsn, Guard: guard, Workspaces: func() []workspace.Region { return regions }}, time.Now)
}

// as sends a request with a bearer token, or with a cookie where the token holds one.
func as(d http.Handler, token, method, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8090"+target, strings.NewReader(body))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	switch {
	case strings.Contains(token, "="):
		r.Header.Set("Cookie", token)
	case token != "":
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// viewOf returns the cookie that a link for an affiliate sets, which olga makes.
func viewOf(t *testing.T, d http.Handler, affiliate string) string {
	t.Helper()
	made := as(d, ownerToken, "POST", "/api/views", "affiliate="+affiliate+"&days=1")
	var link struct{ URL string }
	if err := json.Unmarshal(made.Body.Bytes(), &link); err != nil || made.Code != 200 {
		t.Fatalf("%d %s", made.Code, made.Body)
	}
	opened := as(d, "", "GET", strings.TrimPrefix(link.URL, "http://127.0.0.1:8090"), "")
	for _, c := range opened.Result().Cookies() {
		if c.Name == "tributary_view" && opened.Code == http.StatusSeeOther && opened.Header().Get("Location") == "/" {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatalf("the link: %d %v", opened.Code, opened.Header())
	return ""
}

// Each role at each path. The last column is a link that olga makes for bert.
func TestRoles(t *testing.T) {
	dsn, _ := database(t)
	d := behindLogin(t, dsn)
	view := viewOf(t, d, "bert")
	callers := []string{"", ownerToken, analystToken, affiliateToken, view, strayToken, everyToken, "trib_nobody"}
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for _, c := range []struct {
		method, target, body string
		// nobody, owner, analyst, affiliate, view, owner of another workspace, analyst of all,
		// unknown token
		want [8]int
	}{
		{"GET", "/", "", [8]int{303, 200, 200, 200, 200, 200, 200, 401}},
		{"GET", "/assets/style.css", "", [8]int{200, 200, 200, 200, 200, 200, 200, 200}},
		{"GET", "/api/session", "", [8]int{401, 200, 200, 200, 200, 200, 200, 401}},
		{"GET", "/api/query", "", [8]int{401, 200, 200, 200, 200, 200, 200, 401}},
		{"GET", "/api/query/modes", "", [8]int{401, 200, 200, 403, 403, 200, 200, 401}},
		{"GET", "/api/query/modes?workspace=acme", "", [8]int{401, 200, 200, 403, 403, 403, 200, 401}},
		{"GET", "/api/query/modes?workspace=bolt", "", [8]int{401, 403, 403, 403, 403, 200, 200, 401}},
		{"GET", "/api/query/modes?workspace=none", "", [8]int{401, 404, 404, 404, 404, 404, 404, 401}},
		{"GET", "/api/query/affiliate_by_day?" + hour, "", [8]int{401, 400, 400, 200, 200, 400, 400, 401}},
		{"GET", "/api/query/affiliate_by_day?affiliate=anna&" + hour, "", [8]int{401, 200, 200, 200, 403, 200, 200, 401}},
		{"GET", "/api/query/affiliate_by_day?affiliate=bert&" + hour, "", [8]int{401, 200, 200, 403, 200, 200, 200, 401}},
		{"GET", "/api/query/affiliate_by_day?affiliate=anna&affiliate=bert&" + hour, "",
			[8]int{401, 400, 400, 403, 403, 400, 400, 401}},
		{"GET", "/api/query/affiliate_by_day?affiliate=&" + hour, "", [8]int{401, 200, 200, 403, 403, 200, 200, 401}},
		{"GET", "/api/query/affiliate_statements?affiliate=bert&month=2026-01-01", "",
			[8]int{401, 200, 200, 403, 200, 200, 200, 401}},
		{"GET", "/api/query/statement_entries?month=2026-01-01", "", [8]int{401, 200, 200, 403, 403, 200, 200, 401}},
		{"GET", "/api/query/statement_entries?affiliate=anna&month=2026-01-01", "",
			[8]int{401, 200, 200, 403, 403, 200, 200, 401}},
		{"GET", "/api/query/pipeline_status", "", [8]int{401, 403, 403, 403, 403, 403, 200, 401}},
		{"GET", "/explain?object=pi_1", "", [8]int{303, 404, 404, 403, 403, 404, 404, 401}},
		{"GET", "/explain?object=pi_1&workspace=bolt", "", [8]int{303, 403, 403, 403, 403, 404, 404, 401}},
		{"POST", "/api/views", "affiliate=anna", [8]int{401, 200, 403, 403, 403, 200, 403, 401}},
		{"POST", "/api/views", "affiliate=anna&workspace=acme", [8]int{401, 200, 403, 403, 403, 403, 403, 401}},
		{"POST", "/api/views", "affiliate=anna&days=0", [8]int{401, 400, 403, 403, 403, 400, 403, 401}},
		{"POST", "/mcp", ping, [8]int{401, 200, 200, 200, 200, 200, 200, 401}},
		{"GET", "/metrics", "", [8]int{303, 404, 404, 404, 404, 404, 404, 401}},
		{"GET", "/login", "", [8]int{200, 200, 200, 200, 200, 200, 200, 200}},
	} {
		for i, caller := range callers {
			if got := as(d, caller, c.method, c.target, c.body); got.Code != c.want[i] {
				t.Errorf("%s %s %s as %q: %d, want %d: %s", c.method, c.target, c.body, caller, got.Code, c.want[i], got.Body)
			}
		}
	}
}

// Whatever else an affiliate asks for, no row of another one is in the answer: neither through the
// API nor as a tool.
func TestAffiliatesSeeTheirOwn(t *testing.T) {
	dsn, conn := database(t)
	d := behindLogin(t, dsn)
	now := time.Now().UTC()
	when := now.Add(-10 * time.Minute)
	for i, affiliate := range []string{"anna", "bert"} {
		click(t, conn, i+1, when, "v-"+affiliate, affiliate, "link-"+affiliate, "campaign-"+affiliate, false)
		lead(t, conn, "lead-"+affiliate, when, 1, affiliate, "async")
		book(
			t,
			conn,
			entry{id: "pi_" + affiliate, when: when, amount: int64(7777000 + i), net: "77770.0" + string(rune('1'+i)), fx: "usd",
				affiliate: affiliate, link: "link-" + affiliate, campaign: "campaign-" + affiliate,
				rule: "affiliate", clicked: when},
		)
	}
	for _, table := range []string{"clicks", "leads", "ledger"} { // what the views fill follows
		insert(t, conn, "INSERT INTO "+table+" SELECT * REPLACE ('acme' AS workspace) FROM "+table)
	}
	insert(t, conn, `INSERT INTO earning_rules (workspace, loaded_at, minimum_usd, rules) SELECT DISTINCT workspace, now64(3),
		0, '[{"name":"all","from":"1970-01-01","until":"2149-06-06","affiliates":[],"programs":[],"percent":"10",
		"flat_usd":"0","first_sale_only":false,"months":0,"hold_days":0}]' FROM ledger`)
	within := url.Values{
		"from":  {now.Add(-2 * time.Hour).Format(time.RFC3339)},
		"to":    {now.Add(time.Hour).Format(time.RFC3339)},
		"month": {now.Format("2006-01") + "-01"},
	}
	seen, view := 0, viewOf(t, d, "anna")
	questions, err := sql.Questions()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range questions {
		if !query.ForAffiliates(q) {
			continue
		}
		for _, given := range variations(q, within) {
			w := as(d, view, "GET", "/api/query/"+q.Name+"?"+given.Encode(), "")
			if own := as(d, affiliateToken, "GET", "/api/query/"+q.Name+"?"+given.Encode(), ""); own.Code != w.Code ||
				own.Body.String() != w.Body.String() {
				t.Errorf("%s with %v: %d %s by a link, %d %s by a login", q.Name, given, w.Code, w.Body, own.Code, own.Body)
			}
			if w.Code != http.StatusOK {
				continue // refused
			}
			if strings.Contains(w.Body.String(), "bert") || strings.Contains(w.Body.String(), "7777001") ||
				strings.Contains(w.Body.String(), "77770.02") {
				t.Errorf("%s with %v shows another affiliate's row: %s", q.Name, given, w.Body)
			}
			if strings.Contains(w.Body.String(), "pi_anna") {
				t.Errorf("%s with %v shows the id of a payment: %s", q.Name, given, w.Body)
			}
			if strings.Contains(w.Body.String(), "77770.01") {
				seen++
			}
		}
	}
	if seen == 0 {
		t.Error("the own row is in no answer")
	}
	page := as(d, view, "GET", "/", "").Body.String()
	for _, part := range []string{"77,770.01", "77,770.00 USD", "link-anna", now.Format("January 2006"), "<b>7,777.00</b>",
		when.Format("2 Jan 2006, 15:04"), ">sale<", "Log out"} {
		if !strings.Contains(page, part) {
			t.Errorf("the affiliate's page lacks %q:\n%s", part, page)
		}
	}
	if strings.Contains(page, "bert") || strings.Contains(page, "payment") {
		t.Errorf("the affiliate's page:\n%s", page)
	}
	if page := as(d, affiliateToken, "GET", "/", "").Body.String(); strings.Contains(page, "Log out") {
		t.Error("a program with a token is offered to log out")
	}
}

// variations are values that an affiliate might try: each parameter with each value that could turn
// a filter around.
func variations(q sql.Question, within url.Values) []url.Values {
	base := func() url.Values {
		values := url.Values{}
		for _, p := range q.Parameters {
			if within.Has(p.Name) {
				values[p.Name] = within[p.Name]
			}
		}
		return values
	}
	list := []url.Values{base()}
	for _, p := range q.Parameters {
		var tries []string
		switch {
		case p.Name == "workspace" || p.Name == "affiliate" || within.Has(p.Name):
			continue
		case p.Type == "Bool":
			tries = []string{"true", "false"}
		case strings.HasPrefix(p.Type, "UInt"):
			tries = []string{"0", "1", "3600", "86400"}
		default:
			tries = []string{"", "bert", "!anna", "affiliate", "link", "%"}
		}
		for _, value := range tries {
			values := base()
			values.Set(p.Name, value)
			list = append(list, values)
		}
	}
	return list
}

// withToken sends a bearer token with every request.
type withToken string

func (token withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(token))
	r.Host = "127.0.0.1:8090"
	return http.DefaultTransport.RoundTrip(r)
}

// An assistant gets what the API answers, byte for byte.
func TestToolsAnswerAsTheAPI(t *testing.T) {
	dsn, conn := database(t)
	d := behindLogin(t, dsn)
	book(
		t,
		conn,
		entry{
			id:        "pi_1",
			when:      time.Now().Add(-time.Minute),
			amount:    4900,
			net:       "49.123456",
			fx:        "usd",
			affiliate: hostile,
			rule:      "affiliate",
		},
	)
	insert(t, conn, "INSERT INTO ledger SELECT * REPLACE ('acme' AS workspace) FROM ledger")
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	connect := func(token string) *mcp.ClientSession {
		client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
		session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: server.URL + "/mcp",
			HTTPClient: &http.Client{Transport: withToken(token)}, DisableStandaloneSSE: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { session.Close() })
		return session
	}
	session := connect(ownerToken)
	listed, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := sql.Questions()
	if err != nil {
		t.Fatal(err)
	}
	// Who owns one workspace sees nothing of the others'.
	if len(listed.Tools) != len(all)-len(ofAllWorkspaces) {
		t.Errorf("%d tools for %d questions", len(listed.Tools), len(all))
	}
	for _, name := range ofAllWorkspaces {
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: name})
		if err == nil && !result.IsError {
			t.Errorf("the owner of one workspace is answered %s: %+v", name, result)
		}
	}
	for _, tool := range listed.Tools {
		if tool.Annotations == nil || !tool.Annotations.ReadOnlyHint || tool.Description == "" {
			t.Errorf("%s: %+v", tool.Name, tool.Annotations)
		}
	}
	within := map[string]any{
		"from":  time.Now().Add(-time.Hour).UTC().Format(time.RFC3339),
		"to":    time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"limit": 10,
	}
	api := url.Values{"from": {within["from"].(string)}, "to": {within["to"].(string)}, "limit": {"10"}}
	for _, name := range []string{"latest_sales", "top", "refunds_and_disputes"} {
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: within})
		if err != nil || result.IsError {
			t.Fatalf("%s: %v %+v", name, err, result)
		}
		want := as(d, ownerToken, "GET", "/api/query/"+name+"?"+api.Encode(), "").Body.String()
		if got := result.Content[0].(*mcp.TextContent).Text; got != want || !strings.Contains(got, `"rows"`) {
			t.Errorf("%s: the tool answers\n%s\nthe API\n%s", name, got, want)
		}
		structured, _ := json.Marshal(result.StructuredContent)
		var a, b any
		if json.Unmarshal(structured, &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
			t.Errorf("%s: not JSON", name)
		}
		same(t, name+" structured", a, b)
	}
	for _, c := range []struct {
		token string
		name  string
		args  any
		want  string // empty: an answer
	}{
		{ownerToken, "latest_sales", map[string]any{"from": 5}, "bad_parameter"},
		{ownerToken, "latest_sales", map[string]any{"from": map[string]any{}}, "bad_parameter"},
		{ownerToken, "modes", map[string]any{"workspace": "bolt"}, "forbidden_workspace"},
		{ownerToken, "modes", map[string]any{"workspace": "none"}, "unknown_workspace"},
		{ownerToken, "modes", map[string]any{"workspace": "acme"}, ""},
		{everyToken, "modes", map[string]any{"workspace": "bolt"}, ""},
		{affiliateToken, "affiliate_sales", within, ""},
		{affiliateToken, "affiliate_sales", map[string]any{"affiliate": "bert", "from": within["from"], "to": within["to"]},
			"forbidden_affiliate"},
	} {
		result, err := connect(c.token).CallTool(t.Context(), &mcp.CallToolParams{Name: c.name, Arguments: c.args})
		if err != nil || result.IsError != (c.want != "") ||
			!strings.Contains(result.Content[0].(*mcp.TextContent).Text, c.want) {
			t.Errorf("%s %v as %s: %v %+v, want %q", c.name, c.args, c.token, err, result, c.want)
		}
	}
	whole := &mcp.CallToolParams{Name: "totals", Arguments: within}
	if _, err := connect(affiliateToken).CallTool(t.Context(), whole); err == nil {
		t.Error("an affiliate's assistant has a tool for the whole workspace")
	}
}

// An assistant on this machine has no login and sees all workspaces.
func TestToolsWithoutLogin(t *testing.T) {
	dsn, _ := database(t)
	d := serve(t, Config{DSN: dsn}, time.Now)
	server, err := d.ToolServer(access.Everybody)
	if err != nil {
		t.Fatal(err)
	}
	here, there := mcp.NewInMemoryTransports()
	if _, err := server.Connect(t.Context(), there, nil); err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	result, err := session.CallTool(
		t.Context(),
		&mcp.CallToolParams{Name: "modes", Arguments: map[string]any{"workspace": "other"}},
	)
	if err != nil || result.IsError ||
		result.Content[0].(*mcp.TextContent).Text != get(t, d, "/api/query/modes?workspace=other").Body.String() {
		t.Errorf("%v %+v", err, result)
	}
}

// Figures of an affiliate's page are written as those of the page for owners.
func TestGrouped(t *testing.T) {
	for number, want := range map[string]string{"0": "0", "999": "999", "1000": "1,000", "-0.50": "−0.50",
		"-123.45": "−123.45", "1234567.80": "1,234,567.80", "-1234567 JPY": "−1,234,567 JPY", "0.0000001": "0.0000001"} {
		if got := grouped(number); got != want {
			t.Errorf("%s is written %s, want %s", number, got, want)
		}
	}
}
