package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// dialTimeout is how long an address may take to accept a connection.
	dialTimeout = 2 * time.Second
	// silence is how long an address may be silent until the next one is asked, less where the
	// question has less time: as long as the processor waits for a connection.
	silence = 5 * time.Second
)

var errSilent = errors.New("it did not answer in time")

// toOne sends a statement to the address that answered last, and to the next one when that cannot be
// reached or is silent. A question that takes long is not silence: the address says meanwhile that
// it is there. Where a proxy says so for a server that is not, the question fails when its time is
// over, and the next one begins with the next address: a server would have ended it before.
func (a *Asker) toOne(ctx context.Context, query, text string) (response *http.Response, err error) {
	first := int(a.last.Load())
	for i := range a.addresses {
		at := (first + i) % len(a.addresses)
		if response, err = a.to(ctx, a.addresses[at], len(a.addresses)-i, query, text); err == nil {
			return response, nil
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			break // nobody waits for the answer: that says nothing of the address
		}
		a.last.CompareAndSwap(int64(at), int64((at+1)%len(a.addresses)))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// to sends a statement to an address, one of some that are left to try. The last one is waited for
// while there is time.
func (a *Asker) to(ctx context.Context, address string, left int, query, text string) (*http.Response, error) {
	patience := silence
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)/time.Duration(left))
	}
	ctx, leave := context.WithCancelCause(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"?"+query, strings.NewReader(text))
	if err != nil {
		leave(nil)
		return nil, err
	}
	for name, value := range a.options.HttpHeaders {
		request.Header.Set(name, value)
	}
	if a.options.Auth.Username != "" {
		request.SetBasicAuth(a.options.Auth.Username, a.options.Auth.Password)
	}
	waiting, answered := context.WithCancel(ctx)
	var silent bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for waiting.Err() == nil {
			is := a.silent(waiting, address, patience)
			if waiting.Err() == nil {
				silent = is
			}
			if silent && left > 1 {
				leave(errSilent)
			}
		}
	}()
	response, err := a.client.Do(request)
	answered()
	<-ended
	if err == nil && ctx.Err() == nil {
		response.Body = &body{response.Body, leave}
		return response, nil
	}
	if err == nil { // just when it was left
		response.Body.Close()
		err = context.Cause(ctx)
	}
	leave(nil)
	if silent {
		err = fmt.Errorf("ask %s: %w", request.URL.Host, errSilent)
	}
	return nil, err
}

// silent reports whether an address that works on a question does not answer a ping, with patience
// for both together. It returns when ctx ends, too.
func (a *Asker) silent(ctx context.Context, address string, patience time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(patience / 5):
	}
	limited, cancel := context.WithTimeout(ctx, patience*4/5)
	defer cancel()
	ping, err := http.NewRequestWithContext(limited, http.MethodGet, strings.TrimSuffix(address, "/")+"/ping", nil)
	if err != nil {
		return false // the question itself says what is wrong
	}
	response, err := a.client.Do(ping)
	if err != nil {
		return ctx.Err() == nil
	}
	response.Body.Close()
	return false
}

// body is the body of an answer; closing it frees what watched over the answer.
type body struct {
	io.ReadCloser
	leave context.CancelCauseFunc
}

func (b *body) Close() error {
	defer b.leave(nil)
	return b.ReadCloser.Close()
}
