package clicks

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Workspace is one tenant as the workspaces file describes it.
type Workspace struct {
	ID              string   `json:"id"`
	PublishableKeys []string `json:"publishable_keys"`  // stand in web pages; empty: any key is accepted
	SecretKeys      []string `json:"secret_keys"`       // for imports and leads
	Hostnames       []string `json:"hostnames"`         // sites that may send beacons: exact or *.example.com; empty: all
	Schemes         []string `json:"schemes"`           // URL schemes accepted beside http and https, such as an app's
	EventsPerSecond float64  `json:"events_per_second"` // per publishable key; 0: no limit
	StripeAccounts  []string `json:"stripe_accounts"`   // read by the processor, not here
}

// allowsHost tells whether a site may send. "www." is ignored on both sides; *.example.com means its subdomains and not
// example.com itself.
func (w *Workspace) allowsHost(host string) bool {
	if len(w.Hostnames) == 0 {
		return true
	}
	host = strings.TrimPrefix(host, "www.")
	for _, h := range w.Hostnames {
		if suffix, ok := strings.CutPrefix(h, "*"); ok {
			if len(host) > len(suffix) && strings.HasSuffix(host, suffix) {
				return true
			}
		} else if host != "" && host == h {
			return true
		}
	}
	return false
}

// Directory finds the workspace that a request belongs to. It does not change once made.
type Directory struct {
	all    []*Workspace
	byKey  map[string]*publishable
	open   *Workspace // the only workspace, if it lists no publishable keys
	secret []secret
}

type publishable struct {
	workspace *Workspace
	limit     *rate.Limiter // nil: none
}

type secret struct {
	digest    [sha256.Size]byte
	workspace *Workspace
}

// LoadWorkspaces reads the workspaces file. secretKey, if not empty, is one more secret key of the only workspace.
func LoadWorkspaces(path, secretKey string) (*Directory, error) {
	if path == "" {
		w := Workspace{ID: "default"}
		if secretKey != "" {
			w.SecretKeys = []string{secretKey}
		}
		return NewDirectory([]Workspace{w})
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read workspaces: %w", err)
	}
	var list []Workspace
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&list); err != nil {
		return nil, fmt.Errorf("read workspaces: %s: %w (hint: a JSON array of {\"id\":…,\"publishable_keys\":[…],\"secret_keys\":[…]})", path, err)
	}
	if secretKey != "" {
		if len(list) != 1 {
			return nil, fmt.Errorf("secret key: %s describes %d workspaces, so it is not known whose it is (hint: put it into one's secret_keys)", path, len(list))
		}
		list[0].SecretKeys = append(list[0].SecretKeys, secretKey)
	}
	return NewDirectory(list)
}

// NewDirectory checks the workspaces and reports every fault at once.
func NewDirectory(list []Workspace) (*Directory, error) {
	d := &Directory{byKey: make(map[string]*publishable)}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("workspaces: "+format, args...)) }
	if len(list) == 0 {
		fault("none is described (hint: leave the file out to have one workspace, \"default\")")
	}
	ids, secrets := make(map[string]bool), make(map[string]bool)
	for i := range list {
		w := list[i] // a copy: the caller keeps its own
		switch {
		case w.ID == "" || len(w.ID) > maxID:
			fault("entry %d: id has %d bytes (hint: 1 to %d)", i, len(w.ID), maxID)
		case ids[w.ID]:
			fault("id %q is used twice", w.ID)
		}
		ids[w.ID] = true
		w.Hostnames = append([]string(nil), w.Hostnames...)
		for j, h := range w.Hostnames {
			h = strings.ToLower(h)
			if bare := strings.TrimPrefix(h, "*."); bare == "" || strings.ContainsAny(bare, "*/: ") {
				fault("%s: hostname %q (hint: shop.example.com or *.example.com, without scheme, port or path)", w.ID, h)
			}
			w.Hostnames[j] = strings.TrimPrefix(h, "www.")
		}
		for j, s := range w.Schemes {
			if strings.ContainsAny(s, ":/ ") || s == "" || strings.EqualFold(s, "javascript") || strings.EqualFold(s, "data") {
				fault("%s: scheme %q (hint: myapp, without ://)", w.ID, s)
			}
			w.Schemes[j] = strings.ToLower(s)
		}
		if w.EventsPerSecond < 0 {
			fault("%s: events_per_second is negative (hint: 0 means no limit)", w.ID)
		}
		for _, k := range w.PublishableKeys {
			if k == "" || d.byKey[k] != nil {
				fault("%s: publishable key %q is empty or used twice", w.ID, k)
				continue
			}
			p := &publishable{workspace: &w}
			if w.EventsPerSecond > 0 {
				// The burst lets one full batch through, and ten seconds of traffic that a proxy held back.
				p.limit = rate.NewLimiter(rate.Limit(w.EventsPerSecond), max(1000, int(10*w.EventsPerSecond)))
			}
			d.byKey[k] = p
		}
		for _, k := range w.SecretKeys {
			if k == "" || secrets[k] {
				fault("%s: a secret key is empty or used twice", w.ID)
				continue
			}
			secrets[k] = true
			d.secret = append(d.secret, secret{sha256.Sum256([]byte(k)), &w})
		}
		d.all = append(d.all, &w)
	}
	for k := range secrets {
		if d.byKey[k] != nil {
			fault("%s: one key is both publishable and secret (hint: publishable keys stand in web pages)", d.byKey[k].workspace.ID)
		}
	}
	if len(d.all) == 1 && len(d.all[0].PublishableKeys) == 0 {
		d.open = d.all[0]
	}
	return d, errors.Join(faults...)
}

// bySecret finds a secret key's owner. It compares with all of them, each in constant time, so that the answer's delay
// tells nothing about any of them; digests have equal lengths, so it does not tell a key's length either.
func (d *Directory) bySecret(key []byte) *Workspace {
	digest := sha256.Sum256(key)
	var found *Workspace
	for i := range d.secret {
		if subtle.ConstantTimeCompare(digest[:], d.secret[i].digest[:]) == 1 {
			found = d.secret[i].workspace
		}
	}
	return found
}

// byPublishable finds the owner of a publishable key. Without a key it is the only workspace if that lists none, or if
// keyless is set: the scripts of Dub and PiMMs send none. Else it is the one workspace that names the site.
func (d *Directory) byPublishable(key []byte, host string, keyless bool) (*Workspace, *rate.Limiter, *fault) {
	if len(key) > 0 {
		if p := d.byKey[string(key)]; p != nil {
			return p.workspace, p.limit, nil
		}
	}
	switch {
	case d.open != nil:
		return d.open, nil, nil
	case len(key) > 0 && !keyless:
		return nil, nil, errUnknownKey
	case keyless && len(d.all) == 1:
		return d.all[0], nil, nil
	}
	var found *Workspace
	for _, w := range d.all {
		if len(w.Hostnames) > 0 && w.allowsHost(host) {
			if found != nil {
				return nil, nil, errNoKey
			}
			found = w
		}
	}
	if found == nil {
		return nil, nil, errNoKey
	}
	return found, nil, nil
}

// allow takes n events from a key's budget, or tells how long to wait for them.
func allow(l *rate.Limiter, now time.Time, n int) (time.Duration, bool) {
	if l == nil {
		return 0, true
	}
	r := l.ReserveN(now, n)
	if !r.OK() {
		return time.Minute, false
	}
	if d := r.DelayFrom(now); d > 0 {
		r.CancelAt(now)
		return d, false
	}
	return 0, true
}
