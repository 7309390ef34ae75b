package chdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tributary/schemas/loopback"
)

// Handler is ClickHouse's HTTP interface to the engine
// (https://clickhouse.com/docs/interfaces/http): GET / and GET /ping answer
// "Ok."; a query comes in the query parameter, in the body, or begins in the
// first and goes on in the second; database, default_format, param_*, query_id,
// and every setting are read from the URL. Settings and
// parameters hold for one request only. A GET is read-only, as on a server.
//
// An error has the server's status, an X-ClickHouse-Exception-Code header and
// the text "Code: N. DB::Exception: …". When the client goes away the engine is
// asked to stop its statement; one that finishes all the same has had its
// effect.
//
// session_id is accepted, because some clients send one with every request, and keeps nothing from
// one request to the next. Refused with NOT_IMPLEMENTED (48) are the statements that need it, and
// external tables (multipart/form-data). query_id is echoed, but the engine runs the statement
// under an id of its own.
func (e *Engine) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ping", func(w http.ResponseWriter, _ *http.Request) { writeOk(w) })
	mux.HandleFunc("/replicas_status", func(w http.ResponseWriter, _ *http.Request) { writeOk(w) })
	mux.HandleFunc("/", e.serve)
	return loopback.Protect(mux)
}

// Server returns a server of Handler. A statement may take as long as it takes, and its text stand
// in the address, of up to a MiB as on a server (max_uri_size).
func (e *Engine) Server() *http.Server {
	s := loopback.NewServer(e.Handler())
	s.ReadTimeout, s.WriteTimeout, s.MaxHeaderBytes = time.Hour, 0, 1<<20
	return s
}

func writeOk(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	_, _ = io.WriteString(w, "Ok.\n")
}

func (e *Engine) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" && r.URL.Path != "/query" {
		http.Error(w, "There is no handle "+r.URL.Path, http.StatusNotFound)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	case http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		w.Header().Set("Allow", "GET, HEAD, POST, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	header := w.Header()
	header.Set("X-ClickHouse-Server-Display-Name", e.identity.displayName)
	header.Set("X-ClickHouse-Timezone", e.identity.timezone)
	if err := e.authenticate(readCredentials(r, r.URL.Query())); err != nil {
		e.writeError(w, r, err)
		return
	}
	q, err := readRequest(r)
	if q != nil && q.queryID == "" {
		q.queryID = newQueryID()
	}
	if err != nil {
		e.writeError(w, r, err)
		return
	}
	header.Set("X-ClickHouse-Query-Id", q.queryID)
	if q.text == "" && q.insert == nil {
		if r.Method != http.MethodPost {
			writeOk(w)
			return
		}
		e.writeError(w, r, &Exception{Code: codeSyntaxError,
			Message: "Syntax error: failed at position 1 (end of query): Empty query. (SYNTAX_ERROR)"})
		return
	}
	if revision, err := strconv.Atoi(q.urlQuery.Get("client_protocol_version")); err == nil && revision > 0 &&
		q.text == helloQuery && q.format == "Native" {
		e.writeResult(w, r, q, e.identity.helloBlock(revision), counts{}, time.Now())
		return
	}
	e.run(w, r, q)
}

// run executes the request's statement on a connection of its own.
func (e *Engine) run(w http.ResponseWriter, r *http.Request, q *request) {
	if err := refuseOutside(q.text, q.readOnly); err != nil {
		e.writeError(w, r, err)
		return
	}
	if q.insert != nil {
		if q.readOnly {
			e.writeError(w, r, readOnlyException(r))
			return
		}
		if err := e.checkSpace(uint64(max(0, r.ContentLength))); err != nil {
			e.writeError(w, r, err)
			return
		}
	}
	started := time.Now()
	wanted := q.settingsBeside(e.usual)
	c, err := e.acquire(r.Context(), q.readOnly, q.database, wanted)
	if err != nil {
		e.writeError(w, r, err)
		return
	}
	defer func() { e.release(c) }()
	// DEFAULT is the engine's own value, not that of a profile, and what compatibility changed is
	// not taken back by it.
	_, others := q.settings["compatibility"]
	lasting := wanted.set == "" || !others && e.usersXML == ""
	if c, err = e.prepare(c, q.database, wanted); err != nil {
		e.writeError(w, r, err)
		return
	}
	c.spoiled = c.spoiled || !lasting
	stop := e.killWhenDone(r.Context(), c)
	defer stop()
	if q.insert != nil {
		e.runInsert(w, r, q, c, started)
		return
	}
	e.runQuery(w, r, q, c, started)
}

func (e *Engine) runQuery(w http.ResponseWriter, r *http.Request, q *request, c *connection, started time.Time) {
	found, word := c.classify(q.text), firstWord(q.text)
	// USE, SET and temporary tables change the session, and on a server a request without session_id
	// has one of its own.
	changesSession := found.class == classControl ||
		found.class != classReadOnly && strings.Contains(strings.ToUpper(q.text), "TEMPORARY")
	if err := e.refuseQuery(r, q, found, word, changesSession); err != nil {
		e.writeError(w, r, err)
		return
	}
	c.spoiled = c.spoiled || changesSession
	readBack := func() error { return nil }
	if found.writes() && word == "INSERT" {
		readBack = e.beginInsert(c)
	}
	answer, err := c.query(q.text, q.format, q.params)
	if found.class != classReadOnly && slices.Contains(changeDatabases, word) {
		e.databasesChanged.Add(1)
	}
	if err != nil {
		if found.writes() && r.Method != http.MethodPost {
			err = readOnlyException(r)
		}
		e.writeError(w, r, err)
		return
	}
	defer answer.free()
	if found.writes() {
		if err := errors.Join(e.doubtWrite(), readBack()); err != nil {
			e.writeError(w, r, err)
			return
		}
	}
	e.writeResult(w, r, q, answer.data, answer.counts, started)
}

// First words of statements.
var (
	sessionWords    = []string{"SET", "USE", "CREATE"}
	freeSpace       = []string{"DROP", "TRUNCATE", "DELETE", "DETACH"} // the way out of a full disk
	changeDatabases = []string{"DROP", "DETACH", "RENAME", "EXCHANGE", "CREATE", "UNDROP", "ATTACH", "RESTORE"}
)

// refuseQuery returns why a statement is not given to the engine, or nil.
func (e *Engine) refuseQuery(r *http.Request, q *request, found analysis, word string, changesSession bool) error {
	switch {
	case found.statements > 1:
		return &Exception{Code: codeSyntaxError,
			Message: "Syntax error (Multi-statements are not allowed). (SYNTAX_ERROR)"}
	case changesSession && q.session != "" && slices.Contains(sessionWords, word):
		return &Exception{Code: codeNotImplemented,
			Message: "Sessions are not implemented by the embedded engine: " +
				"the next request would know nothing of this statement. (NOT_IMPLEMENTED)"}
	case q.readOnly && found.class == classControl && word != "SET" && word != "USE":
		return readOnlyException(r) // the engine lets some SYSTEM statements pass
	case found.writes() && !q.readOnly && !slices.Contains(freeSpace, word):
		return e.checkSpace(0)
	}
	return nil
}

// killWhenDone stops c's statement when the client goes away. The returned
// function ends the watch and must be called before c is lent again.
func (e *Engine) killWhenDone(ctx context.Context, c *connection) (stop func()) {
	finished, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-finished:
			return
		case <-ctx.Done():
		}
		// Once may be too early, when the statement is not in the process
		// list yet.
		for range 20 {
			e.kill(c)
			select {
			case <-finished:
				return
			case <-time.After(250 * time.Millisecond):
			}
		}
	}()
	return func() {
		close(finished)
		<-ended
	}
}

func newQueryID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4 of RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
