package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"tributary/sql"
)

// views measures what the materialized views cost when clicks are inserted: 600,000 clicks from
// memory, 20,000 an INSERT and one thread, into the table as it is and into one without views, in
// turn. It then counts the day's clicks as the processor does, which is done once for a quiet day.
type views struct {
	Rounds int `default:"5"`
}

const (
	viewClicks = 600_000
	viewBatch  = 20_000
)

// Run prints CPU for each click, of the engine in this process.
func (v *views) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "tributary-views-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	base, err := serveEngine(dir)
	if err != nil {
		return err
	}
	db, err := openBench(ctx, base, "bench")
	if err != nil {
		return err
	}
	defer db.Close()
	if err := sql.Migrate(ctx, db, func(string) {}); err != nil {
		return err
	}
	text, err := histories.ReadFile("history/clicks.sql")
	if err != nil {
		return err
	}
	run := func(statement string, values url.Values) error {
		_, err := ask(ctx, base, statement, values)
		return err
	}
	if err := run("CREATE TABLE plain AS clicks", nil); err != nil {
		return err
	}
	for i := range viewClicks / viewBatch {
		memory := fmt.Sprint("memory_", i)
		if err := run("CREATE TABLE "+memory+" AS clicks ENGINE = Memory", nil); err != nil {
			return err
		}
		// as dense as 100 million clicks in two years
		err := run(strings.Replace(string(text), "INSERT INTO clicks (", "INSERT INTO "+memory+" (", 1), url.Values{
			"param_total": {"100000000"}, "param_first": {fmt.Sprint(i * viewBatch)}, "param_count": {fmt.Sprint(viewBatch)},
			"param_until": {untilDay.Format(time.DateTime)}, "param_few": {"false"},
		})
		if err != nil {
			return err
		}
	}
	costs := map[string][]float64{}
	for range v.Rounds {
		for _, table := range []string{"plain", "clicks"} {
			if err := run("TRUNCATE TABLE "+table, nil); err != nil {
				return err
			}
			before := ownCPU()
			for i := range viewClicks / viewBatch {
				err := run(fmt.Sprint("INSERT INTO ", table, " SELECT * FROM memory_", i,
					" SETTINGS max_threads = 1, max_insert_threads = 1"), nil)
				if err != nil {
					return err
				}
			}
			costs[table] = append(costs[table], float64((ownCPU()-before).Microseconds())/viewClicks)
		}
	}
	for _, list := range costs {
		slices.Sort(list)
	}
	plain, with := costs["plain"][v.Rounds/2], costs["clicks"][v.Rounds/2]
	fmt.Printf("CPU µs a click, medians of %d: without views %.2f, with them %.2f, %+.1f %%\n",
		v.Rounds, plain, with, 100*(with/plain-1))
	before := ownCPU()
	const days = "SELECT * FROM clicks_by_dimension(workspace = 'largest', from = '2020-01-01 00:00:00', " +
		"to = '2030-01-01 00:00:00', dimensions = ['', 'affiliate', 'link'], stored = false) FORMAT Null"
	if err := run(days, nil); err != nil {
		return err
	}
	fmt.Printf("counting the largest workspace's days: %.2f µs a click of it\n",
		float64((ownCPU()-before).Microseconds())/(0.3*viewClicks))
	return nil
}
