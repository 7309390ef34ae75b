//go:build linux && proof

package crash

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/local/chdb"
	"tributary/deploy/local/chdb/chdbtest"
	"tributary/deploy/process"
	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/recompute"
	"tributary/schemas"
	"tributary/sql"
)

// dataVariable makes this program an engine over that directory, at the address in addressVariable.
const (
	dataVariable    = "CRASH_TEST_DATA"
	addressVariable = "CRASH_TEST_ADDRESS"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(dataVariable); dir != "" {
		fmt.Fprintln(os.Stderr, serve(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serve is the engine's process: it answers until it is killed.
func serve(dir string) error {
	library, err := chdb.Find()
	if err != nil {
		return err
	}
	engine, err := chdb.Open(library, dir)
	if err != nil {
		return err
	}
	return http.ListenAndServe(os.Getenv(addressVariable),
		engine.Handler()) //nolint:gosec // it is spoken to by this test alone
}

// control is the memory that calls.c shares with us.
type control []byte

func (c control) count() int64 { return int64(binary.NativeEndian.Uint64(c[8:])) }

// patternAt is where the pattern begins, behind the path of 2,048 bytes.
const patternAt = 40 + 2048

// path says on what the call would have been made.
func (c control) path() string { return string(c[40 : 40+bytes.IndexByte(c[40:], 0)]) }

// A fault is what happens instead of a call.
type fault struct {
	errno   syscall.Errno // with which it fails; 0: the process is killed
	onwards bool          // so does every later call
	pattern string        // of the paths whose calls count, as fnmatch(3) has it; "": all
}

// arm lets the call number at be the one; 0: none is.
func (c control) arm(at int64, f fault) {
	onwards := uint64(0)
	if f.onwards {
		onwards = 1
	}
	for i, v := range []uint64{0, uint64(at), uint64(f.errno), onwards} {
		binary.NativeEndian.PutUint64(c[8+8*i:], v)
	}
	copy(c[patternAt:patternAt+64], f.pattern+"\x00")
	binary.NativeEndian.PutUint64(c, 1)
}

func (c control) disarm() { binary.NativeEndian.PutUint64(c, 0) }

// bench is what the tests of all crash points share.
type bench struct {
	*testing.T
	dir     string
	address string // of the engine, in all its lives
	library string // calls.c, compiled
	engine  *process.Process
	control control
	corrupt int // how often the engine found a part that it had not written whole
}

func newBench(t *testing.T) *bench {
	t.Helper()
	compiler, missing := exec.LookPath("cc") // for the library that kills the engine
	if _, err := chdb.Find(); err != nil {
		missing = err
	}
	if missing != nil {
		if os.Getenv(chdbtest.RequireVariable) == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	dir := t.TempDir()
	b := &bench{T: t, dir: dir, library: filepath.Join(dir, "calls.so")}
	if said, err := exec.Command(compiler, "-shared", "-fPIC", "-O1", "-o", b.library, "testdata/calls.c",
		"-ldl").CombinedOutput(); err != nil {
		t.Fatalf("compile testdata/calls.c: %v\n%s", err, said)
	}
	file, err := os.Create(filepath.Join(dir, "control"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(4096); err != nil {
		t.Fatal(err)
	}
	memory, err := syscall.Mmap(int(file.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(memory) })
	b.control = control(memory)
	addresses, err := process.Addresses(1)
	if err != nil {
		t.Fatal(err)
	}
	b.address = addresses[0]
	b.start()
	t.Cleanup(func() { b.engine.Kill() })
	b.migrate("live")
	b.migrate("quiet")
	return b
}

// start begins a life of the engine over the same data.
func (b *bench) start() {
	b.Helper()
	data := filepath.Join(b.dir, "data")
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), dataVariable+"="+data, addressVariable+"="+b.address,
		"LD_PRELOAD="+b.library, "CALLS_DIR="+data, "CALLS_CONTROL="+filepath.Join(b.dir, "control"))
	command.Stderr = os.Stderr
	life, err := process.Start(command)
	if err != nil {
		b.Fatal(err)
	}
	b.engine = life
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if response, err := http.Get("http://" + b.address + "/ping"); err == nil {
			_ = response.Body.Close()
			return
		}
		if !life.Alive() || time.Now().After(deadline) {
			b.Fatalf("the engine does not start: %v", life.Err())
		}
	}
}

// brokenPart are the engine's names of what it finds in a part that is not whole.
var brokenPart = regexp.MustCompile(`ATTEMPT_TO_READ_AFTER_EOF|CANNOT_READ_ALL_DATA|FILE_DOESNT_EXIST|` +
	`(NO|BAD_SIZE_OF)_FILE_IN_DATA_PART|CORRUPTED_DATA|CANNOT_DECOMPRESS|UNKNOWN_CODEC`)

// corrupted reports whether the engine refuses to answer because a part of a table is not whole.
// That is how it answers for a merge of which it could not write the data or the marks: some of
// those failed calls it takes for written. Nothing wrong is answered, and when it starts again it
// sets the part aside and has those again that were merged into it. An insert that is refused since
// its part was read back and is not whole (CHECKSUM_DOESNT_MATCH) needs no restart.
func corrupted(answer string) bool {
	return brokenPart.MatchString(answer) && !strings.Contains(answer, "CHECKSUM_DOESNT_MATCH")
}

// restart is what an operator does about a part that is not whole.
func (b *bench) restart() {
	b.Helper()
	b.corrupt++
	b.engine.Kill()
	b.start()
}

// ask returns the answer to a query, as tab separated text. Where the engine refuses for a part
// that is not whole, it asks once more after a restart.
func (b *bench) ask(query string) string {
	b.Helper()
	status, answer := b.tryAsk(query)
	if status != http.StatusOK && corrupted(answer) {
		b.restart()
		status, answer = b.tryAsk(query)
	}
	if status != http.StatusOK {
		b.Fatalf("%s: %d %s", query, status, answer)
	}
	return strings.TrimSpace(answer)
}

func (b *bench) tryAsk(query string) (status int, answer string) {
	b.Helper()
	res, err := http.Post("http://"+b.address+"/", "", strings.NewReader(query))
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func (b *bench) migrate(database string) {
	b.Helper()
	b.ask("CREATE DATABASE " + database)
	options, err := clickhousego.ParseDSN("http://" + b.address + "/" + database)
	if err != nil {
		b.Fatal(err)
	}
	db := clickhousego.OpenDB(options)
	defer db.Close()
	if err := sql.Migrate(b.Context(), db, func(string) {}); err != nil {
		b.Fatal(err)
	}
}

type object = map[string]any

var epoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// records are a batch of a workspace of its own: clicks of two months, a lead, a sale whose click
// it names, its refund, and an event that cannot be read.
func records(tb testing.TB, n int) (clicks, money []*kgo.Record) {
	tb.Helper()
	workspace, account := fmt.Sprintf("w%d", n), fmt.Sprintf("acct_%d", n)
	check := func(r *kgo.Record, err error) *kgo.Record {
		if err != nil {
			tb.Fatal(err)
		}
		return r
	}
	id := func(at time.Time, k byte) schemas.ClickID {
		id := schemas.NewClickID(at)
		binary.BigEndian.PutUint64(id[8:], uint64(n))
		id[6], id[7], id[8] = 0x70, k, 0x80
		return id
	}
	ids := []schemas.ClickID{id(epoch, 1), id(epoch.AddDate(0, -1, 0), 2), id(epoch.Add(time.Minute), 3)}
	for i, id := range ids {
		at := id.Time().UnixMilli()
		clicks = append(clicks, check(schemas.ClickRecord(&schemas.Click{
			Workspace: workspace, ClickId: id[:], ClickedAt: at, ReceivedAt: at + 20, LinkId: "spring", AffiliateId: "ann",
			ProgramId: "partners", VisitorId: fmt.Sprint("v", i),
			Url: "https://shop.example/?utm_campaign=spring", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) " +
				"Gecko/20100101 Firefox/128.0",
		}, nil)))
	}
	money = append(money, check(schemas.LeadRecord(&schemas.Lead{
		LeadId: ids[0][:], Workspace: workspace, ReceivedAt: epoch.UnixMilli(), ClickRef: ids[0].String(),
		ExternalId: fmt.Sprint("user ", n), EventName: "Sign up", Mode: "async", Quantity: 1,
	})))
	event := func(name, typ string, at int, data object) {
		moment := epoch.Add(time.Duration(at) * time.Minute)
		body, err := json.Marshal(object{
			"id": fmt.Sprintf("evt_%d_%s", n, name), "object": "event", "type": typ, "created": moment.Unix(), "livemode": true,
			"api_version": "2023-10-16", "account": account,
			"data": object{"object": data},
		})
		if err != nil {
			tb.Fatal(err)
		}
		money = append(money, schemas.StripeRecord(&schemas.StripeEvent{
			ID: fmt.Sprintf("evt_%d_%s", n, name), Type: typ, Account: account, Livemode: true,
			ReceivedAt: moment.Add(time.Second), Body: body,
		}, name))
	}
	payment, charge := fmt.Sprint("pi_", n), fmt.Sprint("ch_", n)
	event("paid", "checkout.session.completed", 5, object{
		"id": fmt.Sprint("cs_", n), "object": "checkout.session", "mode": "payment", "payment_status": "paid",
		"currency": "eur", "amount_total": 1190, "payment_intent": payment,
		"total_details": object{"amount_tax": 190}, "client_reference_id": ids[0].String(), "metadata": object{},
	})
	event("refunded", "charge.refunded", 9, object{
		"id": charge, "object": "charge", "amount": 1190, "amount_captured": 1190, "captured": true, "amount_refunded": 500,
		"currency": "eur", "payment_intent": payment,
	})
	event("odd", "charge.refunded", 9, object{"id": fmt.Sprint("ch_odd_", n), "object": "charge", "currency": "eur"})
	for i, r := range money {
		r.Partition, r.Offset = int32(n), int64(i)
	}
	return clicks, money
}

// handle does with a batch what the two consumers do, and returns when ClickHouse has acknowledged
// it, or with an error when it refuses for a part that is not whole, which only a restart ends.
func (b *bench) handle(ctx context.Context, database string, n int) error {
	b.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := clickhouse.Open("http://"+b.address+"/"+database, log, prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			if err := store.Failing(); err != nil && corrupted(err.Error()) {
				cancel()
			}
		}
	}()
	recomputer := recompute.New(recompute.Config{Store: store, Rates: clickhousetest.FixedRates{"eur": "1.1"}, Log: log})
	money := &consume.Payments{
		Store: store, Recomputer: recomputer, Workspace: func(e *schemas.StripeEvent) (string, bool) {
			return "w" +
				strings.TrimPrefix(e.Account, "acct_"), true
		}, Events: consume.NewEventsMetric(),
	}
	clicks := &consume.Clicks{Store: store, Recomputer: recomputer}
	// What is set aside comes back from Kafka as a record of the dead letters' topic.
	aside := func(ctx context.Context, r *kgo.Record, step, reason string, cause error) error {
		letter := schemas.DeadLetterRecord(r, step, reason, cause)
		letter.Timestamp = epoch
		return money.Handle(ctx, []*kgo.Record{letter}, func(context.Context, *kgo.Record, string, string, error) error {
			return errors.New("a dead letter cannot be read")
		})
	}
	clicked, paid := records(b, n)
	if err := money.Handle(ctx, paid, aside); err != nil {
		return err
	}
	return clicks.Handle(ctx, clicked, aside)
}

// again handles a batch where no call fails any more. A part of which a call failed before may be
// found now.
func (b *bench) again(database string, n int) {
	b.Helper()
	err := b.handle(b.Context(), database, n)
	if err != nil && corrupted(err.Error()) {
		b.restart()
		err = b.handle(b.Context(), database, n)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// tables with what they hold of one batch, in one line, whatever the order and however often it was
// delivered.
var tables = []struct{ name, digest, of string }{
	{"clicks", "cityHash64(*)", "workspace = 'w%d'"},
	{"stripe_events", "cityHash64(*)", "workspace = 'w%d'"},
	{"facts", "cityHash64(*)", "workspace = 'w%d'"},
	{"identities", "cityHash64(*)", "workspace = 'w%d'"},
	{"leads", "cityHash64(*)", "workspace = 'w%d'"},
	{"leads_attributed", "cityHash64(*)", "workspace = 'w%d'"},
	{"ledger", "cityHash64(*)", "workspace = 'w%d'"},
	{"revenue", "cityHash64(*)", "workspace = 'w%d'"},
	{"dead_letters", "cityHash64(* EXCEPT headers, mapSort(headers))", "partition = %d"},
	{"revenue_days", "cityHash64(*)", "workspace = 'w%d'"},
	{"(SELECT workspace, day FROM %s.click_days GROUP BY ALL)", "cityHash64(*)", "workspace = 'w%d'"},
}

func (b *bench) digest(database string, n int) string {
	b.Helper()
	var parts []string
	for _, t := range tables {
		from := database + "." + t.name + " FINAL"
		if strings.HasPrefix(t.name, "(") {
			from = fmt.Sprintf(t.name, database)
		}
		parts = append(parts, fmt.Sprintf("(SELECT tuple(count(), sum(%s)) FROM %s WHERE "+t.of+")", t.digest, from, n))
	}
	return b.ask("SELECT " + strings.Join(parts, ", "))
}

// calls handles the first batch where nothing happens and says how many calls that makes. The
// engine's own background work comes in between, so that it is not always the same.
func (b *bench) calls() int64 {
	b.Helper()
	b.control.arm(0, fault{})
	if err := b.handle(b.Context(), "live", 0); err != nil {
		b.Fatal(err)
	}
	b.control.disarm()
	calls := b.control.count()
	if calls < 100 {
		b.Fatalf("a batch makes only %d calls: testdata/calls.c does not see them", calls)
	}
	return calls
}

// chosen are the calls to be tried: all, or some n of them at equal distances.
func chosen(calls, n int64) []int64 {
	step := max(1, calls/n)
	if os.Getenv("TRIBUTARY_CRASH_POINTS") == "all" {
		step = 1
	}
	var at []int64
	for c := (step + 1) / 2; c <= calls; c += step {
		at = append(at, c)
	}
	return at
}

// quiet handles the batch where nothing happens, and says what the tables hold of it.
func (b *bench) quiet(n int) string {
	b.Helper()
	b.again("quiet", n)
	return b.digest("quiet", n)
}

// perData is how many calls are tried over the same data: what was right must stay right beside
// what was killed and merged, but each batch makes merges and starts of the engine longer.
const perData = 60

// try returns the chosen calls to f, over new data now and then.
func try(t *testing.T, n int64, f func(b *bench, calls int64, at []int64)) {
	t.Helper()
	calls := newBench(t).calls()
	for at := range slices.Chunk(chosen(calls, n), perData) {
		t.Run(fmt.Sprintf("from call %d of %d", at[0], calls), func(t *testing.T) {
			b := newBench(t)
			_ = b.calls() // the first batch makes calls that later ones do not
			f(b, calls, at)
		})
	}
}

// Wherever in a batch the engine dies, the batch handled once more gives the same tables.
func TestEveryCallMayBeTheLast(t *testing.T) {
	try(t, 30, func(b *bench, calls int64, tried []int64) {
		died, wrong := 0, 0
		for _, at := range tried {
			n := int(at)
			if b.point(at, fault{}, n) {
				died++
				b.start()
			}
			b.again("live", n)
			if got, want := b.digest("live", n), b.quiet(n); got != want {
				wrong++
				b.Errorf("killed before call %d of %d, on %s, and handled once more:\n%s\nwhere nothing happened:\n%s", at, calls,
					b.control.path(), got, want)
			}
		}
		if died < len(tried)*9/10 {
			b.Errorf("of %d lives only %d ended before their call", len(tried), died)
		}
		for _, at := range append(tried, 0) {
			if got, want := b.digest("live", int(at)), b.quiet(int(at)); got != want {
				wrong++
				b.Errorf("batch %d in the end:\n%s\nwhere nothing happened:\n%s", at, got, want)
			}
		}
		if b.corrupt > 0 {
			b.Errorf("%d parts were not whole", b.corrupt)
		}
		b.Logf("killed before %d of %d calls, %d of them wrong", died, len(tried), wrong)
	})
}

// Whichever call of a batch fails, what is acknowledged is there, and stays there: an offset is
// committed on that word.
func TestEveryCallMayFail(t *testing.T) {
	for name, f := range map[string]fault{
		"no space": {errno: syscall.ENOSPC}, "a broken disk": {errno: syscall.EIO},
		"a disk that turns read-only": {errno: syscall.EROFS, onwards: true},
	} {
		t.Run(name, func(t *testing.T) {
			try(t, 10, func(b *bench, calls int64, tried []int64) {
				died, wrong := 0, 0
				for _, at := range tried {
					n := int(at)
					check := func(when string) {
						if got, want := b.digest("live", n), b.quiet(n); got != want {
							wrong++
							b.Errorf("call %d of %d, on %s, failed; %s:\n%s\nwhere nothing happened:\n%s", at, calls,
								b.control.path(), when, got, want)
						}
					}
					if b.point(at, f, n) {
						died++
						b.start()
						b.again("live", n)
					}
					check("acknowledged")
					b.engine.Kill()
					b.start() // what is not whole on the disk is found now
					check("after a restart")
				}
				b.Logf("%d calls failed, the engine died of %d, %d wrong; %d parts were not whole", len(tried), died, wrong,
					b.corrupt)
			})
		})
	}
}

// Of some calls of a merge the engine does not notice that they failed (see corrupted): what is
// acknowledged is there again after a restart.
func TestEveryCallOfMergesMayFail(t *testing.T) {
	b := newBench(t)
	_ = b.calls()
	n := 0
	for _, files := range []string{"data.bin", "data.cmrk*", "*"} {
		for at := range int64(4) {
			n++
			if b.point(at+1, fault{errno: syscall.EIO, pattern: "*/tmp_merge_*/" + files}, n) {
				b.start()
				b.again("live", n)
			}
			for range 2 {
				if got, want := b.digest("live", n), b.quiet(n); got != want {
					b.Errorf("batch %d, where call %d on %s failed:\n%s\nwhere nothing happened:\n%s", n, at+1,
						b.control.path(), got, want)
				}
				b.engine.Kill()
				b.start()
			}
		}
	}
	b.Logf("%d parts were not whole", b.corrupt)
}

// point handles batch n while the file system's call number at fails as f says. It reports whether
// the engine ended: by itself, or killed here because it found a damaged part. Otherwise the batch
// was acknowledged; any other error fails the test.
func (b *bench) point(at int64, f fault, n int) (died bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	b.control.arm(at, f)
	defer b.control.disarm()
	if f.onwards {
		defer time.AfterFunc(700*time.Millisecond, b.control.disarm).Stop() // nothing succeeds before somebody mends it
	}
	handled := make(chan error, 1)
	go func() { handled <- b.handle(ctx, "live", n) }()
	select {
	case <-b.engine.Ended():
		cancel()
		<-handled
		return true
	case err := <-handled:
		if err != nil && corrupted(err.Error()) {
			b.corrupt++
			b.engine.Kill()
			return true
		}
		if err != nil {
			b.Fatalf("batch %d, call %d: %v", n, at, err)
		}
		return false
	}
}
