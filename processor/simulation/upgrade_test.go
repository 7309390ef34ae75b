package simulation

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/consume"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/schemas"
	"tributary/sql"
)

// olderRules is the Store of a processor of before an upgrade: by its rules no money has a tax.
type olderRules struct {
	recompute.Store
	unmarked bool // its versions do not say so: see broken.unmarked
}

func (s *olderRules) InsertLedger(ctx context.Context, rows []ledger.Entry) error {
	rows = slices.Clone(rows)
	for i := range rows {
		e := &rows[i]
		if e.Tax, e.NetUSD = 0, e.AmountUSD; !s.unmarked {
			one := new(big.Int).Lsh(big.NewInt(1), 34) // of the field of the rules
			if e.Version.Cut() {
				one.Lsh(big.NewInt(1), 18)
			}
			e.Version = ledger.VersionOf(one.Sub(e.Version.Big(), one))
		}
	}
	return s.Store.InsertLedger(ctx, rows)
}

// drawUpgrade makes a schedule begin with processors of older rules; 0: none does.
func drawUpgrade(rng *rand.Rand) time.Duration {
	if rng.IntN(5) > 0 {
		return 0
	}
	return span/4 + time.Duration(rng.Int64N(int64(span))).Truncate(time.Millisecond)
}

// upgrade books everything again by the rules of now, while processors of older rules go on, and
// then replaces them one after the other. The exchange of tables is not modelled: the new rows are
// written beside the old ones.
func (r *run) upgrade() {
	r.command(decision{r.since(), fmt.Sprintf("a rebuild by rules %d", sql.LedgerRules),
		func(ctx context.Context, store recompute.Store, recomputer *recompute.Recomputer, _ time.Time) error {
			h := &replay.Handlers{Recomputer: recomputer, Clicks: &consume.Clicks{Store: store, Recomputer: recomputer},
				Payments: &consume.Payments{Store: store, Recomputer: recomputer, Events: consume.NewEventsMetric(),
					Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}}
			aside := func(context.Context, *kgo.Record, string, string, error) error { return nil }
			for batch := range slices.Chunk(r.log(), 20) {
				if err := h.Handle(ctx, batch, aside, r.logger(commandName)); err != nil {
					return err
				}
			}
			return recomputer.Finish(ctx)
		}}, time.Hour)
	r.older.Store(false)
	for _, p := range r.all() {
		if !p.older || p.life.over() {
			continue
		}
		p.cancel()
		<-p.ended
		r.start(p.name)
	}
}
