package send

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
)

// Webhook sends Stripe's events.
type Webhook struct {
	Client *Client
	URL    string // with path
	Secret string // whsec_…
}

// WebhookURL adds the webhook's path to an address that has none.
func WebhookURL(address string, remote bool) (string, error) {
	u, err := Target(address, remote)
	if err != nil {
		return "", err
	}
	if _, rest, _ := strings.Cut(u, "://"); !strings.Contains(rest, "/") {
		u += "/stripe/webhook"
	}
	return u, nil
}

// errNoSecret says that events cannot be signed.
var errNoSecret = errors.New("sign events: no webhook secret (hint: --secret; `make run` prints the one it made)")

// FirstSecret is the one to sign with, of a comma separated list as the webhook takes it.
func FirstSecret(list string) (string, error) {
	for s := range strings.SplitSeq(list, ",") {
		if s = strings.TrimSpace(s); s != "" {
			return s, nil
		}
	}
	return "", errNoSecret
}

// Deliver signs one event body, as of now, and posts it.
func (w *Webhook) Deliver(ctx context.Context, body []byte) error {
	_, err := w.Client.post(ctx, w.URL, body, func() []header {
		signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: w.Secret,
			Timestamp: time.Now()})
		return []header{{"Stripe-Signature", signed.Header}}
	})
	return err
}
