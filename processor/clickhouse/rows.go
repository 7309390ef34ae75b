package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/enrich"
	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// first returns a version that is greatest for the earliest time: the row that was received first
// stays.
func first(t time.Time) uint64 { return ^uint64(0) - uint64(max(t.UnixMilli(), 0)) }

// ClickRow is one click with what was parsed from its URL, referrer and user agent.
type ClickRow struct {
	*schemas.Click
	URL      enrich.Parts
	Agent    enrich.Agent
	Referrer string // domain
	Channel  string
}

var clickColumns = []nativeColumn[ClickRow]{
	repeated("workspace", func(r *ClickRow) string { return r.Workspace }),
	fixed("click_id", 16, func(r *ClickRow) []byte { return r.ClickId }),
	milliseconds("clicked_at", func(r *ClickRow) int64 { return r.ClickedAt }),
	milliseconds("received_at", func(r *ClickRow) int64 { return r.ReceivedAt }),
	text("foreign_id", func(r *ClickRow) string { return r.ForeignId }),
	repeated("program_id", func(r *ClickRow) string { return r.ProgramId }),
	text("affiliate_id", func(r *ClickRow) string { return r.AffiliateId }),
	text("link_id", func(r *ClickRow) string { return r.LinkId }),
	text("visitor_id", func(r *ClickRow) string { return r.VisitorId }),
	fixed("identity_hash", 8, func(r *ClickRow) []byte { return r.IdentityHash }),
	text("url", func(r *ClickRow) string { return r.Click.Url }),
	repeated("host", func(r *ClickRow) string { return r.URL.Host }),
	text("path", func(r *ClickRow) string { return r.URL.Path }),
	text("referrer", func(r *ClickRow) string { return r.Click.Referrer }),
	repeated("referrer_domain", func(r *ClickRow) string { return r.Referrer }),
	repeated("utm_source", func(r *ClickRow) string { return r.URL.UTM.Source }),
	repeated("utm_medium", func(r *ClickRow) string { return r.URL.UTM.Medium }),
	repeated("utm_campaign", func(r *ClickRow) string { return r.URL.UTM.Campaign }),
	text("utm_term", func(r *ClickRow) string { return r.URL.UTM.Term }),
	text("utm_content", func(r *ClickRow) string { return r.URL.UTM.Content }),
	repeated("ad_network", func(r *ClickRow) string { return r.URL.AdNetwork }),
	text("ad_click_id", func(r *ClickRow) string { return r.URL.AdClickID }),
	repeated("channel", func(r *ClickRow) string { return r.Channel }),
	repeated("country", func(r *ClickRow) string { return r.Country }),
	repeated("continent", func(r *ClickRow) string { return r.Continent }),
	repeated("region", func(r *ClickRow) string { return r.Region }),
	repeated("city", func(r *ClickRow) string { return r.City }),
	flag("datacenter", func(r *ClickRow) bool { return r.Datacenter }),
	repeated("browser", func(r *ClickRow) string { return r.Agent.Browser }),
	repeated("browser_version", func(r *ClickRow) string { return r.Agent.BrowserVersion }),
	repeated("os", func(r *ClickRow) string { return r.Agent.OS }),
	repeated("os_version", func(r *ClickRow) string { return r.Agent.OSVersion }),
	repeated("device", func(r *ClickRow) string { return r.Agent.Device }),
	repeated("user_agent", func(r *ClickRow) string { return r.UserAgent }),
	repeated("trigger", func(r *ClickRow) string { return r.Trigger }),
	flag("is_bot", func(r *ClickRow) bool { return r.Agent.Bot }),
	repeated("bot_reason", func(r *ClickRow) string { return r.Agent.BotReason }),
	repeated("consent", func(r *ClickRow) string { return r.Consent }),
	flag("vouched", func(r *ClickRow) bool { return r.Vouched }),
	pairs("properties", func(r *ClickRow) map[string]string { return r.Properties }),
	number("version", (*ClickRow).Version),
}

// vouchedFirst is how much earlier than it was received a click counts as received that a secret key
// vouched for: some 31 years, so that no public click under its id was received before it.
const vouchedFirst = 1_000_000_000_000 * time.Millisecond

// Version orders the clicks received under one id, of which one stays: what a backend says before
// what anybody may have written, then the one received first. Of page views, which credit nobody,
// the one received first stays.
func (r *ClickRow) Version() uint64 {
	received := time.UnixMilli(r.ReceivedAt)
	if r.Vouched && !r.IsPageView() {
		received = received.Add(-vouchedFirst)
	}
	return first(received)
}

// triggerPageView is the trigger of a record that is no arrival by a link.
const triggerPageView = "pageview"

// IsPageView reports whether the record is a page view. It is stored and counted by itself, and is
// neither credited nor another name for a click.
func (r *ClickRow) IsPageView() bool { return r.Trigger == triggerPageView }

// pageViewColumns are the columns of page_views: those of clicks that a page view has too, among
// them none that names an affiliate.
var pageViewColumns = func() []nativeColumn[ClickRow] {
	renamed := map[string]string{"click_id": "page_view_id", "clicked_at": "viewed_at"}
	shared := []string{"workspace", "received_at", "program_id", "link_id", "visitor_id", "identity_hash", "url", "host",
		"path", "referrer", "referrer_domain", "channel", "country", "continent", "region", "city", "datacenter", "browser",
		"browser_version", "os",
		"os_version", "device", "user_agent", "is_bot", "bot_reason", "consent", "properties", "version"}
	var columns []nativeColumn[ClickRow]
	for _, c := range clickColumns {
		if name, ok := renamed[c.name]; ok {
			c.name = name
			columns = append(columns, c)
		} else if slices.Contains(shared, c.name) {
			columns = append(columns, c)
		}
	}
	return columns
}()

// InsertClicks inserts clicks into clicks and page views into page_views, with one insert for each
// month: an insert into one partition is atomic. It may change the order of rows.
func (s *Store) InsertClicks(ctx context.Context, rows []ClickRow) error {
	for len(rows) > 0 {
		part, n := partOf(&rows[0]), 1
		for i := 1; i < len(rows); i++ {
			if partOf(&rows[i]) == part {
				if n < i {
					rows[n], rows[i] = rows[i], rows[n]
				}
				n++
			}
		}
		table, columns := "clicks", clickColumns
		if part.pageViews {
			table, columns = "page_views", pageViewColumns
		}
		if err := insertNative(ctx, s, clickSettings, table, columns, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// clickPart is a table and its partition.
type clickPart struct {
	pageViews bool
	month     int
}

func partOf(r *ClickRow) clickPart {
	t := schemas.ClickID(r.ClickId).Time()
	return clickPart{r.IsPageView(), t.Year()*12 + int(t.Month())}
}

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
	return insertNative(ctx, s, insertSettings, "stripe_events", eventColumns, rows)
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
	return insertNative(ctx, s, insertSettings, "facts", factColumns, rows)
}

// EdgeRow is an edge in its workspace.
type EdgeRow struct {
	Workspace string
	identity.Edge
	// OneWay edges are stored from A to B only: B is a name that the public can give to many, and
	// nobody who looks B up needs them; or the row marks an edge as carried.
	OneWay bool
}

var edgeColumns = []nativeColumn[EdgeRow]{
	repeated("workspace", func(r *EdgeRow) string { return r.Workspace }),
	text("key", func(r *EdgeRow) identity.Node { return r.A }),
	text("target", func(r *EdgeRow) identity.Node { return r.B }),
	repeated("source", func(r *EdgeRow) string { return r.Source }),
	datetime64("at", func(r *EdgeRow) time.Time { return r.At }),
	flag("carried", func(r *EdgeRow) bool { return r.Carried }),
	number("version", func(r *EdgeRow) uint64 { return r.version() }),
}

// version makes the edge that was reported first stay, and of two of the same time the propagated
// one.
func (r *EdgeRow) version() uint64 {
	v := ^uint64(0) - 2*uint64(max(r.At.UnixMilli(), 0)) - 1
	if r.Carried {
		v++
	}
	return v
}

// InsertEdges inserts edges, each in both directions unless it is one-way.
func (s *Store) InsertEdges(ctx context.Context, rows []EdgeRow) error {
	both := make([]EdgeRow, 0, 2*len(rows))
	for _, r := range rows {
		back := r
		back.A, back.B = r.B, r.A
		if both = append(both, r); !r.OneWay {
			both = append(both, back)
		}
	}
	return insertNative(ctx, s, insertSettings, "identities", edgeColumns, both)
}

// firstNameColumns are those of first_names: the row of a name that was reported first stands, and
// of two of one millisecond the one with the greater hash of its target.
var firstNameColumns = []column[EdgeRow]{
	col("workspace", func(r *EdgeRow) string { return r.Workspace }),
	col("name", func(r *EdgeRow) string { return string(r.A) }),
	col("target", func(r *EdgeRow) string { return string(r.B) }),
	col("source", func(r *EdgeRow) string { return r.Source }),
	col("at", func(r *EdgeRow) time.Time { return r.At }),
	col("version", func(r *EdgeRow) *big.Int { return r.FirstVersion() }),
}

// FirstVersion orders the reports under one name: the earlier report has the greater version.
func (r *EdgeRow) FirstVersion() *big.Int {
	sum := sha256.Sum256([]byte(r.B))
	v := new(big.Int).SetUint64(first(r.At))
	return v.Lsh(v, 64).Or(v, new(big.Int).SetUint64(binary.BigEndian.Uint64(sum[:8])))
}

// InsertFirstNames writes what clicks and browsers reported under a name, of which only the first
// stays: a name that a million clicks carry is one row, and one lookup.
func (s *Store) InsertFirstNames(ctx context.Context, rows []EdgeRow) error {
	type name struct {
		workspace string
		name      identity.Node
	}
	firsts := make(map[name]EdgeRow, len(rows))
	for _, r := range rows {
		k := name{r.Workspace, r.A}
		if old, ok := firsts[k]; !ok || old.FirstVersion().Cmp(r.FirstVersion()) < 0 {
			firsts[k] = r
		}
	}
	return insert(ctx, s, "first_names", firstNameColumns, slices.Collect(maps.Values(firsts)))
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

type entry = ledger.Entry

var ledgerColumns = []column[entry]{
	col("workspace", func(e *entry) string { return e.Workspace }),
	col("entry_id", func(e *entry) string { return string(e.ID[:]) }),
	col("account", func(e *entry) string { return e.Account }),
	col("livemode", func(e *entry) bool { return e.Livemode }),
	col("day", func(e *entry) time.Time { return e.OccurredAt }),
	col("kind", func(e *entry) string { return e.Kind }),
	col("object_id", func(e *entry) string { return e.ObjectID }),
	col("sale_id", func(e *entry) string { return e.SaleID }),
	col("occurred_at", func(e *entry) time.Time { return e.OccurredAt }),
	col("received_at", func(e *entry) time.Time { return e.ReceivedAt }),
	col("customer_id", func(e *entry) string { return e.CustomerID }),
	col("external_customer_id", func(e *entry) string { return e.ExternalCustomerID }),
	col("subscription_id", func(e *entry) string { return e.SubscriptionID }),
	col("billing_reason", func(e *entry) string { return e.BillingReason }),
	col("currency", func(e *entry) string { return e.Currency }),
	col("amount", func(e *entry) int64 { return e.Amount }),
	col("tax", func(e *entry) int64 { return e.Tax }),
	col("tax_derived", func(e *entry) bool { return e.TaxDerived }),
	col("shipping", func(e *entry) int64 { return e.Shipping }),
	col("discount", func(e *entry) int64 { return e.Discount }),
	col("products", func(e *entry) []string {
		return each(e.Products, func(p ledger.Part) string { return p.Product })
	}),
	col("product_net", func(e *entry) []int64 { return each(e.Products, func(p ledger.Part) int64 { return p.Net }) }),
	col("amount_usd", func(e *entry) *decimal.Decimal { return e.AmountUSD }),
	col("net_usd", func(e *entry) *decimal.Decimal { return e.NetUSD }),
	col("fx_rate", func(e *entry) *decimal.Decimal { return e.FXRate }),
	col("fx_date", func(e *entry) *time.Time { return optional(e.FXDate) }),
	col("fx_source", func(e *entry) string { return e.FXSource }),
	col("fx_final", func(e *entry) bool { return e.FXFinal }),
	col("click_id", func(e *entry) string { return string(e.Click.ID[:]) }),
	col("clicked_at", func(e *entry) *time.Time { return optional(e.Click.ClickedAt) }),
	col("link_id", func(e *entry) string { return e.Click.LinkID }),
	col("affiliate_id", func(e *entry) string { return e.Click.AffiliateID }),
	col("program_id", func(e *entry) string { return e.Click.ProgramID }),
	col("visitor_id", func(e *entry) string { return e.Click.VisitorID }),
	col("utm_source", func(e *entry) string { return e.Click.UTMSource }),
	col("utm_medium", func(e *entry) string { return e.Click.UTMMedium }),
	col("utm_campaign", func(e *entry) string { return e.Click.UTMCampaign }),
	col("utm_term", func(e *entry) string { return e.Click.UTMTerm }),
	col("utm_content", func(e *entry) string { return e.Click.UTMContent }),
	col("channel", func(e *entry) string { return e.Click.Channel }),
	col("country", func(e *entry) string { return e.Click.Country }),
	col("device", func(e *entry) string { return e.Click.Device }),
	col("match_rule", func(e *entry) string { return string(e.MatchRule) }),
	col("match_key", func(e *entry) string { return e.MatchKey }),
	col("match_candidates", func(e *entry) []string { return e.MatchCandidates }),
	col("status", func(e *entry) string { return string(e.Status) }),
	col("superseded_by", func(e *entry) string { return e.SupersededBy }),
	col("version", func(e *entry) *big.Int { return e.Version.Big() }),
}

// InsertLedger inserts entries, and takes them out of the days of revenue that they have left.
func (s *Store) InsertLedger(ctx context.Context, rows []ledger.Entry) error {
	if err := insert(ctx, s, "ledger", ledgerColumns, rows); err != nil {
		return err
	}
	return s.leaveOldDays(ctx, rows)
}

type lead = ledger.Lead

var leadColumns = []column[lead]{
	col("workspace", func(l *lead) string { return l.Workspace }),
	col("lead_id", func(l *lead) string { return string(l.ID[:]) }),
	col("received_at", func(l *lead) time.Time { return l.ReceivedAt }),
	col("occurred_at", func(l *lead) time.Time { return l.OccurredAt }),
	col("external_id", func(l *lead) string { return l.ExternalID }),
	col("event_name", func(l *lead) string { return l.EventName }),
	col("mode", func(l *lead) string { return l.Mode }),
	col("quantity", func(l *lead) uint8 { return l.Quantity }),
	col("livemode", func(l *lead) bool { return l.Livemode }),
	col("vouched", func(l *lead) bool { return l.Vouched }),
	col("person", func(l *lead) string { return l.Person }),
	col("email_hash", func(l *lead) string { return l.EmailHash }),
	byKey("metadata", func(l *lead) map[string]string { return l.Metadata }),
	col("click_id", func(l *lead) string { return string(l.Click.ID[:]) }),
	col("clicked_at", func(l *lead) *time.Time { return optional(l.Click.ClickedAt) }),
	col("link_id", func(l *lead) string { return l.Click.LinkID }),
	col("affiliate_id", func(l *lead) string { return l.Click.AffiliateID }),
	col("program_id", func(l *lead) string { return l.Click.ProgramID }),
	col("utm_campaign", func(l *lead) string { return l.Click.UTMCampaign }),
	col("country", func(l *lead) string { return l.Click.Country }),
	col("match_rule", func(l *lead) string { return string(l.MatchRule) }),
	col("match_key", func(l *lead) string { return l.MatchKey }),
	col("version", func(l *lead) *big.Int { return l.Version.Big() }),
}

// InsertLeads inserts leads. Of reports of one lead that have one version the first stays: ClickHouse
// would keep the last of a block, and of two blocks the first, because it is credited by then and
// has a greater version. So the row would depend on which records are handled together.
func (s *Store) InsertLeads(ctx context.Context, rows []ledger.Lead) error {
	type report struct {
		workspace string
		id        [16]byte
		version   ledger.Version
	}
	seen := make(map[report]bool, len(rows))
	firsts := make([]ledger.Lead, 0, len(rows))
	for i := range rows {
		if r := (report{rows[i].Workspace, rows[i].ID, rows[i].Version}); !seen[r] {
			seen[r] = true
			firsts = append(firsts, rows[i])
		}
	}
	return insert(ctx, s, "leads", leadColumns, firsts)
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

// Deferred is a request to book the sales and leads under one name again, later: they are too many
// for the batch that found it.
type Deferred struct {
	Workspace string
	Name      identity.Node
	Request   string // random: a request that comes while another is being worked on is one more
	At        time.Time
	Done      bool
}

var deferredColumns = []column[Deferred]{
	col("workspace", func(r *Deferred) string { return r.Workspace }),
	col("name", func(r *Deferred) string { return string(r.Name) }),
	col("request", func(r *Deferred) string { return r.Request }),
	col("at", func(r *Deferred) time.Time { return r.At }),
	col("done", func(r *Deferred) bool { return r.Done }),
}

// InsertDeferred inserts requests. A row with Done set says that its request is finished.
func (s *Store) InsertDeferred(ctx context.Context, rows []Deferred) error {
	return insert(ctx, s, "deferred_names", deferredColumns, rows)
}
