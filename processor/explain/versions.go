package explain

import (
	"context"
	"encoding/hex"
	"math/big"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"

	"tributary/processor/clickhouse"
	"tributary/processor/ledger"
)

// VersionRow is one version of a ledger entry. Amounts are minor units, times UTC.
type VersionRow struct {
	EntryID    string    `json:"entry_id"`
	Kind       string    `json:"kind"`
	ObjectID   string    `json:"object_id"`
	SaleID     string    `json:"sale_id"`
	OccurredAt time.Time `json:"occurred_at"`
	ReceivedAt time.Time `json:"received_at"`
	Currency   string    `json:"currency"`
	Amount     int64     `json:"amount_minor"`
	Tax        int64     `json:"tax_minor"`
	TaxDerived bool      `json:"tax_derived"`
	Shipping   int64     `json:"shipping_minor"`
	Discount   int64     `json:"discount_minor"`
	AmountUSD  string    `json:"amount_usd"`
	NetUSD     string    `json:"net_usd"`
	FXRate     string    `json:"fx_rate"`
	FXDate     time.Time `json:"fx_date"`
	FXSource   string    `json:"fx_source"`
	FXFinal    bool      `json:"fx_final"`

	CustomerID         string `json:"customer_id"`
	ExternalCustomerID string `json:"external_customer_id"`
	SubscriptionID     string `json:"subscription_id"`
	BillingReason      string `json:"billing_reason"`

	ClickID     string     `json:"click_id"`
	ClickedAt   *time.Time `json:"clicked_at"`
	AffiliateID string     `json:"affiliate_id"`
	ProgramID   string     `json:"program_id"`
	LinkID      string     `json:"link_id"`
	UTMSource   string     `json:"utm_source"`
	UTMCampaign string     `json:"utm_campaign"`
	Country     string     `json:"country"`

	MatchRule       string   `json:"match_rule"`
	MatchKey        string   `json:"match_key"`
	MatchCandidates []string `json:"match_candidates"`
	Status          string   `json:"status"`
	SupersededBy    string   `json:"superseded_by"`
	Version         string   `json:"version"` // decimal; greater replaces smaller
}

// Versions returns every version ever written of the entries that belong to one of the sales or
// stand under one of these objects: by object and kind, the smallest version first.
func Versions(ctx context.Context, s *clickhouse.Store, workspace string, objects []string) ([]VersionRow, error) {
	versions, err := clickhouse.Lookup(ctx, s, "ledger_log", objects, func(chunk []string) (string, []any) {
		return `SELECT lower(hex(entry_id)), toString(kind), object_id, sale_id, occurred_at, received_at, currency,
amount, tax, tax_derived, shipping, discount, amount_usd, net_usd, fx_rate, fx_date, fx_source, fx_final,
customer_id, external_customer_id, subscription_id, billing_reason,
if(click_id = toFixedString('', 16), '', UUIDNumToString(click_id)), clicked_at, affiliate_id, program_id, link_id,
utm_source, utm_campaign, country, match_rule, match_key, match_candidates, toString(status), superseded_by, version
FROM ledger_log FINAL WHERE workspace = ? AND (object_id IN (?) OR sale_id IN (?))
ORDER BY kind, object_id, version`, []any{workspace, chunk, chunk}
	}, scanVersion)
	type key struct{ entry, version string }
	known := make(map[key]bool) // one chunk may find a row by its object, and another by its sale
	return slices.DeleteFunc(versions, func(v VersionRow) bool {
		k := key{v.EntryID, v.Version}
		repeated := known[k]
		known[k] = true
		return repeated
	}), err
}

func scanVersion(rows driver.Rows, v *VersionRow) error {
	var usd, net, rate *decimal.Decimal
	var date *time.Time
	var version big.Int
	if err := rows.Scan(&v.EntryID, &v.Kind, &v.ObjectID, &v.SaleID, &v.OccurredAt, &v.ReceivedAt, &v.Currency,
		&v.Amount, &v.Tax, &v.TaxDerived, &v.Shipping, &v.Discount, &usd, &net, &rate, &date, &v.FXSource, &v.FXFinal,
		&v.CustomerID, &v.ExternalCustomerID, &v.SubscriptionID, &v.BillingReason,
		&v.ClickID, &v.ClickedAt, &v.AffiliateID, &v.ProgramID, &v.LinkID,
		&v.UTMSource, &v.UTMCampaign, &v.Country, &v.MatchRule, &v.MatchKey, &v.MatchCandidates, &v.Status,
		&v.SupersededBy, &version); err != nil {
		return err
	}
	v.Version = version.String()
	for text, value := range map[*string]*decimal.Decimal{&v.AmountUSD: usd, &v.NetUSD: net, &v.FXRate: rate} {
		if value != nil {
			*text = value.String()
		}
	}
	if date != nil {
		v.FXDate = *date
	}
	return nil
}

// objectOf returns the Stripe object of an entry, or an empty text if there is no such entry.
func objectOf(ctx context.Context, s *clickhouse.Store, workspace string, entry ledger.EntryID) (string, error) {
	objects, err := clickhouse.Collect(ctx, s, "ledger",
		"SELECT object_id FROM ledger FINAL WHERE workspace = ? AND entry_id = unhex(?)",
		[]any{workspace, hex.EncodeToString(entry[:])},
		func(rows driver.Rows, object *string) error { return rows.Scan(object) })
	if err != nil || len(objects) == 0 {
		return "", err
	}
	return objects[0], nil
}
