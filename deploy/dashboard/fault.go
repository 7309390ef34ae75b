package dashboard

import (
	"context"
	"errors"
	"net/http"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// fault is an error as the page is told it: what is wrong, and what to do about it.
type fault struct {
	status              int
	code, message, hint string
}

func (f *fault) Error() string { return f.code + ": " + f.message }

// ClickHouse's codes of errors that have a cure of their own.
const (
	codeUnknownIdentifier = 47
	codeUnknownTable      = 60
	codeUnknownDatabase   = 81
	codeTimeout           = 159
	codeTooSlow           = 160
	codeMemoryLimit       = 241
	codeUnauthenticated   = 516
	codeForbidden         = 497
)

// asFault translates. ClickHouse's own words go to the log only: they may show queries and names of machines.
func asFault(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		switch exception.Code {
		case codeUnknownTable, codeUnknownDatabase, codeUnknownIdentifier:
			return &fault{http.StatusServiceUnavailable, "not_migrated", "ClickHouse answers, but its tables are not there or are too old.", "Run `processor migrate` with the same --clickhouse-dsn."}
		case codeUnauthenticated, codeForbidden:
			return &fault{http.StatusServiceUnavailable, "not_allowed", "ClickHouse refuses the dashboard's user.", "Check user and password in --clickhouse-dsn; the user needs SELECT on the database."}
		case codeTimeout, codeTooSlow, codeMemoryLimit:
			return &fault{http.StatusServiceUnavailable, "too_slow", "ClickHouse needs too long for this.", "Choose a shorter range, or look at what else the server is doing."}
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &fault{http.StatusServiceUnavailable, "too_slow", "ClickHouse does not answer in time.", "Check that it is running and not overloaded; the page goes on by itself."}
	}
	return &fault{http.StatusServiceUnavailable, "clickhouse_away", "ClickHouse does not answer.", "Check that it is running where --clickhouse-dsn points; the page goes on by itself. Clicks and sales are kept in Kafka meanwhile."}
}

func writeFault(w http.ResponseWriter, f *fault) {
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	writeJSON(w, f.status, map[string]any{"error": map[string]string{"code": f.code, "message": f.message, "hint": f.hint}})
}
