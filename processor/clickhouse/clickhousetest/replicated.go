package clickhousetest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"tributary/sql"
)

// Replicas stands before an engine, and says that its tables lie in a Replicated database. It
// answers itself the statements that wait for other servers: the engine has no table that could.
type Replicas struct {
	URL string // in place of the engine's, http://ADDRESS

	mu         sync.Mutex
	statements []string // that were executed, without those of inserts from the program
	refuse     string   // the answer to statements that wait: CODE NAME; "": they succeed
	name       string   // see Name
}

// replicatedEngine is what a CREATE TABLE has for several servers.
var replicatedEngine = regexp.MustCompile(`^(CREATE TABLE [^;]*ENGINE = )Replicated(\w+)`)

// NewReplicas returns replicas before the engine of a DSN, until the test ends.
func NewReplicas(t testing.TB, dsn string) *Replicas {
	t.Helper()
	engine, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	r := new(Replicas)
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: engine.Host})
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		statement := string(body)
		if !request.URL.Query().Has("query") {
			if r.execute(w, statement) {
				return
			}
			statement = r.named(statement)
			statement = replicatedEngine.ReplaceAllString(statement, "$1$2")
			if statement == sql.LayoutQuery {
				statement = "SELECT currentDatabase(), 'Replicated', '0', 'ReplicatedMergeTree', 'ReplicatedMergeTree'"
			}
		}
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader([]byte(statement))), int64(len(statement))
		proxy.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// execute notes a statement, and answers it if it waits for other servers.
func (r *Replicas) execute(w http.ResponseWriter, statement string) (answered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = append(r.statements, statement)
	if !strings.HasPrefix(statement, "SYSTEM SYNC REPLICA ") {
		return false
	}
	if code, name, refused := strings.Cut(r.refuse, " "); refused {
		w.Header().Set("X-ClickHouse-Exception-Code", code)
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "Code: %s. DB::Exception: it is refused. (%s)", code, name)
	}
	return true
}

// Name gives the server that answers a name, as if a balancer had chosen another one.
func (r *Replicas) Name(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.name = name
}

func (r *Replicas) named(statement string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.ReplaceAll(statement, "hostName()", "'"+r.name+"'")
}

// Refuse makes statements that wait for other servers fail: 497 and ACCESS_DENIED, for example.
func (r *Replicas) Refuse(code int, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = fmt.Sprint(code, " ", name)
}

// Unsynced returns, of the statements so far, those that copy rows from a table that was not waited
// for before, and how many copy rows in all. Which ledgers have lists of first sales is not copied:
// processors note it too, and may not wait.
func (r *Replicas) Unsynced() (unsynced []string, copies int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	bare := func(table string) string {
		return strings.ReplaceAll(table[strings.LastIndexByte(table, '.')+1:], "`", "")
	}
	waited := make(map[string]bool)
	for _, statement := range r.statements {
		if table, ok := strings.CutPrefix(statement, "SYSTEM SYNC REPLICA "); ok {
			waited[bare(strings.TrimSuffix(table, " LIGHTWEIGHT"))] = true
		}
		if !strings.HasPrefix(statement, "INSERT INTO ") || strings.HasPrefix(statement, "INSERT INTO payments_written ") {
			continue
		}
		sources := sql.Sources(statement)
		if len(sources) == 0 {
			continue
		}
		copies++
		if slices.ContainsFunc(sources, func(table string) bool { return !waited[bare(table)] }) {
			unsynced = append(unsynced, statement)
		}
	}
	return unsynced, copies
}

// Statements returns those that were executed so far.
func (r *Replicas) Statements() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.statements)
}
