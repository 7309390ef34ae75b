package send

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Client posts bodies. It is safe for concurrent use.
type Client struct {
	// Attempts bounds how often one body is posted while the answer is 429, 502, 503 or none. All
	// traffic is idempotent (click ids and event ids are in the bodies), so posting twice what was
	// stored once changes nothing. Measurements set 1: a retry would hide what they measure.
	Attempts int
	http     *fasthttp.Client
}

// NewClient makes a client with at most so many connections per host.
func NewClient(connections, attempts int) *Client {
	return &Client{Attempts: attempts, http: &fasthttp.Client{
		Name: "tributary-loadgen", MaxConnsPerHost: connections, MaxConnWaitTimeout: 10 * time.Second,
		ReadTimeout: 15 * time.Second, WriteTimeout: 15 * time.Second, MaxResponseBodySize: 4 << 20,
		DisablePathNormalizing: true,
	}}
}

// Refused is an answer other than 2xx.
type Refused struct {
	Status  int
	Code    string // of Tributary's error body; empty when the body is another's
	Message string
	Hint    string
}

func (r *Refused) Error() string {
	text := strconv.Itoa(r.Status)
	if r.Code != "" {
		text += " " + r.Code
	}
	if r.Message != "" {
		text += ": " + r.Message
	}
	if r.Hint != "" {
		text += " (hint: " + r.Hint + ")"
	}
	return text
}

// header is one request header.
type header struct{ name, value string }

// post sends one body and answers the body of a 2xx answer; any other answer is a *Refused. Headers
// are made afresh for each attempt, because a signature ages.
func (c *Client) post(ctx context.Context, url string, body []byte, headers func() []header) ([]byte, error) {
	wait := 100 * time.Millisecond
	for attempt := 1; ; attempt++ {
		answer, after, err := c.once(ctx, url, body, headers())
		if err == nil || ctx.Err() != nil || attempt >= c.Attempts || !worthAnother(err) {
			return answer, err
		}
		pause := max(wait, min(after, 5*time.Second)) + rand.N(wait/2)
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
		wait = min(2*wait, 2*time.Second)
	}
}

func worthAnother(err error) bool {
	var r *Refused
	if !errors.As(err, &r) {
		return true // no answer at all
	}
	switch r.Status {
	case 429, 502, 503, 504:
		return true
	}
	return false
}

func (c *Client) once(ctx context.Context, url string, body []byte, headers []header) (answer []byte,
	retryAfter time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	req.SetRequestURI(url)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType("application/json")
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	req.SetBodyRaw(body)
	if err := c.http.DoTimeout(req, res, 15*time.Second); err != nil {
		return nil, 0, fmt.Errorf("post %s: %w", url, err)
	}
	answer = append(answer, res.Body()...)
	if status := res.StatusCode(); status < 200 || status > 299 {
		if s, err := strconv.Atoi(string(res.Header.Peek("Retry-After"))); err == nil {
			retryAfter = time.Duration(s) * time.Second
		}
		return nil, retryAfter, refusal(status, answer)
	}
	return answer, 0, nil
}

// refusal reads Tributary's error body, or keeps the beginning of another's.
func refusal(status int, body []byte) *Refused {
	r := &Refused{Status: status}
	var e struct {
		Error struct{ Code, Message, Hint string }
	}
	if json.Unmarshal(body, &e) == nil && e.Error.Code != "" {
		r.Code, r.Message, r.Hint = e.Error.Code, e.Error.Message, e.Error.Hint
		return r
	}
	r.Message = strings.TrimSpace(string(body[:min(len(body), 120)]))
	return r
}
