package sql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// leaseTable is the table of the one row that says who migrates.
const leaseTable = "migration_lease"

const (
	// leaseFor is how long a lease holds without being renewed. A process that dies keeps others from
	// migrating for that long.
	leaseFor = time.Minute
	// renewEvery is how often it is renewed, and also how long before its end its owner stops, if it
	// cannot be: the clocks of the servers may differ by as much.
	renewEvery = leaseFor / 6
	// retryAfter is how long after a renewal that failed the next one is tried.
	retryAfter = time.Second
)

// ErrLeased is returned while another process migrates the database.
var ErrLeased = errors.New("another process migrates this database (hint: wait until it is done; the lease of one " +
	"that died ends within a minute)")

// lease keeps two migrations of one database apart. Its table is of the engine KeeperMap, so every
// server sees the same row at once.
type lease struct {
	db    *sql.DB
	owner string
	taken time.Time // when the statement was sent that took it
	stop  context.CancelFunc
}

// strict makes an insert fail if its key is there, and an update if the row has changed since the
// statement read it: Keeper compares the row's version. Without it an update writes the whole row,
// and of two that find one owner both succeed.
const strict = " SETTINGS keeper_map_strict_mode = 1"

// takeLease returns a lease and a context that ends when it is lost. The table must exist.
//
// The row is inserted once, and then only updated, strictly. So of several processes that find no
// row, or an expired one, one has the lease and the others an error, however long a statement of
// theirs takes in ClickHouse. A row that is deleted and inserted would begin anew with its first
// version, and a statement that had read the old row would find the version that it expects.
//
// An owner that cannot renew its lease, or that was stopped meanwhile, stops before another
// process may take it: it counts from before the statement that renewed it last, and stops ten
// seconds early. Its context ends then, so that it sends no further statement. Where the whole
// machine was suspended, its clock may have stood still: the owner learns from its next renewal,
// up to ten seconds later, that another process has the lease, and may send statements until then.
//
// A statement that it has sent may go on in ClickHouse, as may one for every server that waits in
// Keeper's queue, while the next owner executes the same migration from its begin. That does no
// harm to statements that do none where they were executed before; only an EXCHANGE that is
// executed so late may exchange what the next owner has just made. So whoever runs a migration
// anew after a lost lease waits until no statement of the old one is in system.processes and
// system.distributed_ddl_queue.
func takeLease(ctx context.Context, db *sql.DB) (_ *lease, held context.Context, err error) {
	l := &lease{db: db, owner: rand.Text()}
	var before string
	var expired bool
	err = db.QueryRowContext(ctx, "SELECT owner, until < now64(3) FROM "+leaseTable+" WHERE key = 'migrate'").Scan(&before,
		&expired)
	none := errors.Is(err, sql.ErrNoRows)
	switch {
	case none:
	case err != nil:
		return nil, nil, fmt.Errorf("read the lease: %w", err)
	case !expired:
		return nil, nil, ErrLeased
	}
	l.taken = time.Now()
	if none {
		_, err = db.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s%s SELECT 'migrate', '%s', now64(3) + INTERVAL %d SECOND",
			leaseTable, strict, l.owner, int(leaseFor.Seconds())))
	} else {
		_, err = db.ExecContext(ctx, fmt.Sprintf("ALTER TABLE %s UPDATE owner = '%s', until = now64(3) + INTERVAL %d SECOND "+
			"WHERE key = 'migrate' AND owner = '%s' AND until < now64(3)%s", leaseTable, l.owner, int(leaseFor.Seconds()),
			literal(before), strict))
	}
	if err != nil && (strings.Contains(err.Error(), "Node exists") || changedMeanwhile(err)) {
		return nil, nil, ErrLeased
	}
	if err == nil {
		err = l.own(ctx)
	}
	if errors.Is(err, ErrLeased) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("take the lease: %w", err)
	}
	held, lose := context.WithCancelCause(ctx)
	l.stop = func() { lose(context.Canceled) }
	go l.renew(held, lose)
	return l, held, nil
}

// renew prolongs the lease until its context ends, and ends the context when another process has
// the lease, or may soon have it.
func (l *lease) renew(ctx context.Context, lose context.CancelCauseFunc) {
	const holds = leaseFor - renewEvery
	end := l.taken.Add(holds)
	lost := errors.New("it was not renewed in time")
	for wait := renewEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(wait, time.Until(end))):
		}
		sent := time.Now()
		if !sent.Before(end) {
			lose(fmt.Errorf("the lease is lost: %w (hint: run it again when Keeper answers and no statement of this "+
				"one is in system.processes or waits in system.distributed_ddl_queue)", lost))
			return
		}
		tried, cancel := context.WithDeadline(ctx, end)
		err := l.prolong(tried)
		cancel()
		switch {
		case err == nil:
			end, wait = sent.Add(holds), renewEvery
		case errors.Is(err, ErrLeased):
			lose(fmt.Errorf("the lease is lost: %w", err))
			return
		default:
			lost, wait = err, retryAfter
		}
	}
}

func (l *lease) prolong(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseFor/3)
	defer cancel()
	_, err := l.db.ExecContext(ctx, fmt.Sprintf("ALTER TABLE %s UPDATE until = now64(3) + INTERVAL %d SECOND "+
		"WHERE key = 'migrate' AND owner = '%s'%s", leaseTable, int(leaseFor.Seconds()), l.owner, strict))
	if err != nil && !changedMeanwhile(err) {
		return err
	}
	if lost := l.own(ctx); lost != nil {
		return lost
	}
	return err // by an earlier try whose answer never came
}

// own returns ErrLeased if another process has the lease.
func (l *lease) own(ctx context.Context) error {
	var own bool
	err := l.db.QueryRowContext(ctx, "SELECT count() > 0 FROM "+leaseTable+" WHERE owner = '"+l.owner+"'").Scan(&own)
	if err == nil && !own {
		err = ErrLeased
	}
	return err
}

// end gives the lease back, if it is still the owner's. It is not renewed any more.
func (l *lease) end(ctx context.Context) (err error) {
	l.stop()
	for range 3 { // a renewal may be on its way
		_, err = l.db.ExecContext(ctx, "ALTER TABLE "+leaseTable+" UPDATE owner = '', until = toDateTime64(0, 3) "+
			"WHERE key = 'migrate' AND owner = '"+l.owner+"'"+strict)
		if err == nil || !changedMeanwhile(err) {
			break
		}
	}
	return err
}

// changedMeanwhile reports whether Keeper refused a strict update because the row is another one
// than the statement read. The words are Keeper's.
func changedMeanwhile(err error) bool { return strings.Contains(err.Error(), "Bad version") }
