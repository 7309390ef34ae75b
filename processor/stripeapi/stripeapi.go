// Package stripeapi reads Stripe's API, and repeats requests that fail for a reason that may end by
// itself.
package stripeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/cenkalti/backoff/v5"
)

// Version pins the shape of objects of /v1. It does not bear on events, whose shape Stripe has
// fixed when it made them.
const Version = "2023-10-16"

// InvoicePaymentsVersion is the oldest version that has invoice payments.
const InvoicePaymentsVersion = "2025-03-31.basil"

// Keys are API keys, at most one of each mode. They never stand in an error or a log line.
type Keys struct{ live, test string }

// ParseKeys reads one key, or one of each mode, separated by a comma or white space.
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	for _, key := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		kind, mode, _ := strings.Cut(key, "_")
		mode, _, _ = strings.Cut(mode, "_")
		place := &keys.live
		if mode == "test" {
			place = &keys.test
		}
		switch {
		case kind != "rk" && kind != "sk" || mode != "live" && mode != "test":
			return Keys{}, errors.New("stripe api key: one is of no known kind " +
				"(hint: a restricted key, rk_live_… or rk_test_…, with read access)")
		case *place != "":
			return Keys{}, fmt.Errorf("stripe api key: there are two of mode %s (hint: at most one live and one test key)", mode)
		}
		*place = key
	}
	return keys, nil
}

// Empty reports whether there is no key at all.
func (k Keys) Empty() bool { return k.live == "" && k.test == "" }

// Check returns why no key reads a mode. Stripe itself does not refuse the other mode's key: it
// answers with the other mode's objects.
func (k Keys) Check(livemode bool) error {
	switch {
	case livemode && k.live == "":
		return errors.New("the stripe api key is of test mode (hint: give one of live mode, or --test)")
	case !livemode && k.test == "":
		return errors.New("the stripe api key is of live mode (hint: give one of test mode, or leave out --test)")
	}
	return nil
}

// of returns the key of a mode, else the only one there is: Stripe's answer says then that it does
// not fit.
func (k Keys) of(livemode bool) string {
	if livemode && k.live != "" || k.test == "" {
		return k.live
	}
	return k.test
}

// Client reads Stripe's API.
type Client struct {
	Base string // https://api.stripe.com
	Keys Keys
	HTTP *http.Client
	// Patience bounds how long a request is tried again; 0: until its context ends.
	Patience time.Duration
	Log      *slog.Logger

	ahead atomic.Int64 // nanoseconds
}

// Ahead returns how far this machine's clock is ahead of Stripe's, by the last answer; negative: it
// is behind.
func (c *Client) Ahead() time.Duration { return time.Duration(c.ahead.Load()) }

// CheckBase returns why an address must not be asked with a key: only TLS keeps it, and this
// machine.
func CheckBase(base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("stripe api base: %q is no address (hint: https://api.stripe.com)", base)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("stripe api base: %q would carry the key in clear "+
			"(hint: https://…, or http://127.0.0.1:… for a test)", base)
	}
	return nil
}

// Request is what is asked. Account is a connected account; empty: the key's own.
type Request struct {
	Path     string // /v1/…, with its query
	Account  string
	Livemode bool
	Version  string
}

// Refused is an answer that no second try makes better.
type Refused struct {
	Status  int
	Code    string // Stripe's, such as resource_missing (https://docs.stripe.com/error-codes)
	Message string // Stripe's own words
}

// Error says what Stripe answered.
func (r *Refused) Error() string {
	return fmt.Sprintf("Stripe answers %d %s: %s", r.Status, http.StatusText(r.Status), r.Message)
}

// ErrNoMore says that a list has more objects and gives none, so that no next page can be asked
// for.
var ErrNoMore = errors.New("Stripe says that there is more, and gives an empty page (hint: run the command again)")

// maxAnswer bounds an answer in bytes: a page of a hundred objects is far below it.
const maxAnswer = 64 << 20

// Get returns the body of Stripe's answer. It asks again after 429, 5xx and a broken connection,
// not before Retry-After has passed (https://docs.stripe.com/rate-limits,
// https://docs.stripe.com/error-low-level). A *Refused is final.
func (c *Client) Get(ctx context.Context, r Request) ([]byte, error) {
	wait := backoff.NewExponentialBackOff()
	wait.Multiplier, wait.MaxInterval = 2, 20*time.Second
	warn := func(err error, in time.Duration) {
		c.Log.Warn("ask Stripe; trying again", "path", r.Path, "in", in.Round(time.Millisecond), "error", err)
	}
	return backoff.Retry(ctx, func() ([]byte, error) {
		body, err := c.try(ctx, r)
		var refused *Refused
		if errors.As(err, &refused) {
			return nil, backoff.Permanent(err)
		}
		return body, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(c.Patience), backoff.WithNotify(warn))
}

func (c *Client) try(ctx context.Context, r Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 80*time.Second) // Stripe's own libraries wait as long
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+r.Path, nil)
	if err != nil {
		return nil, &Refused{Message: "the address cannot be used"}
	}
	request.Header.Set("Authorization", "Bearer "+c.Keys.of(r.Livemode))
	request.Header.Set("Stripe-Version", r.Version)
	if r.Account != "" {
		request.Header.Set("Stripe-Account", r.Account)
	}
	answer, err := c.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if at, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		c.ahead.Store(int64(time.Since(at)))
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode == http.StatusOK && len(body) > maxAnswer:
		return nil, &Refused{
			Status: answer.StatusCode, Message: fmt.Sprintf("the answer is larger than %d bytes", maxAnswer),
		}
	case answer.StatusCode == http.StatusOK:
		return body, nil
	}
	var text struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(body, &text) // a proxy's page has none
	refused := &Refused{answer.StatusCode, text.Error.Code, text.Error.Message}
	if answer.StatusCode != http.StatusTooManyRequests && answer.StatusCode < 500 {
		return nil, refused
	}
	passing := fmt.Errorf("Stripe answers %s: %s", answer.Status, text.Error.Message)
	if seconds, ok := retryAfter(answer.Header.Get("Retry-After")); ok {
		return nil, errors.Join(passing, backoff.RetryAfter(seconds))
	}
	return nil, passing
}

// mostPatience bounds a Retry-After, in seconds.
const mostPatience = 600

// retryAfter reads the header, a number of seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(text string) (seconds int, ok bool) {
	seconds, err := strconv.Atoi(text)
	if err != nil {
		at, err := http.ParseTime(text)
		if err != nil {
			return 0, false
		}
		seconds = int(time.Until(at).Seconds()) + 1
	}
	return min(max(seconds, 0), mostPatience), true
}
