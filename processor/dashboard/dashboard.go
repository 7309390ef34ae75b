package dashboard

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/clickhouse"
	"tributary/processor/join"
)

// "all:" takes dot files too: without the chart library, vendor holds nothing else, and a pattern
// without files is an error.
//
//go:embed all:assets
var assets embed.FS

const (
	timeout    = 10 * time.Second // of the queries of one summary
	fresh      = time.Second      // summaries are reused for this long, so that many open pages cost as much as one
	maxCached  = 256              // summaries
	maxQueries = 4                // summaries and explanations that are being read at a time

	explainTimeout = 20 * time.Second // of one explanation: it reads raw events, which have no index

	unknownTable = 60 // ClickHouse's error code
)

// contentPolicy lets the page load its own files and nothing else; it has no inline script or
// style.
const contentPolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src " +
	"'none'"

var workspaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)

var errBusy = errors.New("too many different summaries at once")

// Config says what the dashboard shows.
type Config struct {
	// DSN of ClickHouse, over HTTP: http://user:password@host:8123/database. A user who may only
	// read is enough.
	DSN string
	// Workspace is shown when the request names none; empty is "default".
	Workspace string
	// ClickURL is where clicks are sent to, for the command that the empty page shows; empty is the
	// local run's address.
	ClickURL string
	// Policies are the attribution policies that the processors book a workspace by, for the
	// explanations; nil: the default everywhere.
	Policies func(workspace string) join.Policies
	// Log receives queries that failed; nil is the default logger.
	Log *slog.Logger
}

// Dashboard serves the page, its files, /api/summary, and at /explain why a row is as it is.
type Dashboard struct {
	config  Config
	log     *slog.Logger
	conn    driver.Conn
	store   *clickhouse.Store // for explanations, which only look up
	mux     *http.ServeMux
	files   fs.FS
	queries chan struct{} // its capacity bounds the queries at a time
	now     func() time.Time

	mu    sync.Mutex         // guards cache
	cache map[string]*answer // by range and workspace
}

// answer is a summary that is being made or was made; done is closed when it is there.
type answer struct {
	done    chan struct{}
	at      time.Time
	summary *Summary
	err     error
}

// New makes a dashboard. It connects with the first request, so it may start before the database
// does.
func New(cfg Config) (*Dashboard, error) {
	options, err := clickhousego.ParseDSN(cfg.DSN)
	if err != nil {
		return nil, fmt.Errorf("parse ClickHouse DSN: %w", err)
	}
	if options.Settings == nil {
		options.Settings = clickhousego.Settings{}
	}
	// readonly=2 forbids every change of data and allows the two settings below it.
	options.Settings["readonly"] = 2
	options.Settings["max_execution_time"] = int(timeout / time.Second)
	// FINAL must see every version of a row before WHERE drops one: status changes between
	// versions.
	options.Settings["optimize_move_to_prewhere_if_final"] = 0
	options.DialTimeout = 3 * time.Second
	options.ReadTimeout = timeout
	options.MaxOpenConns = 16
	options.MaxIdleConns = 8
	conn, err := clickhousego.Open(options)
	if err != nil {
		return nil, fmt.Errorf("open ClickHouse: %w", err)
	}
	if cfg.Workspace == "" {
		cfg.Workspace = "default"
	}
	if cfg.ClickURL == "" {
		cfg.ClickURL = "http://127.0.0.1:8080/v1/click"
	}
	if cfg.Policies == nil {
		cfg.Policies = func(string) join.Policies { return nil }
	}
	store, err := clickhouse.Open(cfg.DSN, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		return nil, fmt.Errorf("find assets: %w", err)
	}
	d := &Dashboard{
		config: cfg, log: cfg.Log, conn: conn, store: store, mux: http.NewServeMux(), files: files,
		queries: make(chan struct{}, maxQueries), now: time.Now, cache: map[string]*answer{},
	}
	if d.log == nil {
		d.log = slog.Default()
	}
	d.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { d.serveFile(w, r, "index.html") })
	d.mux.HandleFunc("GET /assets/{name...}", func(w http.ResponseWriter,
		r *http.Request) {
		d.serveFile(w, r, r.PathValue("name"))
	})
	d.mux.HandleFunc("GET /api/summary", d.serveSummary)
	d.mux.HandleFunc("GET /explain", d.serveExplanation)
	return d, nil
}

// Close ends the connections to the database.
func (d *Dashboard) Close() error {
	if err := errors.Join(d.conn.Close(), d.store.Close()); err != nil {
		return fmt.Errorf("close ClickHouse: %w", err)
	}
	return nil
}

// ServeHTTP implements [http.Handler].
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	d.mux.ServeHTTP(w, r)
}

// serveFile serves one embedded file, and neither directories nor dot files.
func (d *Dashboard) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	info, err := fs.Stat(d.files, name)
	if err != nil || info.IsDir() || strings.Contains(name, "/.") {
		http.NotFound(w, r)
		return
	}
	http.ServeFileFS(w, r, d.files, name)
}

func (d *Dashboard) serveSummary(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		writeError(w, http.StatusBadRequest, "bad_query", "The query string cannot be read.",
			"Encode it as name=value&name=value.")
		return
	}
	name := query.Get("range")
	if name == "" {
		name = "24h"
	}
	now := d.now()
	s, ok := spanOf(name, now)
	if !ok {
		writeError(w, http.StatusBadRequest, "bad_range", "There is no such range.",
			"Use range=1h, 24h, 7d, 30d, 90d or all.")
		return
	}
	workspace := query.Get("workspace")
	if workspace == "" {
		workspace = d.config.Workspace
	}
	if !workspaceName.MatchString(workspace) {
		writeError(w, http.StatusBadRequest, "bad_workspace", "This cannot be the name of a workspace.",
			"Use up to 128 letters, digits, dots, colons, hyphens and underscores, or leave workspace out.")
		return
	}
	var exception *clickhousego.Exception
	summary, err := d.summary(r.Context(), name, s, workspace, now)
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, struct {
			*Summary
			ClickURL string `json:"click_url"`
		}{summary, d.config.ClickURL})
	case r.Context().Err() != nil: // the client has gone
	case errors.As(err, &exception) && exception.Code == unknownTable || strings.Contains(err.Error(), "UNKNOWN_TABLE"):
		writeError(w, http.StatusServiceUnavailable, "no_tables", "ClickHouse answers, but the tables are missing.",
			"Run the processor's migrate command against this database.")
	default:
		writeError(w, http.StatusServiceUnavailable, "clickhouse_unavailable",
			"ClickHouse does not answer the dashboard's queries.",
			"Check that it runs and that the DSN is right; the reason is in this program's log. Clicks and sales "+
				"are still taken and wait in Kafka.")
	}
}

// summary returns a summary that is at most fresh old, and waits for one that is being made.
func (d *Dashboard) summary(ctx context.Context, name string, s span, workspace string,
	now time.Time,
) (*Summary, error) {
	key := name + " " + workspace
	d.mu.Lock()
	a := d.cache[key]
	if a == nil || now.Sub(a.at) >= fresh && a.finished() {
		if len(d.cache) >= maxCached {
			for k, old := range d.cache {
				if old.finished() && now.Sub(old.at) >= fresh {
					delete(d.cache, k)
				}
			}
			if len(d.cache) >= maxCached {
				d.mu.Unlock()
				return nil, errBusy
			}
		}
		a = &answer{done: make(chan struct{}), at: now}
		d.cache[key] = a
		// Without the cancellation of this request: others may wait for the same summary.
		go d.load(context.WithoutCancel(ctx), a, name, s, workspace)
	}
	d.mu.Unlock()
	select {
	case <-a.done:
		return a.summary, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *Dashboard) load(ctx context.Context, a *answer, name string, s span, workspace string) {
	defer close(a.done)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case d.queries <- struct{}{}:
		defer func() { <-d.queries }()
	case <-ctx.Done():
		a.err = fmt.Errorf("wait for earlier queries: %w", ctx.Err())
		return
	}
	if a.summary, a.err = d.summarize(ctx, name, s, workspace, a.at); a.err != nil {
		d.log.Warn("a query of the dashboard failed", "range", name, "workspace", workspace, "error", a.err)
	}
}

func (a *answer) finished() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// failure is what the API answers instead of a summary.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

func writeError(w http.ResponseWriter, status int, code, message, hint string) {
	writeJSON(w, status, map[string]failure{"error": {code, message, hint}})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, `{"error":{"code":"internal","message":"The answer cannot be written.","hint":""}}`,
			http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}
