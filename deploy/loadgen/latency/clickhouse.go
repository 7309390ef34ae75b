package latency

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"tributary/deploy/loadgen/send"
)

// attributed finds sales as a dashboard would: the newest version of each entry, with a match.
const attributed = `SELECT DISTINCT object_id FROM revenue FINAL WHERE object_id IN ? AND match_rule != 'none'`

// ClickHouse asks the dashboards' table revenue. The DSN is clickhouse-go's:
// http://127.0.0.1:8123/tributary or clickhouse://127.0.0.1:9000/tributary. The returned function
// closes the connection.
func ClickHouse(dsn string, remote bool) (Ledger, func() error, error) {
	opts, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, nil, fmt.Errorf("read ClickHouse address: %w (hint: http://127.0.0.1:8123/tributary)", err)
	}
	for _, addr := range opts.Addr {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		if err := send.Local(host, remote); err != nil {
			return nil, nil, err
		}
	}
	if opts.Auth.Database == "" {
		opts.Auth.Database = "tributary"
	}
	opts.DialTimeout = 5 * time.Second
	db, err := clickhouse.Open(opts)
	if err != nil {
		return nil, nil, fmt.Errorf("open ClickHouse: %w", err)
	}
	ask := func(ctx context.Context, objects []string) ([]string, error) {
		set := clickhouse.GroupSet{Value: make([]any, len(objects))}
		for i, o := range objects {
			set.Value[i] = o
		}
		rows, err := db.Query(ctx, attributed, set)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		var seen []string
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return nil, err
			}
			seen = append(seen, id)
		}
		return seen, rows.Err()
	}
	return ask, db.Close, nil
}
