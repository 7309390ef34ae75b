package simulation

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/deploy/race"
)

var (
	onlySeed  = flag.Uint64("seed", 0, "run only the schedule of this seed, and print it")
	schedules = flag.Int("schedules", 0, "how many schedules to run; 0: 300, fewer with -short and under the race "+
		"detector")
	firstSeed = flag.Uint64("first", 1, "the seed of the first schedule; the next ones follow it")
	histories = flag.String("histories", "", "directory for a file of every schedule's operations, one JSON object a line")
	aloud     = flag.Bool("aloud", false, "print what happens while it happens, in case it never ends")
)

// TestMain runs the tests in a program built with the tag synctests. kgo holds mutexes while it
// waits, which stops a bubble's clock; under the tag its mutexes are channels (franz-go,
// pkg/kgo/internal/xsync).
func TestMain(m *testing.M) {
	if tagged {
		os.Exit(m.Run())
	}
	os.Exit(retagged())
}

func retagged() int {
	dir, err := os.MkdirTemp("", "simulation")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "simulation.test")
	build := []string{"test", "-c", "-tags=synctests", "-o", program}
	if race.Enabled {
		build = append(build, "-race")
	}
	for _, command := range []*exec.Cmd{exec.Command("go", append(build, ".")...),
		exec.Command(program, os.Args[1:]...)} {
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		if err := command.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", strings.Join(command.Args, " "), err)
			return 1
		}
	}
	return 0
}

// seeds returns the seeds to run: the kept ones first.
func seeds(t *testing.T) []uint64 {
	if *onlySeed != 0 {
		return []uint64{*onlySeed}
	}
	kept, err := os.ReadFile("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []uint64
	for line := range strings.Lines(string(kept)) {
		number, _, _ := strings.Cut(line, "#")
		if number = strings.TrimSpace(number); number == "" {
			continue
		}
		seed, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			t.Fatalf("testdata/seeds.txt: %v; each line is a seed, then # and what it found", err)
		}
		list = append(list, seed)
	}
	n := *schedules
	switch {
	case n > 0:
	case testing.Short() || race.Enabled: // make proof runs thousands without the race detector
		n = 2
	default:
		n = 300
	}
	for seed := *firstSeed; seed < *firstSeed+uint64(n); seed++ {
		if !slices.Contains(list, seed) {
			list = append(list, seed)
		}
	}
	return list
}

// A seed's end is the same, in whatever order its goroutines ran.
func TestSeedEndsTheSame(t *testing.T) {
	seeds := []uint64{2, 9}
	if race.Enabled {
		seeds = seeds[:1]
	}
	for _, seed := range seeds {
		var ends []uint64
		for range 2 {
			_, _, end := simulated(t, seed, broken{})
			ends = append(ends, end)
		}
		if ends[0] != ends[1] {
			t.Errorf("seed %d ended once in %x and once in %x", seed, ends[0], ends[1])
		}
	}
}

// Whatever fails, in whatever order: every movement of money is counted exactly once, and
// everything else that invariants_test.go says is true in the end.
func TestSimulation(t *testing.T) {
	list, began := seeds(t), time.Now()
	t.Run("schedules", func(t *testing.T) {
		for _, seed := range list {
			t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
				t.Parallel()
				violations, log := simulate(t, seed, broken{})
				if len(violations) > 0 {
					t.Errorf("%d violations:\n%s\n\n%s\nto run it again: go test ./processor/simulation -run "+
						"Simulation -seed %d -v -count 10", len(violations), strings.Join(violations, "\n"), log, seed)
				} else if *onlySeed != 0 {
					t.Log(log)
				}
			})
		}
	})
	t.Logf("%d schedules, %.1f per second", len(list), float64(len(list))/time.Since(began).Seconds())
}
