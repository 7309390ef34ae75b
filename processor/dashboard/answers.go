package dashboard

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tributary/processor/query"
)

const (
	fresh     = time.Second   // how long the marker is believed: no figure is older than this
	longLook  = 9 * fresh / 2 // how long a client waits for another marker: it ends between two readings
	maxKept   = 512           // answers
	maxBytes  = 64 << 20      // of them together
	maxOfKept = 4 << 20       // of one: of larger ones only the ETags are kept
)

// answers remembers what was answered, for as long as nothing has changed since. Many open pages
// cost ClickHouse one look at its list of parts a second, and each question once when a table has
// changed. Each of them is answered with 304 unless a figure is another.
type answers struct {
	readMarker func(context.Context) (string, error)
	now        func() time.Time
	log        *slog.Logger
	made       atomic.Int64 // answers that ClickHouse was asked for

	mu     sync.Mutex // guards what follows
	marker *marker
	kept   map[string]*answer // by key
	bytes  int
}

func newAnswers(readMarker func(context.Context) (string, error), now func() time.Time, log *slog.Logger) *answers {
	return &answers{readMarker: readMarker, now: now, log: log, kept: make(map[string]*answer)}
}

// marker says which state of the tables answers are of.
type marker struct {
	done chan struct{} // closed when text is there
	at   time.Time
	// text is empty if ClickHouse does not say: it is away, or its user may not read system.parts.
	text string
}

// answer is being made, or was; done is closed when it is there.
type answer struct {
	done    chan struct{}
	marker  *marker
	tags    [2]string // ETags of what is sent, as it is and in gzip
	body    []byte    // nil if dropped
	zipped  []byte    // nil if that is no shorter
	dropped bool      // the body was too large to keep: this is for who has it already
	err     error
	size    int // what it counts for in answers.bytes, whose mutex guards it
}

// tag returns the ETag of what is sent.
func (a *answer) tag(zip bool) string {
	if zip {
		return a.tags[1]
	}
	return a.tags[0]
}

func (a *answer) finished() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// current returns the marker, which is read once for all requests of a second.
func (a *answers) current(ctx context.Context) *marker {
	a.mu.Lock()
	m := a.marker
	if m == nil || a.now().Sub(m.at) >= fresh {
		m = &marker{done: make(chan struct{}), at: a.now()}
		a.marker = m
		go func() {
			defer close(m.done)
			// Without the cancellation of this request: others wait for the same marker.
			text, err := a.readMarker(context.WithoutCancel(ctx))
			if err != nil {
				a.log.Debug("the list of parts cannot be read; answers are reused for a second only", "error", err)
				return
			}
			m.text = text
		}()
	}
	a.mu.Unlock()
	select {
	case <-m.done:
	case <-ctx.Done():
	}
	return m
}

// another waits until the marker is another one than the client knows, for longLook at most, and
// returns it: at once if ClickHouse does not say it. Of a known one that begins with a point only what
// follows it is compared. Nobody waits any longer after stop is closed. All who wait share the
// readings.
func (a *answers) another(ctx context.Context, known string, stop <-chan struct{}) *marker {
	limit := time.After(longLook)
	for {
		m := a.current(ctx)
		if ctx.Err() != nil || m.text == "" || !m.is(known) {
			return m
		}
		select {
		case <-time.After(m.at.Add(fresh).Sub(a.now())):
		case <-limit:
			return m
		case <-stop:
			return m
		case <-ctx.Done():
			return m
		}
	}
}

// is reports whether the marker is the one that a client knows, of which it may know only the end.
func (m *marker) is(known string) bool {
	return m.text == known || strings.HasPrefix(known, ".") && strings.HasSuffix(m.text, known)
}

// same reports whether an answer that was made under the marker old still holds under m. Both have
// been waited for.
func (m *marker) same(old *marker) bool {
	return m == old || m.text != "" && m.text == old.text
}

// serve answers a request for figures: with 304 if the client has them, else from memory, else by
// calling ask. key is everything but the tables' content that the answer depends on.
func (a *answers) serve(w http.ResponseWriter, r *http.Request, key, mediaType string,
	ask func(context.Context) ([]byte, error),
) error {
	m := a.current(r.Context())
	if r.Context().Err() != nil {
		return r.Context().Err()
	}
	h := w.Header()
	zip := compressible(mediaType) && acceptsGzip(r)
	if compressible(mediaType) {
		h.Add("Vary", "Accept-Encoding")
	}
	found := a.find(r, m, key, mediaType, zip, ask)
	select {
	case <-found.done:
	case <-r.Context().Done():
		return r.Context().Err()
	}
	if found.err != nil {
		return found.err
	}
	h.Set("ETag", found.tag(zip))
	if matches(r, found.tag(zip)) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", mediaType)
	writeBody(w, r, found.body, found.zipped, zip)
	return nil
}

// writeBody sends a body, compressed if zip says so and there is something to gain.
func writeBody(w http.ResponseWriter, r *http.Request, body, zipped []byte, zip bool) {
	h := w.Header()
	if zip && zipped != nil {
		h.Set("Content-Encoding", "gzip")
		body = zipped
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may have gone
	}
}

// find returns the answer that is kept or being made under a key, or begins one.
func (a *answers) find(r *http.Request, m *marker, key, mediaType string, zip bool,
	ask func(context.Context) ([]byte, error),
) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.kept[key]
	if found != nil && m.same(found.marker) {
		holds := true
		if found.dropped {
			holds = matches(r, found.tag(zip))
		} else if found.finished() && found.err != nil {
			holds = found.marker == m // it is asked again a second later, though nothing has changed
		}
		if holds {
			return found
		}
	}
	a.drop(key)
	if len(a.kept) >= maxKept || a.bytes > maxBytes {
		a.makeRoom(m)
	}
	found = &answer{done: make(chan struct{}), marker: m}
	if len(a.kept) >= maxKept {
		found.err = &query.Fault{Status: http.StatusServiceUnavailable, Code: "busy",
			Message: "Too many different questions are being answered at this moment.", Hint: "Ask again in a second."}
		close(found.done)
		return found
	}
	a.kept[key] = found
	go a.make(context.WithoutCancel(r.Context()), found, key, mediaType, ask) // others may wait for the same answer
	return found
}

func (a *answers) make(ctx context.Context, found *answer, key, mediaType string,
	ask func(context.Context) ([]byte, error),
) {
	defer close(found.done)
	a.made.Add(1)
	if found.body, found.err = ask(ctx); found.err == nil {
		// The ETags are of the body and not of the marker, which most inserts and merges change though no
		// figure of this answer differs.
		found.tags = [2]string{etag(false, []byte(mediaType), found.body), etag(true, []byte(mediaType), found.body)}
		if compressible(mediaType) {
			found.zipped = compress(found.body)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept[key] != found {
		return
	}
	if len(found.body) > maxOfKept {
		a.kept[key] = &answer{done: found.done, marker: found.marker, tags: found.tags, dropped: true}
		return
	}
	found.size = len(found.body) + len(found.zipped)
	a.bytes += found.size
}

// drop forgets an answer. Who waits for one that is still being made gets it all the same.
func (a *answers) drop(key string) {
	if old := a.kept[key]; old != nil {
		a.bytes -= old.size
		delete(a.kept, key)
	}
}

// makeRoom drops what is out of date, and if that is not enough, everything that is finished.
func (a *answers) makeRoom(m *marker) {
	for _, all := range []bool{false, true} {
		for key, old := range a.kept {
			if old.finished() && (all || !m.same(old.marker)) {
				a.drop(key)
			}
		}
		if len(a.kept) < maxKept && a.bytes <= maxBytes {
			return
		}
	}
}

// etag returns a strong validator of what the parts decide.
func etag(zip bool, parts ...[]byte) string {
	sum := sha256.Sum256(bytes.Join(parts, []byte{0}))
	suffix := ""
	if zip {
		suffix = "-gzip" // other bytes are another representation
	}
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + suffix + `"`
}

// matches reports whether the client has the representation already.
func matches(r *http.Request, tag string) bool {
	for given := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if given = strings.TrimPrefix(strings.TrimSpace(given), "W/"); given == tag {
			return true
		}
	}
	return false
}

// compressible reports whether gzip makes a media type shorter; Parquet and images are compressed
// themselves.
func compressible(mediaType string) bool {
	return strings.HasPrefix(mediaType, "text/") || strings.HasPrefix(mediaType, "application/json") ||
		strings.HasPrefix(mediaType, "application/x-ndjson") || strings.HasPrefix(mediaType, "image/svg+xml")
}

// acceptsGzip reports whether the client reads gzip.
func acceptsGzip(r *http.Request) bool {
	for offered := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(offered, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.TrimRight(strings.ReplaceAll(weight, " ", ""), "0") != "q=" && !strings.HasSuffix(weight, "=0.")
		}
	}
	return false
}

// compress returns a body in gzip, nil if that is no shorter.
func compress(body []byte) []byte {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write(body) // a Buffer takes everything
	_ = w.Close()
	if zipped.Len() >= len(body) {
		return nil
	}
	return zipped.Bytes()
}
