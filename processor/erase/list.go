// Package erase removes a person from every table, while amounts and credits stay: names are
// replaced by random aliases, and personal fields are removed from raw events. Records that are
// consumed later go through the same redaction.
package erase

import (
	"context"
	"crypto/sha256"
	"sync/atomic"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/stripe"
)

// Refresh is how often processors read the list again. For so long after an erasure a processor may
// still insert the names.
const Refresh = 15 * time.Second

// List is the list of erased names. The zero value is empty.
type List struct {
	// Keys returns how a workspace writes names into Stripe's objects; nil: with the built-in keys
	// alone.
	Keys func(workspace string) *stripe.Keys
	// Grown is called when Load finds more names than before. Optional.
	Grown func()

	names atomic.Pointer[map[key]string]
}

type key struct {
	workspace string
	name      [16]byte
}

// hash of a name. The name cannot be computed from it, but who knows a name can find out that it
// was erased: the list needs that.
func hash(workspace string, n identity.Node) [16]byte {
	sum := sha256.Sum256([]byte("tributary erasure\x00" + workspace + "\x00" + string(n)))
	return [16]byte(sum[:16])
}

// hashed is hash in SQL, of the columns workspace and node.
const hashed = `substring(SHA256(concat('tributary erasure\0', workspace, '\0', node)), 1, 16)`

// Load reads the list.
func (l *List) Load(ctx context.Context, store *clickhouse.Store) error {
	rows, err := store.Erasures(ctx)
	if err != nil {
		return err
	}
	names := make(map[key]string, len(rows))
	for _, r := range rows {
		names[key{r.Workspace, r.Name}] = r.Alias
	}
	before := l.names.Swap(&names)
	if l.Grown != nil && before != nil && len(names) > len(*before) {
		l.Grown()
	}
	return nil
}

// Run loads the list again every Refresh, until ctx ends.
func (l *List) Run(ctx context.Context, store *clickhouse.Store) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(Refresh):
		}
		if err := l.Load(ctx, store); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// empty reports whether nobody was ever erased: then no name need be hashed.
func (l *List) empty() bool {
	if l == nil {
		return true
	}
	names := l.names.Load()
	return names == nil || len(*names) == 0
}

// alias returns what replaces an erased name.
func (l *List) alias(workspace string, n identity.Node) (alias string, erased bool) {
	if l.empty() {
		return "", false
	}
	alias, erased = (*l.names.Load())[key{workspace, hash(workspace, n)}]
	return alias, erased
}
