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
}

// takeLease returns a lease and a context that ends when it is lost. The table must exist.
//
// Two processes that find an expired row:
//
//  1. both delete it: the deletion names the row's owner, so the later one finds no row, or the row
//     of another owner, and deletes nothing;
//  2. both insert: with keeper_map_strict_mode an insert of a key that is there fails, so one of them
//     has the lease and the other an error.
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
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return nil, nil, fmt.Errorf("read the lease: %w", err)
	case !expired:
		return nil, nil, ErrLeased
	default:
		if err := l.delete(ctx, before); err != nil {
			return nil, nil, fmt.Errorf("end an expired lease: %w", err)
		}
	}
	l.taken = time.Now()
	_, err = db.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s SETTINGS keeper_map_strict_mode = 1 "+
		"SELECT 'migrate', '%s', now64(3) + INTERVAL %d SECOND", leaseTable, l.owner, int(leaseFor.Seconds())))
	if err != nil && strings.Contains(err.Error(), "Node exists") { // Keeper's words
		return nil, nil, ErrLeased
	}
	if err != nil {
		return nil, nil, fmt.Errorf("take the lease: %w", err)
	}
	held, lose := context.WithCancelCause(ctx)
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
		"WHERE key = 'migrate' AND owner = '%s'", leaseTable, int(leaseFor.Seconds()), l.owner))
	if err != nil {
		return err
	}
	var own bool
	err = l.db.QueryRowContext(ctx, "SELECT count() > 0 FROM "+leaseTable+" WHERE owner = '"+l.owner+"'").Scan(&own)
	if err == nil && !own {
		err = ErrLeased
	}
	return err
}

// end gives the lease back.
func (l *lease) end(ctx context.Context) error { return l.delete(ctx, l.owner) }

func (l *lease) delete(ctx context.Context, owner string) error {
	_, err := l.db.ExecContext(ctx, "ALTER TABLE "+leaseTable+" DELETE WHERE key = 'migrate' AND owner = '"+literal(owner)+
		"'")
	return err
}
