package recompute

import (
	"context"
	"maps"

	"golang.org/x/sync/errgroup"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/stripe"
)

// early has facts and clicks that were looked up beside the names, before these could say which of
// them bear on the sales: those that a batch itself mentions, which are nearly always all. It asks
// for the others.
//
// That they are looked up before the names changes nothing: what matters is that each lookup begins
// after the batch is stored (Recomputer).
type early struct {
	Reader
	facts  answers[string, []stripe.Fact]
	clicks answers[identity.Node, *join.Click]
}

// answers are what was found of the keys that were asked for.
type answers[K comparable, V any] struct {
	asked map[K]bool
	found map[K]V
}

// lookUpEarly looks the facts and clicks among names up.
func lookUpEarly(ctx context.Context, store Reader, workspace string, names []identity.Node) (*early, error) {
	var objects []string
	var clicks []identity.Node
	for _, n := range names {
		switch {
		case n.Belongs():
			objects = append(objects, n.Value())
		case n.Type() == identity.Click:
			clicks = append(clicks, n)
		}
	}
	e := &early{Reader: store}
	lookups, lctx := errgroup.WithContext(ctx)
	lookups.Go(func() (err error) {
		e.facts, err = ask(objects, func() (map[string][]stripe.Fact, error) {
			return store.Facts(lctx, workspace, objects)
		})
		return err
	})
	lookups.Go(func() (err error) {
		e.clicks, err = ask(clicks, func() (map[identity.Node]*join.Click, error) {
			return store.Clicks(lctx, workspace, clicks)
		})
		return err
	})
	return e, lookups.Wait()
}

// Facts is of Reader.
func (e *early) Facts(ctx context.Context, workspace string, objects []string) (map[string][]stripe.Fact, error) {
	return e.facts.of(objects, func(rest []string) (map[string][]stripe.Fact, error) {
		return e.Reader.Facts(ctx, workspace, rest)
	})
}

// Clicks is of Reader.
func (e *early) Clicks(ctx context.Context, workspace string, nodes []identity.Node) (
	map[identity.Node]*join.Click, error,
) {
	return e.clicks.of(nodes, func(rest []identity.Node) (map[identity.Node]*join.Click, error) {
		return e.Reader.Clicks(ctx, workspace, rest)
	})
}

func ask[K comparable, V any](keys []K, lookUp func() (map[K]V, error)) (answers[K, V], error) {
	a := answers[K, V]{asked: make(map[K]bool, len(keys))}
	if len(keys) == 0 {
		return a, nil
	}
	for _, k := range keys {
		a.asked[k] = true
	}
	var err error
	a.found, err = lookUp()
	return a, err
}

// of returns what is found of keys, and looks up those that were not asked for. It adds nothing to
// the answers.
func (a answers[K, V]) of(keys []K, lookUp func(rest []K) (map[K]V, error)) (map[K]V, error) {
	found := make(map[K]V, len(keys))
	var rest []K
	for _, k := range keys {
		if v, ok := a.found[k]; ok {
			found[k] = v
		} else if !a.asked[k] {
			rest = append(rest, k)
		}
	}
	if len(rest) == 0 {
		return found, nil
	}
	more, err := lookUp(rest)
	maps.Copy(found, more)
	return found, err
}
