package fx

import (
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"
)

// What is kept of a day is what Lookup gives: the preferred source's, also where the other one has
// a newer rate; pegs; nothing that is held back. What is kept already is not written again.
func TestKeepDays(t *testing.T) {
	desk, write := bank(t, "desk")
	other, writeOther := bank(t, "another")
	write("date,currency,usd\n2026-03-06,eur,1.10\n2026-03-02,gbp,1.3\n2026-03-05,gbp,9.9\n")
	writeOther("date,currency,usd\n2026-03-07,eur,1.25\n")
	store := &memory{first: day(t, "2026-03-05")}
	live := liveOf(t, store, slog.New(slog.DiscardHandler), nil, desk, other)
	loaded(t, live)
	now := day(t, "2026-03-08").Time().Add(time.Hour)
	keeps := func(currency, want string) {
		t.Helper()
		if err := live.KeepDays(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		var got []string
		for at := store.first - 1; at <= DateOf(now)+2; at++ {
			if kept, ok := store.days[rateKey{currency: currency, date: at}]; ok {
				got = append(got, kept.USD.String()+" "+kept.Source)
			}
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%s is kept as %s, want %s", currency, text, want)
		}
	}
	keeps("eur", "0 , 1.1 file:desk, 1.1 file:desk, 1.1 file:desk, 1.1 file:desk")
	keeps("gbp", "1.3 file:desk, 1.3 file:desk, 1.3 file:desk, 1.3 file:desk, 1.3 file:desk")
	const dirham = "0.272294077603812117 pegs"
	keeps("aed", strings.Join([]string{dirham, dirham, dirham, dirham, dirham}, ", "))

	written := store.written
	loaded(t, live)
	keeps("aed", strings.Join([]string{dirham, dirham, dirham, dirham, dirham}, ", "))
	if store.written != written {
		t.Errorf("%d rates were written again", store.written-written)
	}
	write("date,currency,usd\n2026-03-06,eur,1.10\n2026-03-08,eur,1.12\n2026-03-02,gbp,1.3\n2026-03-05,gbp,9.9\n")
	loaded(t, live)
	keeps("eur", "0 , 1.1 file:desk, 1.1 file:desk, 1.12 file:desk, 1.12 file:desk")
	// An older sale arrives; an hour later its days are looked up.
	store.first, now = day(t, "2026-03-04"), now.Add(lookEvery)
	keeps("gbp", "1.3 file:desk, 1.3 file:desk, 1.3 file:desk, 1.3 file:desk, 1.3 file:desk, 1.3 file:desk")

	// Rates of pounds are gone, from the sources and from what is stored: the ledger converts none.
	write("date,currency,usd\n2026-03-06,eur,1.10\n")
	maps.DeleteFunc(store.rates, func(key rateKey, _ Rate) bool { return key.currency == "gbp" })
	loaded(t, live)
	keeps("gbp", "0 , 0 , 0 , 0 , 0 , 0 ")
}

// All currencies of a few days are looked up and written at once, those of twenty years a part at a
// time, so that they need not be in memory together.
func TestKeepDaysInFewStatements(t *testing.T) {
	desk, write := bank(t, "desk")
	write("date,currency,usd\n2026-03-06,eur,1.10\n")
	now := day(t, "2026-03-08").Time()
	keep := func(first string) *memory {
		t.Helper()
		store := &memory{first: day(t, first)}
		live := liveOf(t, store, slog.New(slog.DiscardHandler), nil, desk)
		loaded(t, live)
		if err := live.KeepDays(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		want := len(live.table.Load().currencies) * (int(DateOf(now)-store.first) + 2) // with tomorrow
		if store.written != want {
			t.Errorf("from %s on %d rates are written, want %d", first, store.written, want)
		}
		return store
	}
	if store := keep("2026-03-05"); store.asked != 1 || store.largest != store.written {
		t.Errorf("%d lookups, and %d of %d rates at once", store.asked, store.largest, store.written)
	}
	if store := keep("2022-03-05"); store.largest > dayRows || store.written <= dayRows {
		t.Errorf("%d of %d rates at once", store.largest, store.written)
	}
}
