package clickhouse

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/fx"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// first returns a version that is greatest for the earliest time: the row that was received first
// stays.
func first(t time.Time) uint64 { return ^uint64(0) - uint64(max(t.UnixMilli(), 0)) }

// EventRow is one raw event.
type EventRow struct {
	Workspace string
	*schemas.StripeEvent
	Created time.Time
}

var eventColumns = []nativeColumn[EventRow]{
	repeated("workspace", func(r *EventRow) string { return r.Workspace }),
	text("event_id", func(r *EventRow) string { return r.ID }),
	repeated("type", func(r *EventRow) string { return r.Type }),
	repeated("account", func(r *EventRow) string { return r.Account }),
	flag("livemode", func(r *EventRow) bool { return r.Livemode }),
	repeated("api_version", func(r *EventRow) string { return r.APIVersion }),
	datetime("created", func(r *EventRow) time.Time { return r.Created }),
	datetime64("received_at", func(r *EventRow) time.Time { return r.ReceivedAt }),
	text("body", func(r *EventRow) []byte { return r.Body }),
	number("version", func(r *EventRow) uint64 { return first(r.ReceivedAt) }),
}

// InsertEvents inserts raw events.
func (s *Store) InsertEvents(ctx context.Context, rows []EventRow) error {
	return insertNative(ctx, s, "stripe_events", eventColumns, rows)
}

// FactRow is a fact in its workspace.
type FactRow struct {
	Workspace string
	stripe.Fact
}

var factColumns = []nativeColumn[FactRow]{
	repeated("workspace", func(r *FactRow) string { return r.Workspace }),
	text("object_id", func(r *FactRow) string { return r.ObjectID }),
	repeated("kind", func(r *FactRow) string { return r.Kind }),
	repeated("source", func(r *FactRow) string { return r.Source }),
	text("event_id", func(r *FactRow) string { return r.EventID }),
	repeated("account", func(r *FactRow) string { return r.Account }),
	flag("livemode", func(r *FactRow) bool { return r.Livemode }),
	datetime("event_created", func(r *FactRow) time.Time { return r.CreatedAt }),
	datetime64("received_at", func(r *FactRow) time.Time { return r.ReceivedAt }),
	datetime64("occurred_at", func(r *FactRow) time.Time { return r.OccurredAt }),
	text("parent_id", func(r *FactRow) string { return r.ParentID }),
	text("invoice_id", func(r *FactRow) string { return r.InvoiceID }),
	text("transaction_id", func(r *FactRow) string { return r.TransactionID }),
	flag("settled", func(r *FactRow) bool { return r.Certain }),
	repeated("currency", func(r *FactRow) string { return r.Currency }),
	amount("amount", func(r *FactRow) int64 { return r.Amount }),
	amount("tax", func(r *FactRow) int64 { return r.Tax }),
	amount("shipping", func(r *FactRow) int64 { return r.Shipping }),
	amount("discount", func(r *FactRow) int64 { return r.Discount }),
	amount("total", func(r *FactRow) int64 { return r.Total }),
	amount("due", func(r *FactRow) int64 { return r.Due }),
	amount("noted", func(r *FactRow) int64 { return r.Noted }),
	amount("captured", func(r *FactRow) int64 { return r.Captured }),
	text("customer_id", func(r *FactRow) string { return r.CustomerID }),
	text("external_customer_id", func(r *FactRow) string { return r.ExternalID }),
	text("subscription_id", func(r *FactRow) string { return r.SubscriptionID }),
	repeated("billing_reason", func(r *FactRow) string { return r.BillingReason }),
	several("line_ids", "String", func(r *FactRow) []string {
		return each(r.Lines, func(l stripe.Line) string { return l.ID })
	}, (*nativeEncoder).text),
	several("line_products", "String", func(r *FactRow) []string {
		return each(r.Lines, func(l stripe.Line) string { return l.Product })
	}, (*nativeEncoder).text),
	several("line_net", "Int64", func(r *FactRow) []int64 {
		return each(r.Lines, func(l stripe.Line) int64 { return l.Net })
	}, func(e *nativeEncoder, n int64) { e.number(uint64(n)) }),
	number("version", func(r *FactRow) uint64 { return first(r.ReceivedAt) }),
}

// InsertFacts inserts facts.
func (s *Store) InsertFacts(ctx context.Context, rows []FactRow) error {
	return insertNative(ctx, s, "facts", factColumns, rows)
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// each returns a value of every element.
func each[T, V any](list []T, value func(T) V) []V {
	values := make([]V, len(list))
	for n, x := range list {
		values[n] = value(x)
	}
	return values
}

// DeadLetterRow is one record that was set aside.
type DeadLetterRow struct {
	At                         time.Time
	Reason, Step, Topic, Error string
	Partition                  int32
	Offset                     int64
	RecordAt                   time.Time // of the record itself: a topic that was made again has others at its offsets
	Key, Body                  string
	Headers                    map[string]string // of the record itself
}

var deadLetterColumns = []column[DeadLetterRow]{
	col("at", func(r *DeadLetterRow) time.Time { return r.At }),
	col("reason", func(r *DeadLetterRow) string { return r.Reason }),
	col("step", func(r *DeadLetterRow) string { return r.Step }),
	col("topic", func(r *DeadLetterRow) string { return r.Topic }),
	col("partition", func(r *DeadLetterRow) int32 { return r.Partition }),
	col("offset", func(r *DeadLetterRow) int64 { return r.Offset }),
	col("record_at", func(r *DeadLetterRow) time.Time { return r.RecordAt }),
	col("error", func(r *DeadLetterRow) string { return r.Error }),
	col("key", func(r *DeadLetterRow) string { return r.Key }),
	byKey("headers", func(r *DeadLetterRow) map[string]string { return r.Headers }),
	col("body", func(r *DeadLetterRow) string { return r.Body }),
}

// InsertDeadLetters inserts dead letters.
func (s *Store) InsertDeadLetters(ctx context.Context, rows []DeadLetterRow) error {
	return insert(ctx, s, "dead_letters", deadLetterColumns, rows)
}

var rateColumns = []column[fx.Rate]{
	col("currency", func(r *fx.Rate) string { return r.Currency }),
	col("date", func(r *fx.Rate) time.Time { return r.Date.Time() }),
	col("valid_to", func(r *fx.Rate) time.Time { return r.ValidTo.Time() }),
	col("source", func(r *fx.Rate) string { return r.Source }),
	col("usd", func(r *fx.Rate) decimal.Decimal { return r.USD }),
	col("fetched_at", func(r *fx.Rate) time.Time { return r.FetchedAt }),
	col("fault", func(r *fx.Rate) string { return r.Fault }),
	col("revised_at", func(r *fx.Rate) time.Time { return r.RevisedAt }),
}

// InsertRates inserts exchange rates.
func (s *Store) InsertRates(ctx context.Context, rows []fx.Rate) error {
	return insert(ctx, s, "fx_rates", rateColumns, rows)
}

var dayRateColumns = []column[fx.DayRate]{
	col("currency", func(r *fx.DayRate) string { return r.Currency }),
	col("day", func(r *fx.DayRate) time.Time { return r.Day.Time() }),
	col("usd", func(r *fx.DayRate) decimal.Decimal { return r.USD }),
	col("source", func(r *fx.DayRate) string { return r.Source }),
	col("written_at", func(*fx.DayRate) time.Time { return time.Now() }),
}

// InsertDayRates inserts rates of days.
func (s *Store) InsertDayRates(ctx context.Context, rows []fx.DayRate) error {
	return insert(ctx, s, "day_rates", dayRateColumns, rows)
}

// ErasureRow is one name that was erased.
type ErasureRow struct {
	Workspace string
	Name      [16]byte // hash
	Alias     string
	At        time.Time
}

var erasureColumns = []column[ErasureRow]{
	col("workspace", func(r *ErasureRow) string { return r.Workspace }),
	col("name", func(r *ErasureRow) string { return string(r.Name[:]) }),
	col("alias", func(r *ErasureRow) string { return r.Alias }),
	col("at", func(r *ErasureRow) time.Time { return r.At }),
}

// InsertErasures inserts erased names.
func (s *Store) InsertErasures(ctx context.Context, rows []ErasureRow) error {
	return insert(ctx, s, "erasures", erasureColumns, rows)
}
