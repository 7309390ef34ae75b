package clickhouse

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/fx"
)

// Money is shown in another currency by what the ledger converts by: the first source of the order
// that has a rate, not the first by name or the newest, and pegs, which are stored in no table.
func TestReportingRates(t *testing.T) {
	store, _ := testStore(t)
	var specs []string
	for name, rates := range map[string]string{
		"desk":    "2026-03-06,eur,1.10\n2026-03-06,sek,0.1\n2026-03-07,sek,5\n", // a slip, held back
		"another": "2026-03-01,eur,1.25\n2026-03-07,eur,1.25\n",
	} {
		path := filepath.Join(t.TempDir(), name+".csv")
		if err := os.WriteFile(path, []byte("date,currency,usd\n"+rates), 0o600); err != nil {
			t.Fatal(err)
		}
		specs = append(specs, "file:"+path)
	}
	if filepath.Base(specs[0]) != "desk.csv" {
		specs[0], specs[1] = specs[1], specs[0]
	}
	sources, err := fx.ParseSources(specs)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, currency, amount, net_usd,
			match_rule, status, version) VALUES
			('shop', 'e1', true, '2026-03-07', 'payment', 'pi_1', 'pi_1', '2026-03-07 12:00:00', 'usd', 11000, 110, 'none',
				'booked', 1)`,
		`INSERT INTO spend (workspace, day, channel, currency, amount) VALUES ('shop', '2026-03-07', 'email', 'eur', 10),
			('shop', '2026-03-02', 'email', 'EUR', 10), ('shop', '2026-03-07', 'email', 'zzz', 10)`,
	} {
		if err := store.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	asks := func(query, want string) {
		t.Helper()
		got := "nothing"
		err := store.Each(t.Context(), func(rows driver.Rows) error { return rows.Scan(&got) }, query)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", query, got, err, want)
		}
	}
	net := func(currency, rates, want string) {
		t.Helper()
		asks(`SELECT ifNull(toString(any(net)), 'no rate') FROM activity(workspace = 'shop', livemode = true,
			from = '2026-03-01 00:00:00', to = '2026-04-01 00:00:00', dimension = '', only = map()::Map(String, Array(String)),
			without = map()::Map(String, Array(String)), currency = '`+currency+`', rates = '`+rates+`', stored = true)`, want)
	}
	live := fx.NewLive(store, sources, fx.StripeExponents(), slog.New(slog.DiscardHandler), nil)
	if _, err := live.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	net("eur", "", "88") // no processor has written the rates of days: what is newest
	now := time.Date(2026, 3, 8, 1, 0, 0, 0, time.UTC)
	if err := live.KeepDays(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	net("eur", "", "100")
	net("eur", "file:another", "88")
	net("sek", "", "1100")
	net("aed", "", "403.975")
	net("zzz", "", "no rate")
	net("usd", "", "110")
	const shown = ` FROM spend_shown(workspace = 'shop', from = '2026-03-01 00:00:00', to = '2026-04-01 00:00:00', currency = 'aed',
		rates = '')`
	// 10 EUR are 12.50 USD on the 2nd, by the only source of that day, and 11 on the 7th; of zzz
	// nothing is known.
	asks("SELECT arrayStringConcat(arraySort(groupArray(ifNull(toString(shown), 'no rate'))), ' ')"+shown, "40.3975 45.90625 no rate")

	// Rates of crowns are gone: the ledger converts none, so nothing is shown in crowns.
	err = store.Exec(t.Context(), "ALTER TABLE fx_rates DELETE WHERE currency = 'sek' SETTINGS mutations_sync = 1")
	if err != nil {
		t.Fatal(err)
	}
	if err := live.LoadStored(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := live.KeepDays(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	net("sek", "", "no rate")
}
