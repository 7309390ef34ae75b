package stripe

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what the webhook needs to know. Start from Default.
type Config struct {
	// Secrets are the signing secrets (whsec_…) of all endpoints that send here: live, test, Connect, and while one is
	// being rolled, the old and the new.
	Secrets []string
	// Tolerance is how old a signature's timestamp may be; Stripe's own libraries use 300 s. Every delivery is signed anew,
	// so that a retry three days later is fresh.
	Tolerance time.Duration
	// MaxBodyBytes of one event.
	MaxBodyBytes int64
	// RetryAfter is what a 503 tells, in whole seconds. Stripe follows its own schedule for three days.
	RetryAfter time.Duration

	Registry *prometheus.Registry // nil: metrics are kept but not exposed
	Logger   *slog.Logger         // nil: slog.Default()
}

// Default is the Config of the documented limits. Secrets are left to the caller.
func Default() Config {
	return Config{Tolerance: 300 * time.Second, MaxBodyBytes: 1 << 20, RetryAfter: 5 * time.Second}
}

// Validate reports every fault of c at once, each with a hint.
func (c Config) Validate() error {
	var faults []error
	if len(c.Secrets) == 0 {
		faults = append(faults, errors.New("stripe webhook secrets: none given (hint: --stripe-webhook-secrets whsec_…; Stripe shows it beside the endpoint, or `stripe listen --print-secret`)"))
	}
	for i, s := range c.Secrets {
		switch {
		case strings.HasPrefix(s, "sk_") || strings.HasPrefix(s, "rk_") || strings.HasPrefix(s, "pk_"):
			faults = append(faults, fmt.Errorf("stripe webhook secrets: number %d is an API key (hint: the signing secret begins with whsec_)", i+1))
		case len(s) < 8 || strings.TrimSpace(s) != s:
			// An empty secret would let everyone sign.
			faults = append(faults, fmt.Errorf("stripe webhook secrets: number %d is empty, very short or has spaces around it (hint: whsec_…)", i+1))
		}
	}
	if c.Tolerance <= 0 {
		faults = append(faults, fmt.Errorf("stripe tolerance: %s is not positive (hint: 300s)", c.Tolerance))
	}
	if c.MaxBodyBytes < 64<<10 {
		faults = append(faults, fmt.Errorf("stripe body limit: %d bytes would refuse ordinary invoices (hint: 1048576)", c.MaxBodyBytes))
	}
	return errors.Join(faults...)
}
