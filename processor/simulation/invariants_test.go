package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/shopspring/decimal"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/schemas"
)

// check compares the tables with the truth. Every invariant is a function that says so in one
// sentence. What a lagging replica hid is right twice the lag after everything was handled (early),
// before a sweep may have put it right by chance; the rest at the end.
func (r *run) check(early bool) {
	log := r.log()
	for _, invariant := range []struct {
		sentence string
		holds    func(log []*kgo.Record, fault func(format string, args ...any))
		when     when
	}{
		{"every accepted click is stored once, as it was received first", r.clicksAreStored, healed},
		{"every accepted webhook and lead is stored, and every lead is credited with the click that it came by",
			r.rawIsKept, healed},
		{"every movement is booked once, to the cent, and credited with who brought it", r.movementsAreBooked, healed},
		{"nothing is booked that did not happen", r.nothingElseIsBooked, healed},
		{"superseded and held entries are not summed", r.othersAreZero, healed},
		{"USD is complete once the rates are there, and exact", r.dollarsAreComplete, atEnd},
		{"a committed offset never passes what is stored", r.commitsFollowInserts, atEnd},
		{"a record that cannot be processed is in the dead letters with its origin, and nothing else is",
			r.nothingVanishes, atEnd},
		{"offsets that Kafka deleted unread are named by a dead letter", r.missingIsNamed, atEnd},
		{"the rows are those that a processor writes to whom nothing happens", r.rowsConverge, atEndWhole},
	} {
		sentence := invariant.sentence
		switch {
		case r.broken.name != "" && invariant.when == atEndWhole, early && invariant.when != healed:
			continue
		case early:
			sentence = "healed within twice the lag: " + sentence
		}
		faults := 0
		invariant.holds(log, func(format string, args ...any) {
			if faults++; faults <= 5 {
				r.violated("%s: %s", sentence, fmt.Sprintf(format, args...))
			}
		})
	}
}

// when an invariant must hold.
type when int

const (
	healed     when = iota // twice the lag after everything was handled, and at the end
	atEnd                  // at the end
	atEndWhole             // at the end, and where no rule is broken: see TestBrokenRulesAreCaught
)

// clicksAreStored: every accepted click is stored once, as it was received first.
func (r *run) clicksAreStored(log []*kgo.Record, fault func(string, ...any)) {
	rows := make(map[string]clickhouse.ClickRow)
	for _, c := range r.server.model.AllClicks() {
		if _, twice := rows[string(c.ClickId)]; twice {
			fault("click %x is there twice", c.ClickId)
		}
		rows[string(c.ClickId)] = c
	}
	for id, want := range r.traffic.clicks {
		got, ok := rows[string(id[:])]
		switch {
		case !ok:
			fault("click %s is lost", id)
		case got.AffiliateId != want.AffiliateId || got.ClickedAt != want.ClickedAt ||
			got.ReceivedAt != want.ReceivedAt || got.ForeignId != want.ForeignId:
			fault("click %s is %v, in truth %v", id, got.Click, want)
		}
	}
	if len(rows) != len(r.traffic.clicks) {
		fault("%d clicks are stored, %d were made", len(rows), len(r.traffic.clicks))
	}
}

// rawIsKept: every accepted webhook and lead is stored, and every lead is credited with the click
// that it came by.
func (r *run) rawIsKept(log []*kgo.Record, fault func(string, ...any)) {
	events := make(map[string]clickhouse.EventRow)
	for _, e := range r.server.model.AllEvents() {
		events[e.ID] = e
	}
	for _, rec := range log {
		if b, isBad := r.traffic.bad[string(rec.Value)]; rec.Topic != schemas.TopicStripe || isBad && b.kept == "" {
			continue
		}
		id := schemas.Header(rec, schemas.HeaderEventID)
		if e, ok := events[id]; !ok || string(e.Body) != string(rec.Value) {
			fault("event %s of offset %d is not kept byte for byte", id, rec.Offset)
		}
	}
	leads := make(map[[16]byte]ledger.Lead)
	for _, l := range r.server.model.AllLeads() {
		leads[l.ID] = l
	}
	for id, want := range r.traffic.leads {
		l, ok := leads[id]
		if got := (credit{l.MatchRule, l.Click.ID, l.Click.AffiliateID}); !ok || got != want {
			fault("lead %x (%s %s) is credited with %v, in truth %v", id, l.EventName, l.ExternalID, got, want)
		}
	}
	if len(leads) != len(r.traffic.leads) {
		fault("%d leads are stored, %d were delivered", len(leads), len(r.traffic.leads))
	}
}

// booked returns the ledger's booked entries by object and kind, but for those of nothing: others
// have what was booked there once.
func (r *run) booked(fault func(string, ...any)) map[string]ledger.Entry {
	rows := make(map[string]ledger.Entry)
	for _, e := range r.server.model.Ledger() {
		key := e.ObjectID + " " + e.Kind
		if e.Status != ledger.Booked || e.Amount == 0 {
			continue
		}
		if _, twice := rows[key]; twice {
			fault("%s is booked twice", key)
		}
		rows[key] = e
	}
	return rows
}

// movementsAreBooked: every movement is booked once, to the cent, and credited with who brought it.
func (r *run) movementsAreBooked(_ []*kgo.Record, fault func(string, ...any)) {
	rows := r.booked(fault)
	for key, m := range r.traffic.movements {
		e, ok := rows[key]
		got := movement{e.ObjectID, e.Kind, e.SaleID, e.Currency, e.Amount, e.Tax,
			credit{e.MatchRule, e.Click.ID, e.Click.AffiliateID}}
		switch {
		case !ok:
			fault("%s of %d %s is not booked", key, m.amount, m.currency)
		case got != m:
			fault("%s is booked as %+v, in truth %+v", key, got, m)
		}
	}
}

// nothingElseIsBooked: nothing is booked that did not happen.
func (r *run) nothingElseIsBooked(_ []*kgo.Record, fault func(string, ...any)) {
	for key, e := range r.booked(fault) {
		if _, ok := r.traffic.movements[key]; !ok {
			fault("%s: %d %s never moved", key, e.Amount, e.Currency)
		}
	}
}

// othersAreZero: superseded and held entries are not summed.
func (r *run) othersAreZero(_ []*kgo.Record, fault func(string, ...any)) {
	for _, e := range r.server.model.Ledger() {
		switch {
		case e.Status == ledger.Held:
			fault("%s %s is held, and everything was delivered", e.Kind, e.ObjectID)
		case e.Status == ledger.Superseded && (e.Amount != 0 || e.Tax != 0 || e.AmountUSD != nil || e.NetUSD != nil):
			fault("%s %s is superseded and sums %d", e.Kind, e.ObjectID, e.Amount)
		case e.Status == ledger.Superseded && e.SupersededBy == "":
			fault("%s %s is superseded by nothing", e.Kind, e.ObjectID)
		}
	}
}

// dollarsAreComplete: USD is complete once the rates are there, and exact.
func (r *run) dollarsAreComplete(_ []*kgo.Record, fault func(string, ...any)) {
	exponents := map[string]int32{"usd": 2, "eur": 2, "jpy": 0}
	for key, e := range r.booked(fault) {
		for _, sum := range []struct {
			name   string
			amount int64
			usd    *decimal.Decimal
		}{{"amount_usd", e.Amount, e.AmountUSD}, {"net_usd", e.Amount - e.Tax, e.NetUSD}} {
			want := decimal.New(sum.amount, -exponents[e.Currency]).Mul(r.rates.usd[e.Currency]).RoundBank(6)
			if sum.usd == nil || !sum.usd.Equal(want) || !e.FXFinal {
				fault("%s of %s (%d %s) is %v, final: %v; in truth %s", sum.name, key, sum.amount, e.Currency, sum.usd,
					e.FXFinal, want)
			}
		}
	}
}

// stored is the key of the raw row that a record becomes, or "" where it becomes none.
func (r *run) stored(rec *kgo.Record) string {
	if b, isBad := r.traffic.bad[string(rec.Value)]; isBad && rec.Topic == b.topic {
		if b.kept == "" {
			return ""
		}
		return "event " + b.kept
	}
	switch rec.Topic {
	case schemas.TopicClicks:
		return "click " + string(rec.Key)
	case schemas.TopicStripe:
		return "event " + schemas.Header(rec, schemas.HeaderEventID)
	case schemas.TopicLeads:
		l, err := schemas.DecodeLead(rec)
		if err != nil {
			r.violated("read the log: %v", err)
			return ""
		}
		return "lead " + string(l.LeadId)
	}
	return "letter " + schemas.Header(rec, schemas.HeaderTopic) + "/" + schemas.Header(rec, schemas.HeaderPartition) +
		"/" + schemas.Header(rec, schemas.HeaderOffset) + " at " + schemas.Header(rec, schemas.HeaderRecordAt)
}

// commitsFollowInserts: a committed offset never passes what is stored.
func (r *run) commitsFollowInserts(log []*kgo.Record, fault func(string, ...any)) {
	for _, c := range r.commits {
		for _, rec := range log {
			if rec.Topic != c.topic || rec.Partition != c.partition || rec.Offset >= c.offset {
				continue
			}
			key := r.stored(rec)
			if key == "" {
				continue
			}
			if at, ok := r.server.stored[key]; !ok || at.After(c.at) {
				fault("%s/%d is committed up to %d at %s, and offset %d is stored at %s", c.topic, c.partition,
					c.offset, c.at.Sub(r.epoch), rec.Offset, at.Sub(r.epoch))
				return
			}
		}
	}
}

// nothingVanishes: a record that cannot be processed is in the dead letters with its origin, and
// nothing else is.
func (r *run) nothingVanishes(log []*kgo.Record, fault func(string, ...any)) {
	letters := make(map[string]clickhouse.DeadLetterRow)
	origin := func(topic string, partition int32, offset int64, at time.Time) string {
		return fmt.Sprintf("%s/%d/%d at %d", topic, partition, offset, at.UnixMilli())
	}
	for _, l := range r.server.model.DeadLetters() {
		if l.Step != consume.LostStep {
			letters[origin(l.Topic, l.Partition, l.Offset, l.RecordAt)] = l
		}
	}
	// Where a topic was made again, a producer may write a record in doubt into both, with one time
	// and perhaps at one offset: that is one dead letter.
	want := make(map[string]bool)
	for _, rec := range log {
		b, isBad := r.traffic.bad[string(rec.Value)]
		if !isBad || rec.Topic != b.topic {
			continue
		}
		origin := origin(rec.Topic, rec.Partition, rec.Offset, rec.Timestamp)
		want[origin] = true
		switch l, ok := letters[origin]; {
		case !ok:
			fault("%s (%s) is not among the dead letters", origin, b.reason)
		case l.Step != b.step || l.Reason != b.reason || l.Body != string(rec.Value) || l.Key != string(rec.Key):
			fault("the dead letter of %s says %s, %s of %d bytes; in truth %s, %s of %d", origin, l.Step, l.Reason,
				len(l.Body), b.step, b.reason, len(rec.Value))
		}
	}
	if len(letters) != len(want) {
		fault("there are %d dead letters of %d bad records", len(letters), len(want))
	}
}

// rowsConverge: the rows are those that a processor writes to whom nothing happens.
func (r *run) rowsConverge(log []*kgo.Record, fault func(string, ...any)) {
	quiet := clickhousetest.New(r.tb)
	discard := slog.New(slog.DiscardHandler)
	recomputer := recompute.New(recompute.Config{Store: quiet, Rates: &ownRates{r.rates, ""}, Log: discard})
	money := &consume.Payments{Store: quiet, Recomputer: recomputer, Workspace: func(*schemas.StripeEvent) (string,
		bool) {
		return "default", true
	}, Events: consume.NewEventsMetric()}
	clicks := &consume.Clicks{Store: quiet, Recomputer: recomputer}
	aside := func(context.Context, *kgo.Record, string, string, error) error { return nil }
	for batch := range slices.Chunk(log, 50) {
		for _, consumer := range []struct {
			handle consume.Handler
			clicks bool
		}{{clicks.Handle, true}, {money.Handle, false}} {
			mine := slices.DeleteFunc(slices.Clone(batch),
				func(rec *kgo.Record) bool { return consumer.clicks != (rec.Topic == schemas.TopicClicks) })
			if err := consumer.handle(context.Background(), mine, aside); err != nil {
				fault("the quiet processor: %v", err)
			}
		}
	}
	for _, d := range r.decisions {
		if err := d.do(context.Background(), quiet, recomputer, r.epoch.Add(d.at)); err != nil {
			fault("the quiet processor: %s: %v", d.text, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*sweep)
	defer cancel()
	if err := recomputer.Sweep(ctx, sweep); err != nil {
		fault("the quiet processor: %v", err)
	}
	want := make(map[ledger.EntryID]ledger.Entry)
	for _, e := range quiet.Ledger() {
		want[e.ID] = e
	}
	got := r.server.model.Ledger()
	for _, e := range got {
		if r.server.unequal[e.ID] == e.Version {
			fault("of %s %s two rows have the greatest version %x", e.Kind, e.ObjectID, e.Version.Big())
		}
		if w := want[e.ID]; !reflect.DeepEqual(e, w) {
			fault("%s %s is\n  %+v\nand to the quiet processor\n  %+v", e.Kind, e.ObjectID, e, w)
		}
	}
	if len(got) != len(want) {
		fault("there are %d entries, and the quiet processor wrote %d", len(got), len(want))
	}
}

// log reads every record that Kafka holds, as it was appended, after those of topics that were
// deleted.
func (r *run) log() []*kgo.Record {
	client := r.kafka(kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond))
	defer client.Close()
	admin := kadm.NewClient(client)
	var want int64
	listed(admin.ListEndOffsets, topics...).Each(func(o kadm.ListedOffset) { want += o.Offset })
	listed(admin.ListStartOffsets, topics...).Each(func(o kadm.ListedOffset) { want -= o.Offset })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var log []*kgo.Record
	for int64(len(log)) < want && ctx.Err() == nil {
		log = append(log, client.PollFetches(ctx).Records()...)
	}
	if int64(len(log)) < want { // there are more where producers went on meanwhile
		r.violated("read the log: %d of %d records", len(log), want)
	}
	return append(slices.Clone(r.past), log...)
}

// listed asks until Kafka answers for every partition.
func listed(ask func(context.Context, ...string) (kadm.ListedOffsets, error), topics ...string) kadm.ListedOffsets {
	for ; ; time.Sleep(time.Second) {
		if offsets, err := ask(context.Background(), topics...); err == nil && offsets.Error() == nil {
			return offsets
		}
	}
}

// ids returns the topics by id.
func (r *run) ids() map[[16]byte]string {
	client := r.kafka()
	defer client.Close()
	listed, err := kadm.NewClient(client).ListTopics(context.Background(), topics...)
	if err != nil {
		r.violated("list topics: %v", err)
	}
	ids := make(map[[16]byte]string)
	for _, t := range listed {
		ids[t.ID] = t.Topic
	}
	return ids
}
