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

// leaseFor is how long a lease holds without being renewed. A process that dies keeps others from
// migrating for that long.
const leaseFor = time.Minute

// ErrLeased is returned while another process migrates the database.
var ErrLeased = errors.New("another process migrates this database (hint: wait until it is done; the lease of one " +
	"that died ends within a minute)")

// lease keeps two migrations of one database apart. Its table is of the engine KeeperMap, so every
// server sees the same row at once.
type lease struct {
	db    *sql.DB
	owner string
}

// takeLease returns a lease and a context that ends when it is lost. The table must exist.
//
// Two processes that find an expired row:
//
//  1. both delete it: the deletion names the row's owner, so the later one finds no row, or the row
//     of another owner, and deletes nothing;
//  2. both insert: with keeper_map_strict_mode an insert of a key that is there fails, so one of them
//     has the lease and the other an error.
func takeLease(ctx context.Context, db *sql.DB) (_ *lease, held context.Context, err error) {
	l := &lease{db, rand.Text()}
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

// renew prolongs the lease until its context ends, and ends the context when that fails.
func (l *lease) renew(ctx context.Context, lose context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(leaseFor / 6):
		}
		if err := l.prolong(ctx); err != nil {
			lose(fmt.Errorf("the lease is lost: %w", err))
			return
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
