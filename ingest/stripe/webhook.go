// Package stripe is the webhook that Stripe calls: it proves who sent an event and keeps it byte for byte.
package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// Publisher stores records: nil means stored. publish.Publisher is one.
type Publisher interface {
	Publish(ctx context.Context, records ...*kgo.Record) error
}

// Webhook answers POST /stripe/webhook. It is an http.Handler.
type Webhook struct {
	cfg       Config
	publisher Publisher
	metrics   *metrics
	log       *slog.Logger
}

// New checks cfg and makes a webhook that stores through p.
func New(cfg Config, p Publisher) (*Webhook, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Webhook{cfg: cfg, publisher: p, metrics: newMetrics(cfg.Registry), log: cfg.Logger}, nil
}

// Path is where the webhook listens.
const Path = "/stripe/webhook"

// ServeHTTP verifies, keeps and answers, in this order: nothing is parsed before the signature is known to be good, and
// 200 is said only when every in-sync replica has the event. On any other status Stripe sends it again, for three days
// (https://docs.stripe.com/webhooks#automatic-retries), so there is no spool: its queue is safer than a disk here.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	received := time.Now()
	switch {
	case r.URL.Path != Path:
		h.refuse(w, errNotFound)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		h.refuse(w, errMethod)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.cfg.MaxBodyBytes))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			h.refuse(w, errTooLarge)
			return
		}
		h.refuse(w, errUnreadable)
		return
	}
	if f := h.verify(body, r.Header.Get("Stripe-Signature")); f != nil {
		h.log.Warn("refuse a webhook", "code", f.code, "remote", r.RemoteAddr)
		h.refuse(w, f)
		return
	}
	event, key, err := parseEvent(body, received)
	if err != nil {
		h.log.Warn("refuse a signed webhook", "error", err)
		h.refuse(w, errMalformed)
		return
	}
	if err := h.publisher.Publish(r.Context(), schemas.StripeRecord(event, key)); err != nil {
		h.log.Error("store a webhook: Stripe will send it again", "event", event.ID, "type", event.Type, "error", err)
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(h.cfg.RetryAfter/time.Second))))
		h.refuse(w, errUnavailable)
		return
	}
	h.metrics.accepted.WithLabelValues(strconv.FormatBool(event.Livemode)).Inc()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"received":true}`) // Stripe reads the status only
}

// verify checks the signature against every secret. webhook.ConstructEvent is not used: in this version of the library it
// refuses every event whose api_version is not its own 2023-10-16, however well signed.
func (h *Webhook) verify(body []byte, header string) *fault {
	result := errSignature
	for _, secret := range h.cfg.Secrets { // all of them, so that the delay does not tell which one matched
		err := webhook.ValidatePayloadWithTolerance(body, header, secret, h.cfg.Tolerance)
		switch {
		case err == nil:
			result = nil
		case result == nil:
		case errors.Is(err, webhook.ErrNotSigned):
			result = errNotSigned
		case errors.Is(err, webhook.ErrTooOld):
			result = errTooOld
		}
	}
	return result
}

// fault is one reason to refuse: what the sender is told, and what is counted.
type fault struct {
	status              int
	code, message, hint string
}

var (
	errNotSigned   = &fault{400, "not_signed", "there is no Stripe-Signature header", "only Stripe calls this address; for tests: stripe trigger checkout.session.completed"}
	errSignature   = &fault{400, "bad_signature", "the signature fits no secret", "compare --stripe-webhook-secrets with the endpoint's signing secret; a proxy must not change the body"}
	errTooOld      = &fault{400, "signature_too_old", "the signature's timestamp is too old", "is this machine's clock right?"}
	errMalformed   = &fault{400, "bad_event", "the body is not a Stripe event", "see https://docs.stripe.com/api/events/object"}
	errUnreadable  = &fault{400, "unreadable", "the body did not arrive in full", "send it again"}
	errNotFound    = &fault{404, "not_found", "there is nothing at this address", "POST " + Path}
	errMethod      = &fault{405, "method_not_allowed", "this address takes POST only", "POST " + Path}
	errTooLarge    = &fault{413, "too_large", "the body is larger than 1 MiB", "Stripe's events are smaller"}
	errUnavailable = &fault{503, "unavailable", "the event cannot be stored now", "send it again later"}
)

var faults = []*fault{errNotSigned, errSignature, errTooOld, errMalformed, errUnreadable, errNotFound, errMethod, errTooLarge, errUnavailable}

func (h *Webhook) refuse(w http.ResponseWriter, f *fault) {
	h.metrics.rejected[f.code].Inc()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	answer := map[string]map[string]string{"error": {"code": f.code, "message": f.message, "hint": f.hint}}
	_ = json.NewEncoder(w).Encode(answer) // the sender may have gone
}

// Server is an http.Server for h with limits for a listener that faces the internet.
func (h *Webhook) Server() *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
}
