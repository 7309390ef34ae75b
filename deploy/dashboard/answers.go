package dashboard

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/sql"
)

const (
	queryTime = 10 * time.Second // a question may take this long
	holdMin   = time.Second      // an answer is given again for this long
	// An answer that was expensive is held longer, so that open pages never take more than a tenth of ClickHouse's time.
	holdFactor = 9
	holdMax    = time.Minute
	heldMax    = 1024 // answers; beyond, those that have had their time are forgotten
)

// answers asks named questions and holds each answer for a moment: any number of open pages asks ClickHouse as much as one.
type answers struct {
	conn driver.Conn
	now  func() time.Time

	mu   sync.Mutex
	held map[string]*answer // by question and parameters
}

type answer struct {
	done  chan struct{} // closed when the rest is set
	rows  any
	err   error
	until time.Time // set under answers.mu; zero while it is being asked
}

func newAnswers(conn driver.Conn, now func() time.Time) *answers {
	return &answers{conn: conn, now: now, held: make(map[string]*answer)}
}

// parameters of a question, in the order in which they were given, so that equal ones give equal keys.
type parameters []driver.NamedValue

func (p parameters) with(name string, value any) parameters {
	return append(p[:len(p):len(p)], clickhouse.Named(name, value))
}

func (p parameters) key(question string) string {
	var b strings.Builder
	b.WriteString(question)
	for _, v := range p {
		fmt.Fprintf(&b, "\x00%s=%v", v.Name, v.Value)
	}
	return b.String()
}

// ask returns the rows of a named question. The rows are shared: do not change them.
func ask[Row any](ctx context.Context, a *answers, question string, p parameters) ([]Row, error) {
	key := p.key(question)
	a.mu.Lock()
	held := a.held[key]
	if held == nil || !held.until.IsZero() && a.now().After(held.until) {
		held = &answer{done: make(chan struct{})}
		a.forget()
		a.held[key] = held
		go func() {
			// Not the asker's context: who asks first may leave, and the others still wait.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryTime)
			defer cancel()
			began := time.Now()
			rows, err := query[Row](ctx, a.conn, question, p)
			held.rows, held.err = rows, err
			a.mu.Lock()
			held.until = a.now().Add(min(max(holdMin, holdFactor*time.Since(began)), holdMax))
			if err != nil {
				held.until = a.now().Add(holdMin) // it may be back in a moment
			}
			a.mu.Unlock()
			close(held.done)
		}()
	}
	a.mu.Unlock()
	select {
	case <-held.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if held.err != nil {
		return nil, held.err
	}
	return held.rows.([]Row), nil
}

// forget makes room. mu is held.
func (a *answers) forget() {
	if len(a.held) < heldMax {
		return
	}
	now := a.now()
	for key, held := range a.held {
		if !held.until.IsZero() && now.After(held.until) {
			delete(a.held, key)
		}
	}
}

func query[Row any](ctx context.Context, conn driver.Conn, question string, p parameters) ([]Row, error) {
	text := sql.Query(question)
	// readonly=2: nothing is written, and the question's own settings are still allowed.
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"readonly":           2,
		"max_execution_time": int(queryTime / time.Second),
		"max_result_rows":    100_000,
	}))
	given := make([]any, 0, len(p))
	for _, v := range p {
		if strings.Contains(text, "{"+v.Name+":") {
			given = append(given, v)
		}
	}
	rows := []Row{} // never nil: an empty answer is [] in JSON
	if err := conn.Select(ctx, &rows, text, given...); err != nil {
		return nil, fmt.Errorf("ask %s: %w", question, err)
	}
	return rows, nil
}
