package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/access"
	"tributary/processor/clickhouse"
	"tributary/processor/join"
	"tributary/processor/query"
	"tributary/processor/workspace"
)

const (
	maxExplanations = 4                // that are being read at a time
	explainTimeout  = 20 * time.Second // of one: it reads raw events, which have no index
	markerTimeout   = 3 * time.Second
	retryAfter      = 5 * time.Second // of LogWarnings, while ClickHouse is away
)

// contentPolicy lets the page load its own files and nothing else; it has no inline script or
// style. Forms may lead to the login provider, which the browser is redirected to.
const contentPolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src " +
	"'none'"

var workspaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)

// Config says what the dashboard shows, and to whom.
type Config struct {
	// DSN of ClickHouse, over HTTP: http://user:password@host:8123/database. A user who may only
	// read is enough.
	DSN string
	// Workspaces are all that there are; requests for others are answered with 404. nil: one,
	// "default".
	Workspaces func() []workspace.Region
	// Guard knows who sends a request. nil: everybody may see everything, so whoever serves the
	// dashboard must see to it that only people of this machine can reach it.
	Guard *access.Guard
	// ClickURL is where clicks are sent to, for the command that the empty page shows; empty: it is
	// not known, and the command has an example's address.
	ClickURL string
	// Policies are the attribution policies that the processors book a workspace by, for the
	// explanations; nil: the default everywhere.
	Policies func(workspace string) join.Policies
	// Log receives queries that failed; nil is the default logger.
	Log *slog.Logger
}

// Dashboard serves the page and its files, figures and named questions under /api/, and at /explain
// why a row is as it is.
type Dashboard struct {
	config  Config
	log     *slog.Logger
	conn    driver.Conn
	store   *clickhouse.Store // for explanations, which only look up
	asker   *query.Asker
	handler http.Handler
	files   map[string]*file
	answers *answers
	now     func() time.Time

	stopping chan struct{} // closed by Stopping
	stop     sync.Once

	explaining chan struct{} // its capacity bounds the explanations at a time
}

// New makes a dashboard. It connects with the first request, so it may start before the database
// does.
func New(cfg Config) (*Dashboard, error) {
	if cfg.Policies == nil {
		cfg.Policies = func(string) join.Policies { return nil }
	}
	if cfg.Workspaces == nil {
		cfg.Workspaces = func() []workspace.Region {
			return []workspace.Region{{Workspace: workspace.Default, Timezone: "UTC", Currency: "usd"}}
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	asker, err := query.Open(cfg.DSN, cfg.Log)
	if err != nil {
		return nil, err
	}
	conn, err := connect(cfg.DSN)
	if err != nil {
		return nil, err
	}
	store, err := clickhouse.OpenPage(cfg.DSN, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	files, err := readFiles()
	if err != nil {
		return nil, err
	}
	d := &Dashboard{
		config: cfg, log: cfg.Log, conn: conn, store: store, asker: asker, files: files,
		explaining: make(chan struct{}, maxExplanations), now: time.Now, stopping: make(chan struct{}),
	}
	d.answers = newAnswers(d.readMarker, func() time.Time { return d.now() }, cfg.Log)
	d.handler = d.routes()
	if cfg.Guard != nil {
		d.handler = cfg.Guard.Protect(d.handler)
	}
	return d, nil
}

// connect opens the connection that readMarker asks over.
func connect(dsn string) (driver.Conn, error) {
	options, err := clickhouse.Options(dsn)
	if err != nil {
		return nil, err
	}
	options.DialTimeout, options.ReadTimeout = markerTimeout, markerTimeout
	conn, err := clickhousego.Open(options)
	if err != nil {
		return nil, fmt.Errorf("open ClickHouse: %w", err)
	}
	return conn, nil
}

// Stopping answers at once whoever waits for another state of the tables, so that the program need
// not wait for them before it ends.
func (d *Dashboard) Stopping() { d.stop.Do(func() { close(d.stopping) }) }

// Close ends the connections to the database.
func (d *Dashboard) Close() error {
	d.asker.Close()
	if err := errors.Join(d.conn.Close(), d.store.Close()); err != nil {
		return fmt.Errorf("close ClickHouse: %w", err)
	}
	return nil
}

// Ready returns why no figures can be shown, or nil.
func (d *Dashboard) Ready(ctx context.Context) error {
	if err := d.conn.Ping(ctx); err != nil {
		return fmt.Errorf("ask ClickHouse: %w", err)
	}
	return nil
}

// Check returns why ClickHouse answers no questions, or nil, and which rights its user lacks without
// which they are answered all the same.
func (d *Dashboard) Check(ctx context.Context) (lacking []string, err error) {
	return d.asker.Check(ctx)
}

// Warnings returns what an operator has to look at, for /readyz. What keeps every figure away while
// ClickHouse answers is among it.
func (d *Dashboard) Warnings(ctx context.Context) []string {
	lacking, err := d.Check(ctx)
	var fault *query.Fault
	if errors.As(err, &fault) {
		return []string{fault.Error()}
	}
	return lacking
}

// LogWarnings logs the warnings once, when ClickHouse has answered for the first time.
func (d *Dashboard) LogWarnings(ctx context.Context) {
	for d.conn.Ping(ctx) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryAfter):
		}
	}
	for _, warning := range d.Warnings(ctx) {
		d.log.Warn("ClickHouse answers", "warning", warning)
	}
}

// ServeHTTP implements [http.Handler].
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// Not no-referrer: browsers would then send Origin: null with a form's POST, and a login would be
	// taken for another site's.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "private, no-cache")
	d.handler.ServeHTTP(w, r)
}

// people are the roles that see a whole workspace, everyone those who see something.
var (
	owners   = []string{access.Owner}
	people   = []string{access.Owner, access.Analyst}
	everyone = []string{access.Owner, access.Analyst, access.Affiliate}
)

// routes says who may ask for what.
func (d *Dashboard) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, roles []string, serve func(http.ResponseWriter, *http.Request, *access.Caller)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			caller := access.FromContext(r.Context())
			if caller == nil && d.config.Guard == nil {
				caller = access.Everybody
			}
			if caller == nil || !slices.Contains(roles, caller.Role) {
				errRole.Write(w)
				return
			}
			serve(w, r, caller)
		})
	}
	mux.HandleFunc("GET /assets/{name...}", func(w http.ResponseWriter, r *http.Request) {
		d.serveFile(w, r, r.PathValue("name"))
	})
	handle("GET /{$}", everyone, d.serveIndex)
	handle("GET /api/session", everyone, d.serveSession)
	handle("GET /api/state", everyone, d.serveState)
	handle("GET /api/query", everyone, d.serveQuestions)
	handle("GET /api/query/{name}", everyone, d.serveQuestion)
	handle("GET /explain", people, d.serveExplanation)
	handle("POST /api/views", owners, d.makeView)
	handle("/mcp", everyone, d.toolHandler())
	return mux
}

var errRole = &query.Fault{Status: http.StatusForbidden, Code: "forbidden_role", Message: "Your role may not do this.",
	Hint: "GET /api/session says which role you have; the users file gives it."}

// workspace returns which workspace a request is about, or why the caller may not see it.
func (d *Dashboard) workspace(caller *access.Caller, given []string) (string, error) {
	known := d.config.Workspaces()
	if len(given) == 0 || len(given) == 1 && given[0] == "" {
		for _, region := range known {
			if caller.May(region.Workspace) {
				return region.Workspace, nil
			}
		}
		return "", &query.Fault{Status: http.StatusForbidden, Code: "no_workspace",
			Message: "You may see no workspace that there is.",
			Hint:    "The users file lists your workspaces, the workspaces file all that there are."}
	}
	name := given[0]
	switch {
	case len(given) > 1 || !workspaceName.MatchString(name):
		return "", &query.Fault{Status: http.StatusBadRequest, Code: "bad_workspace",
			Message: "This cannot be the name of a workspace.",
			Hint:    "Use up to 128 letters, digits, dots, colons, hyphens and underscores, or leave workspace out."}
	case !slices.ContainsFunc(known, func(r workspace.Region) bool { return r.Workspace == name }):
		return "", &query.Fault{Status: http.StatusNotFound, Code: "unknown_workspace",
			Message: "There is no workspace " + name + ".",
			Hint:    "GET /api/session lists yours. The workspaces file names all, and names are case sensitive."}
	case !caller.May(name):
		return "", &query.Fault{Status: http.StatusForbidden, Code: "forbidden_workspace",
			Message: "You may not see the workspace " + name + ".",
			Hint:    "GET /api/session lists yours."}
	}
	return name, nil
}

// writeFault answers with what is wrong; nothing if the client has gone.
func (d *Dashboard) writeFault(w http.ResponseWriter, r *http.Request, err error) {
	var f *query.Fault
	switch {
	case r.Context().Err() != nil:
	case errors.As(err, &f):
		f.Write(w)
	default:
		d.log.Error("a request failed", "path", r.URL.Path, "error", err)
		(&query.Fault{Status: http.StatusInternalServerError, Code: "internal", Message: "The answer cannot be made.",
			Hint: "The reason is in this program's log."}).Write(w)
	}
}

// serveJSON answers with a value that is cheap to make.
func (d *Dashboard) serveJSON(w http.ResponseWriter, r *http.Request, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		d.writeFault(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // the client may have gone
}

// readMarker returns a text that differs whenever any figure may differ: which parts of tables
// there are. Each insert, merge, mutation, migration and exchange of tables makes other parts. What
// stands behind the point is of the entries of the ledger alone.
func (d *Dashboard) readMarker(ctx context.Context) (marker string, err error) {
	ctx, cancel := context.WithTimeout(ctx, markerTimeout)
	defer cancel()
	err = d.conn.QueryRow(ctx, "SELECT concat(hex(sipHash128(arraySort(groupArrayIf(path, table != 'revenue')))), '.', "+
		"hex(sipHash128(arraySort(groupArrayIf(path, table = 'revenue'))))) FROM system.parts "+
		"WHERE database = currentDatabase() AND active AND table != 'pipeline_status'").Scan(&marker)
	return marker, err
}
