// Package stripe is the webhook that Stripe calls: it proves who sent an event and keeps it byte
// for byte.
package stripe

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"

	"tributary/schemas"
)

// Publisher stores records: nil means stored. publish.Publisher is one.
type Publisher interface {
	Publish(ctx context.Context, records ...*kgo.Record) (retained bool, err error)
}

// Webhook answers POST /stripe/webhook. It is an http.Handler; Serve adds the limits of a listener
// that faces the internet.
type Webhook struct {
	cfg        Config
	publisher  Publisher
	metrics    *metrics
	log        *slog.Logger
	unverified *semaphore.Weighted // bytes of bodies beyond freeBytes each
	patience   time.Duration       // how long a body waits for bytes that others have to give back
	refusals   map[string]*minutely
	unlisted   *unlisted
	server     *http.Server
}

// New checks cfg and makes a webhook that stores through p.
func New(cfg Config, p Publisher) (*Webhook, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	h := &Webhook{
		cfg: cfg, publisher: p, metrics: newMetrics(cfg.Registry), log: cfg.Logger,
		unverified: semaphore.NewWeighted(cfg.MaxUnverifiedBytes), patience: time.Second,
		refusals: make(map[string]*minutely),
		unlisted: newUnlisted(cfg.Logger),
	}
	for _, f := range faults {
		h.refusals[f.code] = newMinutely(cfg.Logger, slog.LevelWarn, "refused webhooks", slog.String("code", f.code))
	}
	h.server = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      20 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
	// One request a connection. A proxy in front may read lines that end in LF alone, folded lines or
	// the chunks of HTTP/1.0 in another way; still no second request can hide in the first (RFC 9112
	// §11.2).
	h.server.SetKeepAlivesEnabled(false)
	return h, nil
}

// Serve answers on ln until Shutdown.
func (h *Webhook) Serve(ln net.Listener) error {
	err := h.server.Serve(&listener{Listener: ln, limit: h.cfg.MaxConns, dropped: h.metrics.dropped.Inc})
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown closes the listener and waits for the requests under way, at most until ctx ends.
func (h *Webhook) Shutdown(ctx context.Context) error { return h.server.Shutdown(ctx) }

// Warnings returns what an operator has to mend while events are taken all the same.
func (h *Webhook) Warnings(context.Context) []string {
	return h.unlisted.warnings(h.cfg.Signers.current.Load())
}

// Path is where the webhook listens.
const Path = "/stripe/webhook"

// ServeHTTP verifies, keeps and answers, in this order: nothing is parsed before the signature is
// known to be good, and 200 is said only when every in-sync replica has the event. On any other
// status Stripe sends it again, for three days
// (https://docs.stripe.com/webhooks#automatic-retries), so there is no spool: its queue is safer
// than a disk here.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	received := time.Now()
	signature := r.Header.Get("Stripe-Signature")
	if f := h.route(w, r, signature); f != nil {
		h.refuse(w, r, f)
		return
	}
	body, release, f := h.read(w, r)
	if f != nil {
		h.refuse(w, r, f)
		return
	}
	signers := h.cfg.Signers.current.Load()
	fits, f := h.verify(signers, body, signature)
	release()
	if f != nil {
		h.refuse(w, r, f)
		return
	}
	if c := connOf(r); c != nil {
		c.proven()
	}
	event, key, err := parseEvent(body, received)
	if err != nil {
		h.refuse(w, r, errMalformed.because(err))
		return
	}
	if event.Account, event.Unlisted, f = signers.admit(fits, event.Account, event.Livemode); f != nil {
		h.refuse(w, r, f)
		return
	}
	// Whoever has ended his half of the connection may still wait for the answer, and net/http takes
	// him for gone. The publisher has its own deadline.
	ctx := context.WithoutCancel(r.Context())
	if _, err := h.publisher.Publish(ctx, schemas.StripeRecord(event, key)); err != nil {
		h.log.Error("store a webhook: Stripe will send it again", "event", event.ID, "type", event.Type, "error", err)
		h.refuse(w, r, errUnavailable)
		return
	}
	h.count(event)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"received":true}`) // Stripe reads the status only
}

// count counts a stored event, and remembers whom it is of if nobody knows.
func (h *Webhook) count(e *schemas.StripeEvent) {
	h.metrics.accepted.WithLabelValues(strconv.FormatBool(e.Livemode)).Inc()
	if e.Thin {
		h.metrics.thin.Inc()
	}
	if e.Unlisted != "" {
		h.metrics.unlisted.Inc()
		h.unlisted.add(accountMode{e.Account, e.Livemode})
	}
}

// route refuses what is wrong before the body is read. The path must be written as it is: a proxy
// that protects other paths by their spelling may know no other.
func (h *Webhook) route(w http.ResponseWriter, r *http.Request, signature string) *fault {
	switch {
	case r.URL.Path != Path || r.URL.RawPath != "":
		return errNotFound
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return errMethod
	case ambiguous(r):
		return errFraming
	case r.ContentLength > h.cfg.MaxBodyBytes:
		return errTooLarge
	}
	// With no body and no secret only the header itself can be found wrong.
	return verdict(webhook.ValidatePayloadWithTolerance(nil, signature, "", h.cfg.Tolerance), true)
}

// freeBytes of each body are bounded by the number of connections alone. Most events fit.
const freeBytes = 16 << 10

// read reads the body as it arrives: nobody is given memory for bytes that are announced and not
// sent. Until release the bytes beyond freeBytes count against MaxUnverifiedBytes.
func (h *Webhook) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), f *fault) {
	held := int64(0)
	release = func() { h.unverified.Release(held) }
	defer func() {
		if f != nil {
			release()
		}
	}()
	limited := http.MaxBytesReader(w, r.Body, h.cfg.MaxBodyBytes)
	body = make([]byte, 0, freeBytes)
	for {
		if len(body) == cap(body) {
			larger := min(2*int64(cap(body)), h.cfg.MaxBodyBytes+1)
			more := larger - int64(cap(body))
			if !h.acquire(r, more) {
				return nil, release, errBusy
			}
			held += more
			body = append(make([]byte, 0, larger), body...)
		}
		n, err := limited.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var tooLarge *http.MaxBytesError
		switch {
		case errors.Is(err, io.EOF):
			return body, release, nil
		case errors.As(err, &tooLarge):
			return nil, release, errTooLarge
		case err != nil:
			return nil, release, errUnreadable
		}
	}
}

// acquire takes n bytes of unverified, which older connections have to give back if there are too
// few, and reports whether it has them.
func (h *Webhook) acquire(r *http.Request, n int64) bool {
	c := connOf(r)
	if !h.unverified.TryAcquire(n) {
		if c == nil || !c.listener.makeRoom(c, n) {
			return false
		}
		ctx, cancel := context.WithTimeout(r.Context(), h.patience)
		defer cancel()
		if h.unverified.Acquire(ctx, n) != nil {
			return false
		}
	}
	if c != nil {
		c.hold(n)
	}
	return true
}

// verify returns the secrets that fit the signature: more than one while a secret is being rolled.
// webhook.ConstructEvent is not used: in this version of the library it refuses every event whose
// api_version is not its own 2023-10-16, however well signed.
func (h *Webhook) verify(s *signers, body []byte, header string) ([]*signer, *fault) {
	var fits []*signer
	var last error
	for _, signer := range s.signers { // all of them, so that the delay does not show which one matched
		err := webhook.ValidatePayloadWithTolerance(body, header, signer.secret, h.cfg.Tolerance)
		if err == nil {
			fits = append(fits, signer)
		} else {
			last = err
		}
	}
	if len(fits) > 0 {
		return fits, nil
	}
	return nil, verdict(last, false)
}
