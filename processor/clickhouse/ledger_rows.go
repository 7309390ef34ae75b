package clickhouse

import (
	"context"
	"math/big"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/ledger"
)

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

// InsertLeads inserts leads. Of reports of one lead that have one version the first stays:
// ClickHouse would keep the last of a block, and of two blocks the first, because it is credited by
// then and has a greater version. So the row would depend on which records are handled together.
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
