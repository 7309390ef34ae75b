package rollup_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/race"
	"tributary/processor/clickhouse"
	"tributary/processor/query"
	"tributary/processor/rollup"
	"tributary/sql"
	"tributary/sql/sqltest"
)

// payments makes random payments and refunds of few buyers, sales and times, so that they often
// concern the same ones, and every version of them later.
type payments struct {
	t     *testing.T
	dsn   string
	store *clickhouse.Store
	rng   *rand.Rand
	left  int            // rounds: later ones write earlier payments, so that buyers get other first sales
	rows  []string       // that were written
	days  map[int]string // by entry: under which it is in revenue

	compared int // answers, by same
}

// write inserts some rows into the ledger: new entries, new versions of known ones, and again what
// was written before.
func (p *payments) write() {
	var rows, moved []string
	for range 1 + p.rng.IntN(4) {
		if len(p.rows) > 0 && p.rng.IntN(5) == 0 {
			rows = append(rows, p.rows[p.rng.IntN(len(p.rows))])
			continue
		}
		entry, version := p.rng.IntN(100), len(p.rows)+1
		kind := []string{"payment", "payment", "payment", "refund"}[entry%4]
		status := []string{"booked", "booked", "booked", "booked", "held", "superseded"}[p.rng.IntN(6)]
		at := begin.AddDate(0, 0, p.rng.IntN(3)).Add(time.Duration(p.left*5+p.rng.IntN(12)) * time.Second)
		id := fmt.Sprintf("unhex('%08x%024x')", entry, 1)
		const row = "('shop', %s, true, '%s', '%s', 'o%d', 's%d', '%s', '%s', '%s', 'usd', %d, %d, '%s', %d, '%s', '%s')"
		rows = append(rows, fmt.Sprintf(row, id, at.Format(time.DateOnly), kind, entry, p.rng.IntN(20),
			at.Format(time.DateTime),
			[]string{"", "cus_1", "cus_2"}[p.rng.IntN(3)], []string{"", "", "ann", "bob", "cy", "di"}[p.rng.IntN(6)],
			p.rng.IntN(4), version, status, version,
			[]string{"", "a", "b"}[p.rng.IntN(3)], []string{"none", "click"}[p.rng.IntN(2)]))
		p.rows = append(p.rows, rows[len(rows)-1])
		day := at.Format(time.DateOnly)
		if old := p.days[entry]; old != "" && old != day { // as clickhouse.InsertLedger does
			moved = append(moved, fmt.Sprintf("('shop', true, '%s', %s, %d, 1)", old, id, version))
		}
		p.days[entry] = day
	}
	p.exec("INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, customer_id, " +
		"external_customer_id, currency, amount, net_usd, status, version, affiliate_id, match_rule) VALUES " +
		strings.Join(rows, ", "))
	if moved != nil {
		p.exec("INSERT INTO revenue (workspace, livemode, day, entry_id, version, moved) VALUES " + strings.Join(moved, ", "))
	}
}

// pass moves what was written and computed so many minutes into the past.
func (p *payments) pass(minutes int) {
	for table, column := range map[string]string{"payments_written": "written_at", "first_sales": "computed_at"} {
		p.exec("CREATE TABLE before AS " + table)
		p.exec(fmt.Sprintf("INSERT INTO before SELECT * REPLACE (%s - INTERVAL %d MINUTE AS %s) FROM %s",
			column, minutes, column, table))
		p.exec("EXCHANGE TABLES before AND " + table)
		p.exec("DROP TABLE before SYNC")
	}
}

// rename makes one buyer another one, as an erasure does, and deletes a payment, as a repair does.
func (p *payments) rename() {
	void := func() {
		if err := clickhouse.VoidFirstSales(p.t.Context(), p.store); err != nil {
			p.t.Fatal(err)
		}
	}
	void()
	p.exec("ALTER TABLE revenue UPDATE external_customer_id = 'eve' WHERE external_customer_id = 'ann' " +
		"SETTINGS mutations_sync = 2")
	p.exec(fmt.Sprintf("ALTER TABLE revenue DELETE WHERE sale_id = 's%d' SETTINGS mutations_sync = 2", p.rng.IntN(20)))
	void()
}

func (p *payments) exec(statement string) {
	p.t.Helper()
	if err := p.store.Exec(p.t.Context(), statement); err != nil {
		p.t.Fatal(err)
	}
}

// ask sends a statement with the parameters of a question, as whoever asks questions does.
func (p *payments) ask(statement string, parameters map[string]string) string {
	p.t.Helper()
	u, err := url.Parse(p.dsn)
	if err != nil {
		p.t.Fatal(err)
	}
	values := url.Values{"database": {strings.TrimPrefix(u.Path, "/")}, "default_format": {"TabSeparated"}}
	for name, value := range parameters {
		values.Set("param_"+name, value)
	}
	for name, value := range sql.Pinned() {
		values.Set(name, value)
	}
	response, err := http.Post(u.Scheme+"://"+u.Host+"/?"+values.Encode(), "text/plain", strings.NewReader(statement))
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		p.t.Fatalf("%s\n%s %v", statement, body, err)
	}
	return string(body)
}

// lookUp returns the rows of a statement of LookUpFirstSales.
func (p *payments) lookUp(statement string) ([]string, error) {
	return strings.Split(strings.TrimSuffix(p.ask(statement, asked), "\n"), "\n"), nil
}

var asked = map[string]string{
	"workspace": "shop", "livemode": "true", "from": "2026-03-01 00:00:00", "to": "2026-03-05 00:00:00", "unit": "hour",
	"timezone": "UTC", "only": "{}", "without": "{}", "currency": "usd", "rates": "", "visitors": "true",
	"dimension": "affiliate", "limit": "9",
}

// with returns the values with other ones of two names.
func with(values map[string]string, name, value, name2, value2 string) map[string]string {
	values = maps.Clone(values)
	values[name], values[name2] = value, value2
	return values
}

// asking is a question with its values.
type asking struct {
	question string
	values   map[string]string
}

// same compares the answer from the lists with that from all payments, and reports whether there
// was one from the lists.
func (p *payments) same(when string) bool {
	p.t.Helper()
	first, ok, err := sql.LookUpFirstSales(p.lookUp)
	if err != nil {
		p.t.Fatal(err)
	}
	if !ok {
		return false
	}
	// new_and_returning asks of refunds, too, whether they are of a first sale. The others ask of payments
	// only, and of a part of the time.
	from := begin.AddDate(0, 0, len(p.rows)%3).Add(time.Duration(p.left*5+len(p.rows)%7) * time.Second)
	part := with(asked, "from", from.Format(time.DateTime), "to", from.AddDate(0, 0, 1).Format(time.DateTime))
	filtered := with(part, "only", "{'affiliate':['a']}", "unit", "day")
	others := []asking{{"trend", part}, {"breakdown", part}, {"funnel", part}, {"trend", filtered}, {"top", part},
		{"breakdown", filtered}, {"return_on_spend", part}, {"totals", part}}
	p.compared++
	for _, a := range []asking{{"new_and_returning", asked}, others[p.compared%len(others)]} {
		question, values := a.question, a.values
		q, err := sql.AskQuestion(question)
		if err != nil {
			p.t.Fatal(err)
		}
		answers := make([]string, 2)
		for i, known := range []sql.Known{{}, {FirstSales: &first}} {
			text, err := q.Statement(values, known)
			if err != nil {
				p.t.Fatal(err)
			}
			answers[i] = p.ask(text, values)
		}
		if answers[0] != answers[1] {
			p.t.Fatalf("%s: %s of all payments\n%s\nof the lists, with %d lost, %d gained and %d paid\n%s",
				when, question, answers[0], len(first.Lost), len(first.Gained), len(first.Paid), answers[1])
		}
	}
	differences, err := rollup.FirstSalesDifferences(p.t.Context(), p.store)
	if err != nil || len(differences) > 0 {
		p.t.Fatalf("%s: the audit finds %v, %v", when, differences, err)
	}
	return true
}

// Whatever is written, again or otherwise, the lists tell the first sales that all payments do, or
// say that they do not. Once computed, they do.
func TestFirstSales(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	p := &payments{t: t, dsn: dsn, store: store, rng: rand.New(rand.NewPCG(5, 6)), days: make(map[int]string)}
	ledger := rollup.Ledger{Workspace: "shop", Livemode: true}
	if p.write(); p.same("without lists") {
		t.Fatal("there are no lists yet, and they tell the first sales")
	}
	told, changed := 0, 0
	if p.left = 18; race.Enabled {
		p.left = 3
	}
	for ; p.left >= 0; p.left-- {
		p.pass(10)
		if err := rollup.ComputeFirstSales(t.Context(), store, ledger); err != nil {
			t.Fatal(err)
		}
		if !p.same(fmt.Sprintf("round %d, computed", p.left)) {
			t.Fatalf("round %d: the lists were just computed, and do not tell the first sales", p.left)
		}
		for range 3 {
			if p.write(); p.same(fmt.Sprintf("round %d, written", p.left)) {
				told++
			}
			changed++
		}
		switch p.left % 6 {
		case 0:
			if p.rename(); p.same("altered") {
				t.Fatalf("round %d: payments were altered, and the lists of before tell the first sales", p.left)
			}
		case 3:
			p.exec("OPTIMIZE TABLE first_sales FINAL")
		}
	}
	p.pass(10)
	if err := rollup.ComputeFirstSales(t.Context(), store, ledger); err != nil {
		t.Fatal(err)
	}
	for _, altered := range []string{"sales = arrayMap(sale -> sale + 1, sales)", "several = []", "shared = []",
		"paid_again = arrayMap(several -> false, paid_again)", "paid_at = arrayMap(at -> at + INTERVAL 1 DAY, paid_at)"} {
		p.exec("ALTER TABLE first_sales UPDATE " + altered + " WHERE 1")
		if differences, err := rollup.FirstSalesDifferences(t.Context(), store); err != nil || differences[ledger] == 0 {
			t.Errorf("lists with %s are not found: %v %v", altered, differences, err)
		}
		if err := rollup.RepairFirstSales(t.Context(), store); err != nil || !p.same("repaired") {
			t.Errorf("lists with %s are not repaired: %v", altered, err)
		}
	}
	if told < changed/3 || told == changed {
		t.Errorf("the lists told the first sales in %d of %d states with changes: that tries too little", told, changed)
	}
}

// Whatever a workspace is called, its lists are its own.
func TestFirstSalesOfAnyName(t *testing.T) {
	dsn, db := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for i, name := range []string{`a\tb`, `\`, `\\n`, "a\tb", `it's`, "{livemode:Bool}", "?"} {
		if err := rollup.ComputeFirstSales(t.Context(), store, rollup.Ledger{Workspace: name}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		var count, names uint64
		err := db.QueryRowContext(t.Context(), "SELECT countIf(hex(workspace) = ?), uniqExact(workspace) FROM first_sales",
			fmt.Sprintf("%X", name)).Scan(&count, &names)
		if err != nil || count != 16 || names != uint64(i+1) {
			t.Errorf("%q has %d lists, and there are %d names: %v", name, count, names, err)
		}
	}
	if differences, err := rollup.FirstSalesDifferences(t.Context(), store); err != nil || len(differences) > 0 {
		t.Errorf("the lists differ: %v %v", differences, err)
	}
}

// Lists are computed where a ledger is large enough, once, and again when they are void for long
// enough.
func TestRefreshFirstSales(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	p := &payments{t: t, dsn: dsn, store: store, rng: rand.New(rand.NewPCG(7, 8)), days: make(map[int]string)}
	for range 20 {
		p.write()
	}
	var computed []time.Time
	refresh := func(entries int) int {
		t.Helper()
		if err := rollup.RefreshFirstSales(t.Context(), store, entries); err != nil {
			t.Fatal(err)
		}
		at := computedAt(t, store)
		if !slices.ContainsFunc(computed, at.Equal) && at.Year() > 1970 {
			computed = append(computed, at)
		}
		return len(computed)
	}
	if n := refresh(1000); n != 0 {
		t.Errorf("lists of a ledger with less than 1000 entries were computed")
	}
	if n := refresh(10); n != 1 {
		t.Fatal("no lists were computed")
	}
	if n := refresh(10); n != 1 {
		t.Error("lists were computed again at once")
	}
	p.rename()
	if n := refresh(10); n != 1 {
		t.Error("lists were computed that would be void")
	}
	if p.pass(10); refresh(10) != 2 || !p.same("after a rename") {
		t.Error("lists that were void were not computed again")
	}
	p.exec("TRUNCATE TABLE payments_written") // as it forgets what it had
	if p.pass(37 * 60); p.same("37 hours later") {
		t.Error("lists tell first sales of which payments_written forgot what came after them")
	}
	if refresh(10); !p.same("37 hours later, computed") {
		t.Error("lists of 37 hours ago were not computed again")
	}
}

func computedAt(t *testing.T, store *clickhouse.Store) (at time.Time) {
	t.Helper()
	err := store.Each(t.Context(), func(rows driver.Rows) error { return rows.Scan(&at) },
		"SELECT max(computed_at) FROM first_sales")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// pay inserts a payment, of a buyer who has no other id.
func (p *payments) pay(entry int, buyer, sale string, at time.Time) {
	p.exec(fmt.Sprintf("INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, "+
		"external_customer_id, currency, amount, net_usd, status, version) VALUES ('shop', unhex('%08x%024x'), true, '%s', "+
		"'payment', '%s', '%s', '%s', '%s', 'usd', 100, 1, 'booked', 1)",
		entry, 1, at.Format(time.DateOnly), sale, sale, at.Format(time.DateTime), buyer))
}

func (p *payments) compute() {
	p.t.Helper()
	ledger := rollup.Ledger{Workspace: "shop", Livemode: true}
	if err := rollup.ComputeFirstSales(p.t.Context(), p.store, ledger); err != nil {
		p.t.Fatal(err)
	}
}

// An insert of lists that ended early, or a replica that has fetched a part of it, leaves some slices
// of one computation and some of another. A buyer of whom both are there has two first sales.
func TestFirstSalesOfTwoComputations(t *testing.T) {
	p := openPayments(t)
	p.pay(1, "ann", "late", begin.Add(time.Hour))
	p.compute()
	p.pass(10)
	p.exec("CREATE TABLE mixed AS first_sales")
	p.exec("INSERT INTO mixed SELECT * FROM first_sales")
	p.pay(2, "ann", "early", begin)
	p.compute()
	p.exec("INSERT INTO mixed SELECT * FROM first_sales WHERE computed_at > now64(3) - INTERVAL 5 MINUTE " +
		"AND slice IN (SELECT toUInt8(buyer % 16) FROM revenue)")
	p.exec("EXCHANGE TABLES mixed AND first_sales")
	if p.same("one slice of a later computation") {
		t.Error("lists of two computations tell the first sales")
	}
	if err := rollup.RefreshFirstSales(t.Context(), p.store, 1); err != nil {
		t.Fatal(err)
	}
	if !p.same("computed again") {
		t.Error("lists of two computations were not computed again")
	}
}

// Lists of an earlier version do not say which sales have several payments, and neither do those of
// two sales that have the same hash. Neither are read, and both are computed again, but not all the
// time.
func TestFirstSalesThatAreNotComplete(t *testing.T) {
	p := openPayments(t)
	p.pay(1, "ann", "s", begin)
	p.pay(2, "ann", "s", begin.Add(time.Hour))
	p.exec("TRUNCATE TABLE payments_written")
	p.compute()
	p.exec("INSERT INTO first_sales (workspace, livemode, slice, buyers, sales, paid_at, entries, computed_at) " +
		"SELECT workspace, livemode, slice, buyers, sales, paid_at, entries, computed_at + 1 FROM first_sales WHERE slice = 3")
	p.exec("INSERT INTO first_sales SELECT * REPLACE (computed_at + 1 AS computed_at) FROM first_sales WHERE slice != 3")
	if p.same("not complete") {
		t.Error("lists that are not complete are read")
	}
	refresh := func(again bool) {
		t.Helper()
		before := computedAt(t, p.store)
		if err := rollup.RefreshFirstSales(t.Context(), p.store, 1); err != nil {
			t.Fatal(err)
		}
		if after := computedAt(t, p.store); after.Equal(before) == again {
			t.Errorf("lists of %s are those of %s now", before, after)
		}
	}
	refresh(false)
	p.pass(16)
	if refresh(true); !p.same("computed again") {
		t.Error("the lists do not tell first sales")
	}
}

// A first sale stays one where another buyer, who has bought before, pays a part of it later.
func TestFirstSalesThatAnotherBuyerPays(t *testing.T) {
	p := openPayments(t)
	p.pay(1, "bob", "his", begin.Add(-2*time.Hour))
	p.pay(2, "ann", "hers", begin.Add(-time.Hour))
	p.pass(10)
	p.compute()
	if p.pay(3, "bob", "hers", begin.Add(time.Hour)); !p.same("paid by bob") {
		t.Error("the lists do not tell first sales")
	}
}

// Where the server's clock is set back, what is written next is written before the lists were
// computed, by that clock.
func TestFirstSalesOfClockThatIsSetBack(t *testing.T) {
	p := openPayments(t)
	p.pay(1, "ann", "late", begin.Add(time.Hour))
	p.compute()
	p.pass(-60)
	p.pay(2, "ann", "early", begin)
	if p.same("an hour set back") {
		t.Error("lists of the future tell the first sales")
	}
	if err := rollup.RefreshFirstSales(t.Context(), p.store, 1); err != nil {
		t.Fatal(err)
	}
	if p.pass(70); p.same("70 minutes later") {
		t.Error("lists of before the clock was set back tell the first sales")
	}
	if err := rollup.RefreshFirstSales(t.Context(), p.store, 1); err != nil {
		t.Fatal(err)
	}
	if !p.same("70 minutes later, computed") {
		t.Error("lists of before the clock was set back were not computed again")
	}
}

// Lists may be replaced or deleted between the look-up and the question, and the question may be
// answered by a replica that does not have them yet. Then all payments are read.
func TestFirstSalesThatAreGone(t *testing.T) {
	p := openPayments(t)
	p.pay(1, "ann", "late", begin.Add(time.Hour))
	p.compute()
	engine, err := url.Parse(p.dsn)
	if err != nil {
		t.Fatal(err)
	}
	lists := 0
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: engine.Scheme, Host: engine.Host})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("log_comment") {
		case "tributary size of a workspace":
			fmt.Fprintln(w, sql.LargeFrom)
			return
		case "tributary question new_and_returning":
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			if bytes.Contains(body, []byte("FROM first_sales")) {
				lists++
				p.exec("TRUNCATE TABLE first_sales")
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()
	asker, err := query.Open(sqltest.Patient(server.URL+engine.Path), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	q, err := sql.AskQuestion("new_and_returning")
	if err != nil {
		t.Fatal(err)
	}
	answers := make([]string, 2) // with lists that are deleted just then, and without lists
	for i := range answers {
		answer, err := asker.Ask(t.Context(), "ann", q, asked, query.JSON)
		if err != nil {
			t.Fatal(err)
		}
		answers[i] = string(answer)
	}
	if lists != 1 || answers[0] != answers[1] {
		t.Errorf("asked of lists %d times: %s\nwithout lists: %s", lists, answers[0], answers[1])
	}
}

// Filling the table beside revenue takes longer than lists are void, so they are computed meanwhile.
func TestFirstSalesWhileRevenueIsRebuilt(t *testing.T) {
	p := openPayments(t)
	p.pay(1, "ann", "late", begin.Add(time.Hour))
	p.pay(2, "ann", "early", begin)
	p.exec("ALTER TABLE revenue DELETE WHERE sale_id = 'early' SETTINGS mutations_sync = 2") // what is repaired
	engine, err := url.Parse(p.dsn)
	if err != nil {
		t.Fatal(err)
	}
	exchanged := false
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: engine.Scheme, Host: engine.Host})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch {
		case bytes.Contains(body, []byte("INSERT INTO revenue_rebuilt")):
			p.pass(10)
			p.compute()
		case bytes.Contains(body, []byte("INSERT INTO revenue SELECT")):
			exchanged = true
			p.same("exchanged")
		}
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()
	store, err := clickhouse.Open(server.URL+engine.Path, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := clickhouse.RebuildDerived(t.Context(), store, "revenue"); err != nil {
		t.Fatal(err)
	}
	if !exchanged {
		t.Error("the statement after the exchange was not seen")
	}
}

func openPayments(t *testing.T) *payments {
	dsn, _ := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &payments{t: t, dsn: dsn, store: store, days: make(map[int]string)}
}
