package clickhouse

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// failure is a statement that fails and is tried again.
type failure struct {
	table, verb string
	log         *slog.Logger
	since       time.Time // zero until it fails
	said        time.Time // when the log last said so
	fault       fault
	err         error
}

// sayAgain is how often the log repeats that a statement still fails.
const sayAgain = time.Minute

// failures are all statements that are being tried again.
type failures struct {
	mu   sync.Mutex // guards list, and of its elements since, fault and err
	list []*failure
}

// note remembers an attempt that began at start, and failed. The log says so at the first one, when
// the cause is another, and once a minute.
func (l *failures) note(f *failure, cause fault, err error, start time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.since.IsZero() {
		f.since = start
		l.list = append(l.list, f)
	} else if cause.name == f.fault.name && time.Since(f.said) < sayAgain {
		return
	}
	f.fault, f.err, f.said = cause, err, time.Now()
	say, text := f.log.Warn, "ClickHouse fails; the statement is tried again"
	if cause.class == needsOperator {
		say, text = f.log.Error, "ClickHouse refuses; the statement is tried again until an operator mends the cause"
	}
	say(text, "table", f.table, "verb", f.verb, "reason", cause.name, "error", hinted(err, cause), "for",
		time.Since(f.since).Round(time.Millisecond))
}

// forget removes a statement that is not tried again.
func (l *failures) forget(f *failure) {
	if f.since.IsZero() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, other := range l.list {
		if other == f {
			l.list = append(l.list[:i], l.list[i+1:]...)
			return
		}
	}
}

// ended says that a statement which failed has succeeded.
func (f *failure) ended() {
	if !f.since.IsZero() {
		f.log.Info("ClickHouse answers again", "table", f.table, "verb", f.verb, "after",
			time.Since(f.since).Round(time.Millisecond))
	}
}

// Failing returns why statements are being tried again, with a hint, or nil: what an operator must
// mend before what may end by itself, and the oldest first.
func (s *Store) Failing() error {
	s.failures.mu.Lock()
	defer s.failures.mu.Unlock()
	var worst *failure
	for _, f := range s.failures.list {
		if worst == nil || f.fault.class == needsOperator && worst.fault.class != needsOperator {
			worst = f
		}
	}
	if worst == nil {
		return nil
	}
	return fmt.Errorf("ClickHouse has failed for %s to %s %s, which is tried again: %w",
		time.Since(worst.since).Round(time.Second), worst.verb, worst.table, hinted(worst.err, worst.fault))
}
