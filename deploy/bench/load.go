package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/process"
	"tributary/schemas"
	"tributary/sql"
)

// load drains the same waiting clicks into ClickHouse, by the processor and by ClickHouse's own
// Kafka engine, one after the other in each round. Broker, engine and processor are processes
// apart. The engine is a new one with an empty directory each time, and its CPU is counted until it
// has nothing left to merge, so that nobody gains by leaving the merges for later.
type load struct {
	Clicks    int      `default:"1000000" help:"Clicks that wait."`
	Rounds    int      `default:"3"`
	Only      []string `help:"Only these loaders: processor, small, views."`
	Processor string   `default:"bin/processor" help:"The program that is measured."`
	Others    []string `name:"other" placeholder:"FILE" help:"More such programs: processor from before a change."`
}

// loader is one way from Kafka to ClickHouse.
type loader struct {
	name  string
	table string // that the clicks end in
	// start begins to load; stop ends the process that it started, if any.
	start func(ctx context.Context, r *loading) (*server, error)

	rounds []loaded
}

// loaded is what one loader did in one round.
type loaded struct {
	processor, engine, broker time.Duration // CPU
	rate                      float64       // clicks a second, from the first that is seen to the last
	bytes                     uint64        // on disk, all tables
	rss                       int           // of the processor, in MB
}

// loading is one round of one loader.
type loading struct {
	seed string
	base string // the engine's address
	conn driver.Conn
	dir  string
	n    int // of the round

	database string // empty: tributary
}

func (r *loading) databaseName() string { return cmp.Or(r.database, "tributary") }

const jsonTopic = "clicks.json"

// pollEvery is how often the engine is asked how far it is. Each answer costs it more than a
// millisecond of CPU, which counts as the loader's.
const pollEvery = 250 * time.Millisecond

// Run prints a table.
func (l *load) Run(ctx context.Context) error {
	dir, broker, stop, err := startBroker()
	if err != nil {
		return err
	}
	defer stop()
	if err := fillTopics(ctx, broker.addr, l.Clicks); err != nil {
		return fmt.Errorf("fill topics: %w", err)
	}
	fmt.Printf("bench: %d clicks, %d rounds in turn, medians; CPU in µs a click, until merges are over\n",
		l.Clicks, l.Rounds)
	loaders := l.loaders()
	for n := range l.Rounds {
		for _, c := range loaders {
			r := &loading{seed: broker.addr, dir: dir, n: n}
			got, err := l.measure(ctx, c, r, broker)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.rounds = append(c.rounds, got)
		}
	}
	l.report(loaders)
	return nil
}

func (l *load) loaders() []*loader {
	all := []*loader{{name: "processor", table: "clicks", start: processor(l.Processor)}}
	for _, path := range l.Others {
		all = append(all, &loader{name: filepath.Base(path), table: "clicks", start: processor(path)})
	}
	all = append(all,
		&loader{name: "small", table: "small", start: kafkaEngine(smallTable)},
		&loader{name: "views", table: "clicks", start: kafkaEngine(ownTable)})
	return slices.DeleteFunc(all, func(c *loader) bool { return len(l.Only) > 0 && !slices.Contains(l.Only, c.name) })
}

// measure lets c load everything into a new engine.
func (l *load) measure(ctx context.Context, c *loader, r *loading, broker *server) (loaded, error) {
	var got loaded
	chdb, stop, err := r.startEngine(ctx)
	if err != nil {
		return got, err
	}
	defer stop()
	engineBefore, brokerBefore, err := cpu(chdb.pid, broker.pid)
	if err != nil {
		return got, err
	}
	program, err := c.start(ctx, r)
	if err != nil {
		return got, err
	}
	if program != nil {
		defer program.stop()
	}
	if got.rate, err = r.wait(ctx, c.table, l.Clicks); err != nil {
		return got, err
	}
	if program != nil {
		if got.processor, err = cpuOf(program.pid); err != nil {
			return got, err
		}
		if got.rss, err = peakRSS(program.pid); err != nil {
			return got, err
		}
		program.stop()
	}
	if err := r.settle(ctx); err != nil {
		return got, err
	}
	engineAfter, brokerAfter, err := cpu(chdb.pid, broker.pid)
	got.engine, got.broker = engineAfter-engineBefore, brokerAfter-brokerBefore
	if err != nil {
		return got, err
	}
	return got, r.check(ctx, c.table, l.Clicks, &got)
}

// startEngine starts an engine with an empty directory, and makes the tables.
func (r *loading) startEngine(ctx context.Context) (engine *server, stop func(), err error) {
	data, err := os.MkdirTemp(r.dir, "engine")
	if err != nil {
		return nil, nil, err
	}
	engine, err = startServer("engine", "--data", data)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(data))
	}
	stop = func() {
		r.close()
		engine.stop()
		_ = os.RemoveAll(data)
	}
	if err := r.connect(ctx, engine.addr); err != nil {
		stop()
		return nil, nil, err
	}
	return engine, stop, nil
}

// connect makes the tables.
func (r *loading) connect(ctx context.Context, addr string) error {
	r.base = "http://" + addr
	options, err := clickhouse.ParseDSN(r.base + "/default")
	if err != nil {
		return err
	}
	db := clickhouse.OpenDB(options)
	defer db.Close()
	if err := sql.EnsureDatabase(ctx, db, r.databaseName(), sql.Layout{}); err != nil {
		return err
	}
	options.Auth.Database = r.databaseName()
	own := clickhouse.OpenDB(options)
	defer own.Close()
	if err := sql.Migrate(ctx, own, func(string) {}); err != nil {
		return err
	}
	r.conn, err = clickhouse.Open(options)
	return err
}

// wait waits until all clicks are in table. The rate is measured from the first count that is not
// zero, because joining a group takes some of these programs seconds.
func (r *loading) wait(ctx context.Context, table string, clicks int) (rate float64, err error) {
	var first uint64
	var begin time.Time
	last, progress := uint64(0), time.Now()
	for ; ; time.Sleep(pollEvery) {
		var n uint64
		if err := r.conn.QueryRow(ctx, "SELECT count() FROM "+table).Scan(&n); err != nil {
			return 0, err
		}
		if n > 0 && begin.IsZero() {
			first, begin = n, time.Now()
		}
		if n >= uint64(clicks) {
			return float64(n-first) / time.Since(begin).Seconds(), nil
		}
		if n > last {
			last, progress = n, time.Now()
		}
		if time.Since(progress) > time.Minute {
			return 0, fmt.Errorf("%d of %d clicks are loaded, and no more come", n, clicks)
		}
	}
}

// settle waits until nothing has been merged for two seconds.
func (r *loading) settle(ctx context.Context) error {
	for quiet := time.Now(); time.Since(quiet) < 2*time.Second; time.Sleep(pollEvery) {
		var merges uint64
		if err := r.conn.QueryRow(ctx, "SELECT count() FROM system.merges").Scan(&merges); err != nil {
			return err
		}
		if merges > 0 {
			quiet = time.Now()
		}
	}
	return nil
}

// check returns an error unless each click is there once, and notes what they take on disk.
func (r *loading) check(ctx context.Context, table string, clicks int, got *loaded) error {
	var n uint64
	if err := r.conn.QueryRow(ctx, "SELECT uniqExact(click_id) FROM "+table).Scan(&n); err != nil {
		return err
	}
	if n != uint64(clicks) {
		return fmt.Errorf("%d different clicks are loaded of %d", n, clicks)
	}
	return r.conn.QueryRow(ctx, `SELECT sum(bytes_on_disk) FROM system.parts
WHERE active AND database = 'tributary' AND (table = 'small' OR startsWith(table, 'clicks'))`).Scan(&got.bytes)
}

// processor returns what starts a program that loads.
func processor(path string) func(context.Context, *loading) (*server, error) {
	return func(ctx context.Context, r *loading) (*server, error) {
		if err := forgetGroup(ctx, r.seed); err != nil {
			return nil, err
		}
		ops, err := process.Addresses(1)
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(path, "run", "--kafka-seeds", r.seed, "--clickhouse-dsn", r.base+"/tributary",
			"--ops-addr", ops[0], "--audit", "0", "--fx-source", "pegs")
		log, err := os.Create(filepath.Join(r.dir, "processor.log"))
		if err != nil {
			return nil, err
		}
		defer log.Close() // the process has its own
		cmd.Stderr = log
		p, err := process.Start(cmd)
		if err != nil {
			return nil, err
		}
		stop := func() {
			soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
			defer cancel()
			_ = p.Stop(soon) // killed if it does not end: its group then ends by itself
		}
		return &server{addr: ops[0], pid: p.PID(), stop: stop}, nil
	}
}

// forgetGroup deletes the processors' group, so that the next reads from the beginning. A group
// that its members have not left yet is waited for.
func forgetGroup(ctx context.Context, seed string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(seed))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		answers, err := admin.DeleteGroups(ctx, schemas.ConsumerGroup)
		if err == nil {
			err = answers.Error()
		}
		if err == nil || strings.Contains(err.Error(), "GROUP_ID_NOT_FOUND") {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("delete consumer group: %w", err)
		}
	}
}

// kafkaEngine returns what creates a table of the Kafka engine and a materialized view.
func kafkaEngine(statements []string) func(context.Context, *loading) (*server, error) {
	return func(ctx context.Context, r *loading) (*server, error) {
		group := "bench" + strconv.FormatInt(time.Now().UnixNano(), 36)
		fill := strings.NewReplacer("SEED", r.seed, "TOPIC", jsonTopic, "GROUP", group)
		for _, s := range statements {
			if err := r.conn.Exec(ctx, fill.Replace(s)); err != nil {
				return nil, fmt.Errorf("execute %.60s…: %w", s, err)
			}
		}
		return nil, nil
	}
}

const kafkaSettings = ` ENGINE = Kafka SETTINGS kafka_broker_list = 'SEED', kafka_topic_list = 'TOPIC',
kafka_group_name = 'GROUP',
kafka_format = 'JSONEachRow', kafka_num_consumers = 2, kafka_flush_interval_ms = 1000`

// smallTable is what somebody would write who needs few columns: the shortest way into ClickHouse.
var smallTable = []string{
	`CREATE TABLE small (workspace LowCardinality(String), click_id UUID, clicked_at DateTime64(3, 'UTC'),
affiliate_id String, link_id String, visitor_id String, url String, referrer String, user_agent String,
country LowCardinality(String), trigger LowCardinality(String))
ENGINE = MergeTree ORDER BY (affiliate_id, clicked_at)`,
	`CREATE TABLE queue (workspace String, click_id UUID, clicked_at DateTime64(3, 'UTC'), affiliate_id String,
link_id String, visitor_id String, url String, referrer String, user_agent String, country String, trigger String)` + kafkaSettings +
		`, input_format_skip_unknown_fields = 1`,
	`CREATE MATERIALIZED VIEW queue_mv TO small AS SELECT * FROM queue`,
}

// ownTable fills the processor's own table, and so its views, with what SQL functions can say of a
// click: not the browser, the channel and the bots.
var ownTable = []string{
	`CREATE TABLE queue (workspace String, click_id String, clicked_at DateTime64(3, 'UTC'),
received_at DateTime64(3, 'UTC'), program_id String, affiliate_id String, link_id String, visitor_id String,
identity_hash String, url String,
referrer String, user_agent String, country String, region String, city String, trigger String,
consent String)` + kafkaSettings,
	`CREATE MATERIALIZED VIEW queue_mv TO clicks AS SELECT workspace, UUIDStringToNum(click_id) AS click_id,
clicked_at, received_at, program_id, affiliate_id, link_id, visitor_id, unhex(identity_hash) AS identity_hash, url,
domain(url) AS host, path(url) AS path, referrer, domainWithoutWWW(referrer) AS referrer_domain,
extractURLParameter(url, 'utm_source') AS utm_source, extractURLParameter(url, 'utm_medium') AS utm_medium,
extractURLParameter(url, 'utm_campaign') AS utm_campaign, extractURLParameter(url, 'gclid') AS ad_click_id,
country, region, city, user_agent, trigger, consent,
bitNot(toUInt64(toUnixTimestamp64Milli(received_at))) AS version FROM queue`,
}

// report prints the medians.
func (l *load) report(loaders []*loader) {
	fmt.Printf("\n%-16s %10s %8s %8s %8s %10s %8s %8s\n",
		"", "processor", "engine", "sum", "broker", "clicks/s", "RSS MB", "bytes")
	middle := func(c *loader, value func(loaded) float64) float64 {
		values := make([]float64, len(c.rounds))
		for i, r := range c.rounds {
			values[i] = value(r)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	micros := func(c *loader, d func(loaded) time.Duration) float64 {
		return middle(c, func(r loaded) float64 { return float64(d(r).Microseconds()) / float64(l.Clicks) })
	}
	for _, c := range loaders {
		fmt.Printf("%-16s %10.2f %8.2f %8.2f %8.2f %10.0f %8.0f %8.1f\n", c.name,
			micros(c, func(r loaded) time.Duration { return r.processor }),
			micros(c, func(r loaded) time.Duration { return r.engine }),
			micros(c, func(r loaded) time.Duration { return r.processor + r.engine }),
			micros(c, func(r loaded) time.Duration { return r.broker }),
			middle(c, func(r loaded) float64 { return r.rate }),
			middle(c, func(r loaded) float64 { return float64(r.rss) }),
			middle(c, func(r loaded) float64 { return float64(r.bytes) / float64(l.Clicks) }))
	}
}
