package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"tributary/deploy/process"
)

// rebuild looks clicks up among a million and among many, in turn, and then has the processor book
// stored Stripe events again from the raw tables. Each event is a sale that names one of the many
// clicks.
type rebuild struct {
	Clicks    int           `default:"4000000" help:"Clicks that are stored, of 90 days."`
	Events    int           `default:"1000000" help:"Stripe events that are stored, and booked again."`
	Data      string        `placeholder:"DIR" help:"Keep clicks and events here, and use those that are here. Without it they are made in a temporary folder and deleted."`
	Processor string        `default:"bin/processor" help:"The program that is measured."`
	Within    time.Duration `default:"3h" help:"End after this time, whatever is left to do."`
}

// few is how many clicks the lookups are compared with.
const few = 1_000_000

// Run prints a line for the lookups and one for the rebuild.
func (b *rebuild) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, b.Within, fmt.Errorf("it takes longer than --within %s", b.Within))
	defer cancel()
	dir := b.Data
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "bench"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	if err := b.room(dir); err != nil {
		return err
	}
	chdb, err := startServer("engine", "--data", filepath.Join(dir, "clickhouse"))
	if err != nil {
		return err
	}
	defer chdb.stop()
	million, all := &loading{dir: dir, database: "million"}, &loading{dir: dir}
	defer million.close()
	defer all.close()
	if err := million.fillClicks(ctx, chdb.addr, few); err != nil {
		return err
	}
	if err := all.fillClicks(ctx, chdb.addr, b.Clicks); err != nil {
		return err
	}
	if err := all.fill(ctx, "stripe_events", b.Events, func() error { return b.storeEvents(ctx, all) }); err != nil {
		return err
	}
	if err := b.compareLookups(ctx, million, all, chdb.pid); err != nil {
		return fmt.Errorf("look clicks up: %w", err)
	}
	if err := b.book(ctx, all, chdb.pid); err != nil {
		return fmt.Errorf("rebuild: %w", errors.Join(err, context.Cause(ctx)))
	}
	return nil
}

// room returns an error unless dir has room for all that is made in it, merges included.
func (b *rebuild) room(dir string) error {
	if b.Clicks < 1 || b.Events < 1 {
		return errors.New("without clicks and events there is nothing to measure (hint: --clicks, --events)")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return err
	}
	free, need := disk.Bavail*uint64(disk.Bsize), uint64(few+b.Clicks)*150+uint64(b.Events)*2500
	if free < need {
		return fmt.Errorf("%s has %d MB left, and %d MB may be needed (hint: fewer --clicks, or another --data)",
			dir, free>>20, need>>20)
	}
	return nil
}

func (r *loading) close() {
	if r.conn != nil {
		_ = r.conn.Close()
	}
}

// fillClicks makes the tables, and stores clicks.
func (r *loading) fillClicks(ctx context.Context, addr string, clicks int) error {
	if err := r.connect(ctx, addr); err != nil {
		return err
	}
	return r.fill(ctx, "clicks", clicks, func() error { return storeClicks(ctx, r, clicks) })
}

// fill calls store for a table that is empty, and leaves one that has so many rows as it is.
func (r *loading) fill(ctx context.Context, table string, rows int, store func() error) error {
	var have uint64
	if err := r.conn.QueryRow(ctx, "SELECT count() FROM "+table).Scan(&have); err != nil {
		return err
	}
	switch have {
	case uint64(rows):
		return nil
	case 0:
		if err := store(); err != nil {
			return fmt.Errorf("fill %s: %w", table, err)
		}
		return r.settle(ctx)
	}
	return fmt.Errorf("%s has %d rows of another run (hint: the same --clicks and --events, or another --data)", table, have)
}

// storeEvents makes sessions of Checkout, each with a click that is stored, one hour after it, and
// a customer and a payment of its own: those of fillEvents.
func (b *rebuild) storeEvents(ctx context.Context, r *loading) error {
	for first := 0; first < b.Events; first += 200_000 {
		err := r.conn.Exec(ctx, fmt.Sprintf(`INSERT INTO stripe_events (workspace, event_id, type, livemode, api_version,
created, received_at, body, version)
SELECT 'default', concat('evt_', toString(number)), 'checkout.session.completed', true, '2025-09-30.clover',
    toDateTime(intDiv(at, 1000), 'UTC'), fromUnixTimestamp64Milli(toInt64(at), 'UTC'),
    concat('{"id":"evt_', n, '","object":"event","type":"checkout.session.completed","created":',
        toString(intDiv(at, 1000)), ',"livemode":true,"api_version":"2025-09-30.clover","data":{"object":{"id":"cs_', n,
        '","object":"checkout.session","mode":"payment","payment_status":"paid","currency":"usd","amount_total":',
        toString(1000 + number %% 9000), ',"total_details":{"amount_tax":0,"amount_shipping":0,"amount_discount":0},',
        '"payment_intent":"pi_', n, '","invoice":null,"customer":"cus_', n, '","client_reference_id":"',
        substring(id, 1, 8), '-', substring(id, 9, 4), '-7000-', substring(id, 13, 4), '-', substring(id, 17),
        '","metadata":{},"invoice_creation":{"enabled":false}}}}'), bitNot(at)
FROM (SELECT number, toString(number) AS n, sipHash64(number) %% %[3]d AS click,
        toUInt64(%[4]d + click * intDiv(%[5]d, %[3]d)) AS clicked, clicked + 3600000 AS at,
        lower(concat(hex(clicked), hex(bitOr(0x8000000000000000, click)))) AS id
    FROM numbers(%[1]d, %[2]d))`, first, min(200_000, b.Events-first), b.Clicks, storedBegin, storedSpan))
		if err != nil {
			return err
		}
	}
	return nil
}

// compareLookups looks 100 clicks up among few and among all, in turn.
func (b *rebuild) compareLookups(ctx context.Context, million, all *loading, engine int) error {
	const rounds = 7
	var ofFew, ofAll [rounds]time.Duration
	for n := range rounds {
		var err error
		if _, ofFew[n], err = lookUp(ctx, million, few, engine); err != nil {
			return err
		}
		if _, ofAll[n], err = lookUp(ctx, all, b.Clicks, engine); err != nil {
			return err
		}
	}
	slices.Sort(ofFew[:])
	slices.Sort(ofAll[:])
	less, more := ofFew[rounds/2], ofAll[rounds/2]
	fmt.Printf("lookup of 100 clicks, engine CPU: %s among %d, %s among %d: %.2f times as much\n",
		less.Round(100*time.Microsecond), few, more.Round(100*time.Microsecond), b.Clicks, more.Seconds()/less.Seconds())
	return nil
}

// book rebuilds everything in the shadow database, and drops it.
func (b *rebuild) book(ctx context.Context, r *loading, engine int) error {
	if _, err := b.replay(ctx, r, "--drop"); err != nil { // of a run that was interrupted
		return err
	}
	before, err := cpuOf(engine)
	if err != nil {
		return err
	}
	begin := time.Now()
	used, err := b.replay(ctx, r)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	after, err := cpuOf(engine)
	if err != nil {
		return err
	}
	var booked, credited uint64
	if err := r.conn.QueryRow(ctx, "SELECT count(), countIf(match_rule = 'click_id') FROM "+r.databaseName()+
		"_replay.ledger FINAL WHERE status = 'booked'").Scan(&booked, &credited); err != nil {
		return err
	}
	if booked != uint64(b.Events) || credited != booked {
		return fmt.Errorf("of %d events %d are booked, and %d credited to their click", b.Events, booked, credited)
	}
	fmt.Printf("%d events booked again, %d clicks stored: %s; CPU: processor %s, engine %s; RSS of the processor %d MB\n",
		b.Events, b.Clicks, took.Round(time.Second), used.cpu.Round(time.Second), (after - before).Round(time.Second),
		used.rss)
	_, err = b.replay(ctx, r, "--drop")
	return err
}

// replayed is what one run of a program used.
type replayed struct {
	cpu time.Duration
	rss int // at most, in MB
}

// replay runs `processor replay rebuild` to its end. It finds differences, because the live ledger
// is empty: what it booked is counted by the caller.
func (b *rebuild) replay(ctx context.Context, r *loading, flags ...string) (used replayed, err error) {
	cmd := exec.Command(b.Processor, append([]string{"replay", "rebuild",
		"--clickhouse-dsn", r.base + "/" + r.databaseName()}, flags...)...)
	log, err := os.Create(filepath.Join(r.dir, "replay.log"))
	if err != nil {
		return used, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	p, err := process.Start(cmd)
	if err != nil {
		return used, err
	}
	defer p.Kill()
	for {
		if cpu, err := cpuOf(p.PID()); err == nil { // until it has ended
			used.cpu = cpu
		}
		if rss, err := peakRSS(p.PID()); err == nil {
			used.rss = rss
		}
		select {
		case <-ctx.Done():
			return used, ctx.Err()
		case <-p.Ended():
			const differs = 2 // exit status
			var exit *exec.ExitError
			if err := p.Err(); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != differs) {
				return used, fmt.Errorf("%w (hint: %s)", err, log.Name())
			}
			return used, nil
		case <-time.After(pollEvery):
		}
	}
}
