package query

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"tributary/processor/clickhouse"
)

// spare are system tables that questions are answered without, and what is done then. On a server
// with ClickHouse's own configuration each of them needs a right of its own.
var spare = []struct{ table, without string }{
	{"system.parts", "what has changed is not known, and open pages ask all their questions every five seconds"},
	{"system.replicas", "questions on first sales of large workspaces read all payments, which takes longer"},
}

// Check asks ClickHouse whether its user may ask questions, and returns each right that the user
// lacks without which questions are answered all the same, with what it costs and a hint. An error
// is a *Fault if ClickHouse answers.
func (a *Asker) Check(ctx context.Context) (lacking []string, err error) {
	if err := a.reads(ctx, "revenue"); err != nil { // one table for all: the role has them together
		return nil, err
	}
	for _, s := range spare {
		err := a.reads(ctx, s.table)
		var fault *Fault
		switch {
		case errors.As(err, &fault) && fault.Code == codeDenied:
			lacking = append(lacking, fmt.Sprintf("ClickHouse's user may not read %[1]s: %[2]s (hint: execute again what "+
				"processor roles prints, or GRANT SELECT ON %[1]s TO %[3]s)", s.table, s.without, a.options.Auth.Username))
		case err != nil:
			return nil, err
		}
	}
	return lacking, nil
}

// reads returns why the user may not read a table. It logs nothing: a probe asks it often.
func (a *Asker) reads(ctx context.Context, table string) error {
	response, err := a.post(ctx, url.Values{"log_comment": {"tributary rights"}},
		"SELECT count() FROM "+table+" WHERE false")
	if err != nil {
		return fmt.Errorf("ask ClickHouse: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	code, _ := strconv.Atoi(response.Header.Get("X-ClickHouse-Exception-Code")) // 0 without one
	return faultOf(clickhouse.ErrorName(code), "", a.timeout)
}
