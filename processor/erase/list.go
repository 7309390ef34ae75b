// Package erase makes a person's records unlinkable, while the money stays: names are replaced by random ones in every table, what is
// personal is taken out of raw records, and whatever is read again goes through the same.
package erase

import (
	"context"
	"crypto/sha256"
	"sync/atomic"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
)

// Refresh is how often processors read the list again: for so long after an erasure one of them may still load what it does not know to be
// erased.
const Refresh = 15 * time.Second

// List knows which names are erased. The zero value knows none.
type List struct {
	names atomic.Pointer[map[key]string]
}

type key struct {
	workspace string
	name      [16]byte
}

// hash of a name. A name cannot be read out of it; who knows the name can find out that it was erased, which is what the list is for.
func hash(workspace string, n identity.Node) [16]byte {
	sum := sha256.Sum256([]byte("tributary erasure\x00" + workspace + "\x00" + string(n)))
	return [16]byte(sum[:16])
}

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
	l.names.Store(&names)
	return nil
}

// Keep reads the list from time to time, until ctx ends.
func (l *List) Keep(ctx context.Context, store *clickhouse.Store) error {
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

// Empty tells that nobody was ever erased: then nothing need be looked up.
func (l *List) Empty() bool {
	if l == nil {
		return true
	}
	names := l.names.Load()
	return names == nil || len(*names) == 0
}

// Alias gives what stands in the place of an erased name.
func (l *List) Alias(workspace string, n identity.Node) (alias string, erased bool) {
	if l.Empty() {
		return "", false
	}
	alias, erased = (*l.names.Load())[key{workspace, hash(workspace, n)}]
	return alias, erased
}
