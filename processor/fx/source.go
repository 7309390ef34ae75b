package fx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

const (
	// maxSourceBytes bounds what is read of a source, and what is unpacked of a zip. The bank's
	// whole history since 1999 is 2 MB unpacked.
	maxSourceBytes = 32 << 20
	fetchTimeout   = 60 * time.Second
)

// Source is one place that rates are read from. Make it with ParseSources.
type Source struct {
	name     string // what Rate.Source says
	location string // a path, or an http(s) address
	fetch    func(s Source, ctx context.Context, fetchedAt time.Time) ([]Rate, error)
	client   *http.Client
	now      func() time.Time
}

// pegsName is the name of the built-in source: Pegs.
const pegsName = "pegs"

const wantSource = "(hint: ecb:FILE|URL, oxr:FILE|DIR|URL, file:PATH or pegs)"

// parseSource reads the value of the flag --fx-source:
//
//	ecb:FILE or ecb:URL   the European Central Bank's "Euro foreign exchange reference rates": the zip
//	                      or the CSV of the time series or of the day, or any eurofxref XML; named "ecb"
//	oxr:FILE, oxr:DIR or oxr:URL   Open Exchange Rates: an answer of its API, a directory of them, or the
//	                      address; {date} in the address is replaced by each of the last ten days; named "oxr"
//	file:PATH             a CSV file of the operator, USD per major unit (see fileColumns); named "file:"
//	                      and the file's name without .csv: file:/etc/rates/desk.csv is "file:desk"
//	pegs                  the built-in fixed rates (BuiltInPegs); named "pegs"
//
// A suffix ",name=NAME" gives another name: "ecb:NAME", "oxr:NAME", "file:NAME". The name is what
// the ledger's fx_source says. Nothing is opened here.
func parseSource(spec string) (Source, error) {
	if spec == pegsName {
		return Source{name: pegsName}, nil
	}
	kind, location, found := strings.Cut(spec, ":")
	if !found {
		return Source{}, fmt.Errorf("parse fx source %q: it does not say what kind it is %s", redact(spec), wantSource)
	}
	name := ""
	if at := strings.LastIndex(location, ",name="); at >= 0 {
		location, name = location[:at], location[at+len(",name="):]
		if !isSourceName(name) {
			return Source{}, fmt.Errorf("parse fx source %q: %q is no name "+
				"(hint: 1 to 64 letters, digits, dots, dashes or underscores)", redact(spec), name)
		}
	}
	if scheme, _, url := strings.Cut(location, "://"); url && !isURL(location) {
		return Source{}, fmt.Errorf("parse fx source %q: addresses of the scheme %q are not read "+
			"(hint: https://, http:// or a path)", redact(spec), scheme)
	}
	if location == "" {
		return Source{}, fmt.Errorf("parse fx source %q: nothing follows %s: %s", redact(spec), kind, wantSource)
	}
	source := Source{location: location, client: &http.Client{Timeout: fetchTimeout}, now: time.Now}
	switch kind {
	case "ecb", "oxr":
		if isURL(location) {
			if u, err := url.Parse(location); err != nil || u.Host == "" {
				return Source{}, fmt.Errorf("parse fx source %q: not a usable address (hint: https://host/path)",
					redact(spec))
			}
		}
		source.fetch = Source.fetchECB
		if kind == "oxr" {
			source.fetch = Source.fetchOXR
		}
		source.name = kind
		if name != "" {
			source.name += ":" + name
		}
	case "file":
		if isURL(location) {
			return Source{}, fmt.Errorf("parse fx source %q: file: reads a local path "+
				"(hint: download the file first, or use ecb: for the bank's own files)", redact(spec))
		}
		source.fetch = Source.fetchFile
		if name == "" {
			name = strings.TrimSuffix(filepath.Base(location), ".csv")
		}
		source.name = fileKind + name
	default:
		return Source{}, fmt.Errorf("parse fx source %q: unknown kind %q %s", redact(spec), kind, wantSource)
	}
	return source, nil
}

// fileKind begins the name of a source that is an operator's file.
const fileKind = "file:"

// ParseSources reads several values of the flag, most preferred first, and reports all faults at
// once. Two sources of one name are refused: their rates could not be distinguished once stored.
// The built-in pegs come last where they are not named.
func ParseSources(specs []string) ([]Source, error) {
	var faults []error
	specs = withNames(specs)
	sources := make([]Source, 0, len(specs))
	seen := make(map[string]string, len(specs))
	for _, spec := range specs {
		source, err := parseSource(spec)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if earlier, twice := seen[source.name]; twice {
			faults = append(faults, fmt.Errorf("parse fx source %q: it has the same name (%s) as %q "+
				"(hint: append ,name=NAME to one of them)", redact(spec), source.name, earlier))
			continue
		}
		seen[source.name] = redact(spec)
		sources = append(sources, source)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if seen[pegsName] == "" {
		sources = append(sources, Source{name: pegsName})
	}
	return sources, nil
}

// Name is what the rates of this source say in Rate.Source.
func (s Source) Name() string { return s.name }

// Location is the path or the address that is read, without the values of its query: one of them
// may be a key.
func (s Source) Location() string { return redact(s.location) }

func redact(location string) string {
	if before, query, found := strings.Cut(location, "?"); found {
		var names []string
		for _, pair := range strings.Split(query, "&") {
			name, _, _ := strings.Cut(pair, "=")
			names = append(names, name+"=…")
		}
		return before + "?" + strings.Join(names, "&")
	}
	return location
}

// withNames puts the suffix ",name=NAME" back where a flag that takes several values cut it off.
func withNames(specs []string) []string {
	var whole []string
	for _, spec := range specs {
		if strings.HasPrefix(spec, "name=") && len(whole) > 0 {
			whole[len(whole)-1] += "," + spec
			continue
		}
		whole = append(whole, spec)
	}
	return whole
}

// builtIn reports whether the source is part of the program, and nothing has to be fetched.
func (s Source) builtIn() bool { return s.name == pegsName }
