package fx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// maxSourceBytes bounds what is read of a source, and what is unpacked of a zip. The bank's whole history since 1999
	// is 2 MB unpacked.
	maxSourceBytes = 32 << 20
	fetchTimeout   = 60 * time.Second
)

// Source is one place that rates are read from. Make it with ParseSource.
type Source struct {
	name     string // what Rate.Source says
	location string // a path, or an http(s) address
	parse    func(data []byte, source string, fetchedAt time.Time) ([]Rate, error)
	client   *http.Client
	now      func() time.Time
}

// ParseSource reads the value of the flag --fx-source:
//
//	ecb:FILE or ecb:URL   the European Central Bank's "Euro foreign exchange reference rates": the zip or the CSV of the
//	                      time series or of the day, or any eurofxref XML; named "ecb"
//	file:PATH             a CSV file with the header date,currency,usd (USD per major unit); named "file:" and the file's
//	                      name without .csv, so that file:/etc/rates/demo-rates.csv is "file:demo-rates"
//
// A suffix ",name=NAME" gives another name: "ecb:NAME", "file:NAME". The name is what the ledger's fx_source says. Nothing
// is opened here.
func ParseSource(spec string) (Source, error) {
	kind, location, found := strings.Cut(spec, ":")
	if !found {
		return Source{}, fmt.Errorf("parse fx source %q: want ecb:FILE, ecb:URL or file:PATH", spec)
	}
	name := ""
	if at := strings.LastIndex(location, ",name="); at >= 0 {
		location, name = location[:at], location[at+len(",name="):]
		if !isSourceName(name) {
			return Source{}, fmt.Errorf("parse fx source %q: name %q: want 1 to 64 letters, digits, dots, dashes or underscores", spec, name)
		}
	}
	if location == "" {
		return Source{}, fmt.Errorf("parse fx source %q: nothing follows %s:; want ecb:FILE, ecb:URL or file:PATH", spec, kind)
	}
	source := Source{location: location, client: &http.Client{Timeout: fetchTimeout}, now: time.Now}
	switch kind {
	case "ecb":
		if isURL(location) {
			if u, err := url.Parse(location); err != nil || u.Host == "" {
				return Source{}, fmt.Errorf("parse fx source %q: not a usable address", spec)
			}
		}
		source.parse = parseECB
		source.name = "ecb"
		if name != "" {
			source.name += ":" + name
		}
	case "file":
		if isURL(location) {
			return Source{}, fmt.Errorf("parse fx source %q: file: reads a local path; download the file first, or use ecb: for the bank's own files", spec)
		}
		source.parse = parseFile
		if name == "" {
			name = strings.TrimSuffix(filepath.Base(location), ".csv")
		}
		source.name = "file:" + name
	case "oxr":
		return Source{}, fmt.Errorf("parse fx source %q: Open Exchange Rates is not supported yet; export its rates to a CSV (date,currency,usd) and use file:PATH", spec)
	default:
		return Source{}, fmt.Errorf("parse fx source %q: unknown kind %q; want ecb:FILE, ecb:URL or file:PATH", spec, kind)
	}
	return source, nil
}

// ParseSources reads several values of the flag, most preferred first, and reports all faults at once. Two sources of one
// name are refused: their rates could not be told apart once stored.
func ParseSources(specs []string) ([]Source, error) {
	var faults []error
	sources := make([]Source, 0, len(specs))
	seen := make(map[string]string, len(specs))
	for _, spec := range specs {
		source, err := ParseSource(spec)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if earlier, twice := seen[source.name]; twice {
			faults = append(faults, fmt.Errorf("parse fx source %q: it has the same name (%s) as %q; append ,name=NAME to one of them", spec, source.name, earlier))
			continue
		}
		seen[source.name] = spec
		sources = append(sources, source)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return sources, nil
}

// Name is what the rates of this source say in Rate.Source.
func (s Source) Name() string { return s.name }

// Location is the path or the address that is read.
func (s Source) Location() string { return s.location }

// Fetch reads the source and returns all its rates. One fault in it fails the whole: half a table of rates would convert
// some money at yesterday's rate without a word. At most 32 MiB are read; an address has a minute to answer.
func (s Source) Fetch(ctx context.Context) ([]Rate, error) {
	if s.parse == nil {
		return nil, errors.New("fetch rates: the source is empty; make it with ParseSource")
	}
	fetchedAt := s.now().UTC().Truncate(time.Millisecond)
	data, err := s.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("fetch rates of %s: %w", s.name, err)
	}
	rates, err := s.parse(data, s.name, fetchedAt)
	if err != nil {
		return nil, fmt.Errorf("fetch rates of %s: read %s: %w", s.name, s.location, err)
	}
	if len(rates) == 0 {
		return nil, fmt.Errorf("fetch rates of %s: %s holds no rate", s.name, s.location)
	}
	return rates, nil
}

func (s Source) read(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !isURL(s.location) {
		file, err := os.Open(s.location)
		if err != nil {
			return nil, fmt.Errorf("%w; give the path of a readable file", err)
		}
		defer file.Close()
		return readBounded(file, s.location)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.location, nil)
	if err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w; if this host may not reach the address, download the file and give its path", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: answered %s; check the address", s.location, response.Status)
	}
	return readBounded(response.Body, s.location)
}

func readBounded(r io.Reader, what string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSourceBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if len(data) > maxSourceBytes {
		return nil, fmt.Errorf("read %s: more than %d MiB; this is not a table of rates", what, maxSourceBytes>>20)
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
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
