package recompute

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/stripe"
)

// clicksOnly has every click, and notes what it was asked for.
type clicksOnly struct {
	queries chan string // workspace and the clicks' names
	err     error
}

func (s clicksOnly) Facts(context.Context, string, []string) (map[string][]stripe.Fact, error) {
	return nil, nil
}

func (s clicksOnly) OfCatalogue(context.Context, string, []identity.Node) ([]identity.Edge, error) {
	return nil, nil
}

func (s clicksOnly) Clicks(ctx context.Context, workspace string, nodes []identity.Node) (
	map[identity.Node]*join.Click, error,
) {
	text := []string{workspace}
	found := make(map[identity.Node]*join.Click)
	for _, n := range nodes {
		text = append(text, n.Value())
		found[n] = &join.Click{LinkID: workspace + n.Value()}
	}
	slices.Sort(text[1:])
	s.queries <- strings.Join(text, " ")
	return found, errors.Join(s.err, ctx.Err())
}

// Batches that are handled at the same time ask once, when all have asked or ended, and each gets
// what it asked for.
func TestClicksAreLookedUpTogether(t *testing.T) {
	refused := errors.New("refused")
	tests := map[string]struct {
		asks []string // of each batch: a workspace and clicks, or nothing
		err  error
		want []string
	}{
		"one batch":      {[]string{"a 1 2"}, nil, []string{"a 1 2"}},
		"two":            {[]string{"a 1 2", "a 3"}, nil, []string{"a 1 2 3"}},
		"the same click": {[]string{"a 1 2", "a 2 3"}, nil, []string{"a 1 2 2 3"}},
		"two workspaces": {[]string{"a 1", "b 1", "a 2"}, nil, []string{"a 1 2", "b 1"}},
		"one asks not":   {[]string{"a 1", "", "a 2"}, nil, []string{"a 1 2"}},
		"none asks":      {[]string{"", ""}, nil, nil},
		"refused":        {[]string{"a 1", "a 2"}, refused, []string{"a 1 2"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := clicksOnly{make(chan string, 10), test.err}
				ctx, together := WithTogether(t.Context(), len(test.asks))
				for i, ask := range test.asks {
					go func() {
						defer together.End()
						words := strings.Fields(ask)
						if len(words) == 0 {
							return
						}
						var nodes []identity.Node
						for _, id := range words[1:] {
							nodes = append(nodes, identity.New(identity.Click, id))
						}
						found, err := clicks(ctx, store, words[0], nodes)
						if !errors.Is(err, test.err) || err == nil && len(found.clicks) != len(nodes) {
							t.Errorf("%s: %d clicks, %v", ask, len(found.clicks), err)
						}
						for n, c := range found.clicks {
							if err == nil && (!slices.Contains(nodes, n) || c.LinkID != words[0]+n.Value()) {
								t.Errorf("%s: %s is %s", ask, n, c.LinkID)
							}
						}
					}()
					synctest.Wait()
					if early := len(store.queries); early > 0 && i+1 < len(test.asks) {
						t.Errorf("%d queries before all have asked", early)
					}
				}
				close(store.queries)
				got := slices.Sorted(func(yield func(string) bool) {
					for q := range store.queries {
						if !yield(q) {
							return
						}
					}
				})
				if !slices.Equal(got, test.want) {
					t.Errorf("asked for %q, want %q", got, test.want)
				}
			})
		})
	}
}

// ofCatalogue has every click, by a link of its own but for clicks without one, and the affiliates
// whose the links are.
type ofCatalogue struct {
	clicksOnly
	links map[string]string // of clicks
	said  map[identity.Node]identity.Node
	asked chan []identity.Node
}

func (s ofCatalogue) Clicks(ctx context.Context, workspace string, nodes []identity.Node) (
	map[identity.Node]*join.Click, error,
) {
	found, err := s.clicksOnly.Clicks(ctx, workspace, nodes)
	for n, c := range found {
		c.LinkID = s.links[n.Value()]
	}
	return found, err
}

func (s ofCatalogue) OfCatalogue(_ context.Context, _ string, nodes []identity.Node) ([]identity.Edge, error) {
	s.asked <- slices.Sorted(slices.Values(nodes))
	var edges []identity.Edge
	for _, n := range nodes {
		if to := s.said[n]; to != "" {
			edges = append(edges, identity.Edge{A: n, B: to, Source: identity.CatalogueSource})
		}
	}
	return edges, nil
}

// What the catalogue says of the clicks of two batches is asked for once: whose their links are, and
// then in which programmes these affiliates are. Each batch gets what is said of its own clicks.
func TestCatalogueIsAskedTogether(t *testing.T) {
	link, affiliate, program := identity.New(identity.Link, "spring"), identity.New(identity.Affiliate, "ada"),
		identity.New(identity.Program, "main")
	other := identity.New(identity.Link, "summer")
	said := map[identity.Node]identity.Node{link: affiliate, other: affiliate, affiliate: program}
	synctest.Test(t, func(t *testing.T) {
		store := ofCatalogue{clicksOnly{queries: make(chan string, 10)},
			map[string]string{"1": "spring", "2": "spring", "3": "summer"}, said, make(chan []identity.Node, 10)}
		ctx, together := WithTogether(t.Context(), 3)
		for click, want := range map[string][]identity.Node{"1": {link, affiliate}, "3": {other, affiliate}, "4": nil} {
			go func() {
				defer together.End()
				customer := identity.New(identity.Customer, "cus_"+click)
				edges := func(_ context.Context, _ string, nodes []identity.Node) (found []identity.Edge, _ error) {
					if slices.Contains(nodes, customer) {
						found = append(found, identity.Edge{A: customer, B: identity.New(identity.Click, click)})
					}
					return found, nil
				}
				k, err := Load(ctx, store, "default", edges, []identity.Node{customer})
				if err != nil || len(k.Clicks) != 1 {
					t.Errorf("click %s: %d clicks, %v", click, len(k.Clicks), err)
					return
				}
				for n, to := range said {
					is := slices.ContainsFunc(k.Graph.From(n), func(e identity.Edge) bool { return e.B == to })
					if is != slices.Contains(want, n) {
						t.Errorf("click %s: what is said of %s is known: %v", click, n, is)
					}
				}
			}()
		}
		synctest.Wait()
		close(store.asked)
		var asked [][]identity.Node
		for nodes := range store.asked {
			asked = append(asked, nodes)
		}
		if want := [][]identity.Node{{link, other}, {affiliate}}; !reflect.DeepEqual(asked, want) {
			t.Errorf("asked for %v, want %v", asked, want)
		}
	})
}

// A batch whose own lookup is cut off takes no clicks from the other, and does not keep it waiting.
// A ends while B has not asked: B then asks alone, in the context of all.
func TestClicksOfOneThatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clicksOnly{queries: make(chan string, 10)}
		ctx, together := WithTogether(t.Context(), 2)
		nodes := []identity.Node{identity.New(identity.Click, "1")}
		own, cut := context.WithCancel(ctx)
		ended := make(chan error)
		go func() {
			_, err := clicks(own, store, "a", nodes)
			ended <- err
		}()
		synctest.Wait()
		cut()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		found, err := clicks(ctx, store, "a", nodes)
		if err != nil || len(found.clicks) != 1 {
			t.Errorf("%d clicks, %v", len(found.clicks), err)
		}
		together.End()
		together.End()
	})
}

// untilEnd answers when the context of a lookup ends.
type untilEnd struct{ clicksOnly }

func (untilEnd) Clicks(ctx context.Context, _ string, _ []identity.Node) (map[identity.Node]*join.Click, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A waits for clicks, and ClickHouse does not answer. B ends with an error, by which the context of
// both ends: End returns before the lookup does, or nobody learned of the error.
func TestEndWaitsForNoLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ctx, together := WithTogether(ctx, 2)
		ended := make(chan error)
		go func() {
			_, err := clicks(ctx, untilEnd{}, "a", []identity.Node{identity.New(identity.Click, "1")})
			ended <- err
		}()
		synctest.Wait()
		together.End()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
