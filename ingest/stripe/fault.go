package stripe

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
)

// verdict is the answer to what the library found. headerOnly: nothing was signed that a signature
// could fit.
func verdict(err error, headerOnly bool) *fault {
	switch {
	case errors.Is(err, webhook.ErrNotSigned):
		return errNotSigned
	case errors.Is(err, webhook.ErrTooOld):
		return errTooOld
	case headerOnly && !errors.Is(err, webhook.ErrInvalidHeader):
		return nil
	}
	return errSignature
}

// fault is one reason to refuse: what the sender is answered, and what is counted.
type fault struct {
	status              int
	code, message, hint string
}

// because returns the fault with a reason of its own for a hint.
func (f fault) because(err error) *fault {
	f.hint = err.Error() + "; see https://docs.stripe.com/api/events/object"
	return &f
}

var (
	errNotSigned = &fault{400, "not_signed", "there is no Stripe-Signature header",
		"only Stripe calls this address; for tests: stripe trigger checkout.session.completed"}
	errSignature = &fault{400, "bad_signature", "the signature fits no secret",
		"compare the configured secrets with the endpoint's signing secret; a proxy must not change the body"}
	errTooOld = &fault{400, "signature_too_old", "the signature's timestamp is too old",
		"is this machine's clock right?"}
	errWrongAccount = &fault{400, "wrong_account", "the secret does not sign for the event's account",
		"list the account beside this secret in the workspaces file, or use the endpoint's own secret"}
	errWrongMode = &fault{400, "wrong_mode", "the secret does not sign for the event's mode",
		"livemode of the workspaces file says otherwise; a Connect endpoint gets both modes: leave livemode out"}
	errMalformed = &fault{400, "bad_event", "the body is not a Stripe event",
		"see https://docs.stripe.com/api/events/object"}
	errFraming = &fault{400, "bad_request", "Content-Length and Transfer-Encoding contradict each other",
		"send one of them"}
	errUnreadable  = &fault{400, "unreadable", "the body did not arrive in full", "send it again"}
	errNotFound    = &fault{404, "not_found", "there is nothing at this address", "POST " + Path}
	errMethod      = &fault{405, "method_not_allowed", "this address takes POST only", "POST " + Path}
	errTooLarge    = &fault{413, "too_large", "the body is larger than 1 MiB", "Stripe's events are smaller"}
	errBusy        = &fault{503, "busy", "too many large bodies are arriving at once", "send it again later"}
	errUnavailable = &fault{503, "unavailable", "the event cannot be stored now", "send it again later"}
)

var faults = []*fault{
	errNotSigned, errSignature, errTooOld, errWrongAccount, errWrongMode, errMalformed, errFraming, errUnreadable,
	errNotFound, errMethod, errTooLarge, errBusy, errUnavailable,
}

// refuse answers, counts and logs. A log line is written once a minute for each code, since anybody
// may cause one.
func (h *Webhook) refuse(w http.ResponseWriter, r *http.Request, f *fault) {
	h.metrics.rejected[f.code].Inc()
	h.refusals[f.code].add(slog.String("hint", f.hint), slog.String("remote", r.RemoteAddr))
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(h.cfg.RetryAfter/time.Second))))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	answer := map[string]map[string]string{"error": {"code": f.code, "message": f.message, "hint": f.hint}}
	_ = json.NewEncoder(w).Encode(answer) // the sender may have gone
}
