package stripe

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what the webhook needs to know. Start from Default.
type Config struct {
	// Signers hold the signing secrets of all endpoints that send here: live, test, Connect, and
	// while one is being rolled, the old and the new.
	Signers *Signers
	// Tolerance is how old a signature's timestamp may be; Stripe's own libraries use 300 s. Every
	// delivery is signed anew, so that a retry three days later is fresh.
	Tolerance time.Duration
	// MaxBodyBytes of one event.
	MaxBodyBytes int64
	// MaxUnverifiedBytes that all bodies together may hold beyond their first 16 KiB, before their
	// signatures are known. Who needs more takes them from the oldest that hold some.
	MaxUnverifiedBytes int64
	// MaxConns are the connections that may be open at a time and have not shown a good signature; the
	// oldest is closed for the next one.
	MaxConns int
	// RetryAfter is the value of that header in a 503, in whole seconds. Stripe follows its own
	// schedule for three days.
	RetryAfter time.Duration

	Registry *prometheus.Registry // nil: metrics are kept but not exposed
	Logger   *slog.Logger         // nil: slog.Default()
}

// Default is the Config of the documented limits. Signers are left to the caller.
func Default() Config {
	return Config{
		Tolerance: 300 * time.Second, MaxBodyBytes: 1 << 20, MaxUnverifiedBytes: 32 << 20,
		MaxConns: 1024, RetryAfter: 5 * time.Second,
	}
}

// Validate reports every fault of c at once, each with a hint.
func (c Config) Validate() error {
	var faults []error
	if c.Signers == nil {
		faults = append(faults, errors.New("stripe webhook secrets: none given (hint: NewSigners)"))
	}
	if c.Tolerance <= 0 {
		faults = append(faults, fmt.Errorf("stripe tolerance: %s is not positive (hint: 300s)", c.Tolerance))
	}
	if c.MaxBodyBytes < 64<<10 {
		faults = append(faults, fmt.Errorf("stripe body limit: %d bytes would refuse ordinary invoices "+
			"(hint: 1048576)", c.MaxBodyBytes))
	}
	if c.MaxUnverifiedBytes < c.MaxBodyBytes {
		faults = append(faults, fmt.Errorf("stripe bytes before the signature: %d are less than one body of %d "+
			"(hint: 33554432)", c.MaxUnverifiedBytes, c.MaxBodyBytes))
	}
	if c.MaxConns < 1 {
		faults = append(faults, fmt.Errorf("stripe connections: %d (hint: 1024)", c.MaxConns))
	}
	return errors.Join(faults...)
}
