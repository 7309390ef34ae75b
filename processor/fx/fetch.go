package fx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"tributary/schemas"
)

// Fetch reads the source and returns what it gives, at least one usable rate. What cannot be a rate
// has a Fault and leaves out its currency on its day, never another. An error refuses the whole
// source: it cannot be reached, is something else (a web page, an answer that says an error), is
// cut off or damaged, has a day that cannot be read, or holds no usable rate. At most 32 MiB are
// read; an address has a minute to answer.
func (s Source) Fetch(ctx context.Context) ([]Rate, error) {
	if s.fetch == nil {
		return nil, errors.New("fetch rates: there is nothing to read; make the source with ParseSources")
	}
	fetchedAt := s.now().UTC().Truncate(time.Millisecond)
	rates, err := s.fetch(s, ctx, fetchedAt)
	if err != nil {
		return nil, fmt.Errorf("fetch rates of %s: %w", s.name, err)
	}
	rates = withoutContradictions(rates)
	usable := 0
	for i := range rates {
		if !rates[i].Date.storable() {
			return nil, fmt.Errorf("fetch rates of %s: day %s is not from %s to %s", s.name, rates[i].Date,
				Date(0), maxDate)
		}
		rates[i].Source, rates[i].FetchedAt = s.name, fetchedAt
		if rates[i].Fault == "" {
			usable++
		}
	}
	switch {
	case len(rates) == 0:
		return nil, fmt.Errorf("fetch rates of %s: %s holds no rate", s.name, s.Location())
	case usable == 0:
		return nil, fmt.Errorf("fetch rates of %s: %s holds no usable rate; the first of them: %s",
			s.name, s.Location(), rates[0])
	}
	return rates, nil
}

// CheckFiles reports every source on this host that cannot be read. Addresses are not asked.
func CheckFiles(ctx context.Context, sources []Source) error {
	var faults []error
	for _, source := range sources {
		if source.builtIn() || isURL(source.location) {
			continue
		}
		if _, err := source.Fetch(ctx); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (s Source) fetchECB(ctx context.Context, _ time.Time) ([]Rate, error) {
	return s.fetchOne(ctx, parseECB)
}

func (s Source) fetchFile(ctx context.Context, _ time.Time) ([]Rate, error) {
	return s.fetchOne(ctx, parseFile)
}

func (s Source) fetchOne(ctx context.Context, parse func([]byte) ([]Rate, error)) ([]Rate, error) {
	data, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rates, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Location(), err)
	}
	return rates, nil
}

func (s Source) read(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !isURL(s.location) {
		file, err := schemas.OpenFile(s.location)
		if err != nil {
			return nil, fmt.Errorf("%w (hint: give the path of a readable file)", err)
		}
		defer file.Close()
		return readBounded(file, s.location)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.location, nil)
	if err != nil {
		return nil, fmt.Errorf("build request for %s: not a usable address", s.Location())
	}
	response, err := s.client.Do(request)
	if err != nil {
		var failed *url.Error // says the whole address, and so a key in it
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("get %s: %w (hint: if this host may not reach the address, "+
			"download the file and give its path)", s.Location(), err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, statusError(s.Location(), response.Status, response.StatusCode)
	}
	return readBounded(response.Body, s.Location())
}

func readBounded(r io.Reader, what string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSourceBytes+1))
	if errors.Is(err, syscall.EISDIR) {
		return nil, fmt.Errorf("%w (hint: give the path of a file)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if len(data) > maxSourceBytes {
		return nil, fmt.Errorf("read %s: it has more than %d MiB (hint: this is not a table of rates)", what,
			maxSourceBytes>>20)
	}
	return data, nil
}

func isURL(location string) bool {
	return strings.HasPrefix(location, "http://") || strings.HasPrefix(location, "https://")
}

func isSourceName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' ||
			c == '_') {
			return false
		}
	}
	return true
}
