package clicks

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"sync/atomic"

	"tributary/schemas"
)

// Workspace is one tenant as the edge sees it.
type Workspace struct {
	schemas.Workspace
	limit *workspaceRate // of visitors
}

// allowsHost reports whether a site may send. "www." is ignored on both sides; *.example.com means
// its subdomains and not example.com itself.
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

// Directory finds the workspace that a request belongs to. Replace changes it while requests are
// served; a request that has found its workspace ends with it.
type Directory struct {
	current atomic.Pointer[directory]
}

// directory does not change once made.
type directory struct {
	all       []*Workspace
	byKey     map[string]*Workspace
	open      *Workspace // the only workspace, if it lists no publishable keys
	secret    []secret
	openToAll bool // there is only one workspace, and it lists no hostnames
}

type secret struct {
	digest    [sha256.Size]byte
	workspace *Workspace
}

// LoadWorkspaces reads the workspaces file; without a path there is one workspace, "default".
// secretKey, if not empty, is one more secret key of the only workspace.
func LoadWorkspaces(path, secretKey string) (*Directory, error) {
	list := []schemas.Workspace{{ID: "default"}}
	if path != "" {
		var err error
		if list, err = schemas.ReadWorkspaces(path); err != nil {
			return nil, err
		}
	}
	if secretKey != "" {
		if len(list) > 1 {
			return nil, fmt.Errorf("secret key: %s describes %d workspaces, so it is not known whose it is "+
				"(hint: put it into one's secret_keys)", path, len(list))
		}
		list[0].SecretKeys = append(list[0].SecretKeys, secretKey)
	}
	return NewDirectory(list), nil
}

// NewDirectory makes the directory of workspaces that schemas.ReadWorkspaces has checked.
func NewDirectory(list []schemas.Workspace) *Directory {
	d := &directory{byKey: make(map[string]*Workspace)}
	for i := range list {
		w := &Workspace{Workspace: list[i], limit: newWorkspaceRate(list[i].EventsPerSecond)}
		for _, key := range w.PublishableKeys {
			d.byKey[key] = w
		}
		for _, key := range w.SecretKeys {
			d.secret = append(d.secret, secret{sha256.Sum256([]byte(key)), w})
		}
		d.all = append(d.all, w)
	}
	if len(d.all) == 1 && len(d.all[0].PublishableKeys) == 0 {
		d.open = d.all[0]
	}
	d.openToAll = len(d.all) == 1 && len(d.all[0].Hostnames) == 0
	directory := new(Directory)
	directory.current.Store(d)
	return directory
}

// Replace makes the workspaces of other those of d. What was spent of a budget stays spent, unless
// the rate is another.
func (d *Directory) Replace(other *Directory) {
	before, now := d.current.Load(), other.current.Load()
	for _, w := range now.all {
		for _, old := range before.all {
			if old.ID == w.ID && old.EventsPerSecond == w.EventsPerSecond {
				w.limit = old.limit
			}
		}
	}
	d.current.Store(now)
}

// EmailFallback are the ids of the workspaces that need the key of e-mail hashes.
func (d *Directory) EmailFallback() []string {
	var list []schemas.Workspace
	for _, w := range d.current.Load().all {
		list = append(list, w.Workspace)
	}
	return schemas.EmailFallback(list)
}

// openToAll reports whether no site has to be asked for.
func (d *Directory) openToAll() bool { return d.current.Load().openToAll }

// ownerOf returns the workspace that lists key as a publishable one, or nil.
func (d *Directory) ownerOf(key string) *Workspace { return d.current.Load().byKey[key] }

// bySecret finds a secret key's owner. It compares with all of them, each in constant time, so that
// the answer's delay says nothing about any of them; digests have equal lengths, so it does not
// show a key's length either.
func (d *Directory) bySecret(key []byte) *Workspace {
	secrets := d.current.Load().secret
	digest := sha256.Sum256(key)
	var found *Workspace
	for i := range secrets {
		if subtle.ConstantTimeCompare(digest[:], secrets[i].digest[:]) == 1 {
			found = secrets[i].workspace
		}
	}
	return found
}

// byPublishable finds the owner of a publishable key. Without a key it is the only workspace if
// that lists none, or if keyless is set: the scripts of Dub and PiMMs send none. Else it is the one
// workspace that names the site.
func (d *Directory) byPublishable(key []byte, host string, keyless bool) (*Workspace, *fault) {
	now := d.current.Load()
	if len(key) > 0 {
		if w := now.byKey[string(key)]; w != nil {
			return w, nil
		}
	}
	switch {
	case now.open != nil:
		return now.open, nil
	case len(key) > 0 && !keyless:
		return nil, errUnknownKey
	case keyless && len(now.all) == 1:
		return now.all[0], nil
	}
	var found *Workspace
	for _, w := range now.all {
		if len(w.Hostnames) > 0 && w.allowsHost(host) {
			if found != nil {
				return nil, errNoKey
			}
			found = w
		}
	}
	if found == nil {
		return nil, errNoKey
	}
	return found, nil
}
