package simulation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// jump is by how much a clock that is wrong is wrong: longer than anything here waits for, as an
// hour is outside.
const jump = 10 * time.Minute

// clock is one that may jump, and back: a machine's whose time is set while it runs.
type clock struct {
	name        string
	from, until time.Duration // since the epoch
	by          time.Duration
}

// clocks of a schedule: of the edges, of ClickHouse, and of the processors.
type clocks struct{ edge, clickhouse, processors clock }

func newClocks(rng *rand.Rand) clocks {
	draw := func(name string) clock {
		c := clock{name: name}
		if rng.IntN(3) > 0 {
			return c
		}
		c.from = time.Duration(rng.Int64N(int64(span))).Truncate(time.Millisecond)
		c.until = c.from + time.Duration(rng.Int64N(int64(span))).Truncate(time.Millisecond)
		c.by = jump
		if rng.IntN(2) == 0 {
			c.by = -jump
		}
		return c
	}
	return clocks{draw("the edges' clock"), draw("ClickHouse's clock"), draw("the processors' clock")}
}

// off is by how much the clock is wrong.
func (c clock) off(at time.Duration) time.Duration {
	if c.from <= at && at < c.until {
		return c.by
	}
	return 0
}

func (c clocks) String() string {
	var list []string
	for _, c := range []clock{c.edge, c.clickhouse, c.processors} {
		if c.by != 0 {
			list = append(list, fmt.Sprintf("%s is wrong by %s from %s to %s", c.name, c.by, c.from, c.until))
		}
	}
	if len(list) == 0 {
		return "all clocks are right"
	}
	return strings.Join(list, "; ")
}
