//go:build !race

package simulation

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// bites is how many schedules a broken rule may survive.
const bites = 500

// What finds nothing must be able to: each broken rule is caught, by what it does to the tables.
// (That every row is the quiet processor's is not asked here: a version that is another one would
// be noticed by it alone.)
//
// The race detector would look for races in rules that are no part of any program, and take ten
// times as long: only make proof runs this test.
func TestBrokenRulesAreCaught(t *testing.T) {
	var mu sync.Mutex
	rules := slices.Concat(breakable, breakableMoney)
	table := make([]string, len(rules))
	t.Run("rules", func(t *testing.T) {
		for i, b := range rules {
			t.Run(strings.ReplaceAll(b.name, " ", "_"), func(t *testing.T) {
				t.Parallel()
				for run := uint64(1); run <= bites; run++ {
					seed := *firstSeed + run - 1
					violations, _ := simulate(t, seed, b)
					if len(violations) == 0 {
						continue
					}
					if whole, _ := simulate(t, seed, broken{harder: b.harder}); len(whole) > 0 {
						continue // the broken rule did not cause it
					}
					sentence, _, _ := strings.Cut(violations[0], ":")
					mu.Lock()
					t.Logf("caught by schedule %d: %s", seed, violations[0])
					table[i] = fmt.Sprintf("%-62s %4d   %s", b.name, run, sentence)
					mu.Unlock()
					return
				}
				t.Errorf("survived %d schedules", bites)
			})
		}
	})
	t.Logf("%-62s %s\n%s", "broken rule", "schedules until caught, and by what", strings.Join(table, "\n"))
}
