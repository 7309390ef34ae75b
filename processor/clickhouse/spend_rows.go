package clickhouse

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/spend"
)

var spendColumns = []column[spend.Row]{
	col("workspace", func(r *spend.Row) string { return r.Workspace }),
	col("day", func(r *spend.Row) time.Time { return r.Day }),
	col("affiliate_id", func(r *spend.Row) string { return r.Affiliate }),
	col("utm_source", func(r *spend.Row) string { return r.Source }),
	col("utm_campaign", func(r *spend.Row) string { return r.Campaign }),
	col("channel", func(r *spend.Row) string { return r.Channel }),
	col("currency", func(r *spend.Row) string { return r.Currency }),
	col("amount", func(r *spend.Row) decimal.Decimal { return r.Amount }),
	col("loaded_at", func(r *spend.Row) time.Time { return r.LoadedAt }),
}

// InsertSpend inserts what was spent.
func (s *Store) InsertSpend(ctx context.Context, rows []spend.Row) error {
	return insert(ctx, s, "spend", spendColumns, rows)
}
