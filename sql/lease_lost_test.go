package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// keeperless is a ClickHouse whose Keeper goes away while it migrates. (The embedded engine has no
// Keeper at all.)
type keeperless struct {
	create error        // of a KeeperMap table
	renew  func() error // a lease; nil: it is
	done   func() bool  // whether the migration is; nil: never
	all    []string     // statements but those of the lease
}

func (k *keeperless) Connect(context.Context) (driver.Conn, error) { return k, nil }
func (k *keeperless) Driver() driver.Driver                        { return nil }
func (k *keeperless) Prepare(string) (driver.Stmt, error)          { return nil, errors.New("not prepared") }
func (k *keeperless) Close() error                                 { return nil }
func (k *keeperless) Begin() (driver.Tx, error)                    { return k, nil }
func (k *keeperless) Commit() error                                { return nil }
func (k *keeperless) Rollback() error                              { return nil }

// ExecContext ends no statement of a migration before it is done, as one that waits for another server.
func (k *keeperless) ExecContext(ctx context.Context, statement string, _ []driver.NamedValue) (driver.Result, error) {
	switch {
	case strings.Contains(statement, "ENGINE = KeeperMap"):
		return driver.ResultNoRows, k.create
	case strings.Contains(statement, "UPDATE until"):
		if k.renew != nil {
			return driver.ResultNoRows, k.renew()
		}
		return driver.ResultNoRows, nil
	case strings.Contains(statement, leaseTable):
		return driver.ResultNoRows, nil
	}
	k.all = append(k.all, statement)
	for k.done == nil || !k.done() {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return driver.ResultNoRows, nil
}

func (k *keeperless) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	switch {
	case strings.Contains(query, "count() > 0 FROM "+leaseTable):
		return &answer{1, [][]driver.Value{{true}}}, nil
	case strings.Contains(query, leaseTable):
		return &answer{columns: 2}, nil
	case strings.Contains(query, "SELECT tstamp"):
		return &answer{2, [][]driver.Value{{time.Now(), true}}}, nil
	case strings.Contains(query, "max(version_id)"):
		return &answer{1, [][]driver.Value{{int64(0)}}}, nil
	}
	return &answer{2, [][]driver.Value{{int64(0), true}}}, nil
}

type answer struct {
	columns int
	rows    [][]driver.Value
}

func (a *answer) Columns() []string { return make([]string, a.columns) }
func (a *answer) Close() error      { return nil }
func (a *answer) Next(row []driver.Value) error {
	if len(a.rows) == 0 {
		return io.EOF
	}
	copy(row, a.rows[0])
	a.rows = a.rows[1:]
	return nil
}

// Whoever migrates is told what Keeper said, not only that the migration was cancelled. What a
// server lacks in its configuration is a hint for no other error of Keeper.
func TestMigrateSaysWhatKeeperSaid(t *testing.T) {
	lost := errors.New("code: 999, message: Coordination error: Connection loss")
	disabled := errors.New("code: 36, message: KeeperMap is disabled because 'keeper_map_path_prefix' config is not " +
		"defined")
	for name, c := range map[string]struct {
		keeper *keeperless
		want   error
		says   string
		hint   bool
	}{
		"is away at the start": {&keeperless{create: lost}, lost, "create the tables of versions", false},
		"is not configured":    {&keeperless{create: disabled}, disabled, "create the tables of versions", true},
		"is away later":        {&keeperless{renew: func() error { return lost }}, lost, "the lease is lost", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := sql.OpenDB(c.keeper)
				defer db.Close()
				err := Layout{Kind: ReplicatedDatabase, Database: "default"}.Migrate(t.Context(), db, func(string) {})
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) ||
					strings.Contains(err.Error(), "(hint: <keeper_map_path_prefix>") != c.hint {
					t.Error(err)
				}
			})
		})
	}
}

// A server that is new, or lags, has no rows of a ledger that others have: by which rules it is booked
// is noted for an empty ledger only.
func TestRulesAreNotedOfTheWholeLedger(t *testing.T) {
	for _, kind := range []Kind{Cluster, ReplicatedDatabase, Cloud} {
		synctest.Test(t, func(t *testing.T) {
			keeper := &keeperless{done: func() bool { return true }}
			db := sql.OpenDB(keeper)
			defer db.Close()
			l := Layout{Kind: kind, Database: "default"}
			if err := l.Migrate(t.Context(), db, func(string) {}); err != nil {
				t.Fatal(err)
			}
			last := keeper.all[max(len(keeper.all)-2, 0):]
			if len(last) != 2 || last[0] != l.Sync("ledger") || !strings.HasPrefix(last[1], "INSERT INTO ledger_rules ") {
				t.Errorf("%s: the last statements are %q, want that the ledger is waited for", kind, last)
			}
		})
	}
}

// Keeper may be away for a while: the lease is renewed when it is back. Who cannot renew it in time
// stops ten seconds before another process may take it.
func TestLeaseIsRenewedUntilItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		away, until time.Duration // since the migration began
		ends        time.Duration // 0: the migration is done
	}{
		"for a moment":         {15 * time.Second, 25 * time.Second, 0},
		"for most of a lease":  {11 * time.Second, 58 * time.Second, 0},
		"for longer, at once":  {0, time.Hour, 50 * time.Second},
		"for longer, later":    {95 * time.Second, time.Hour, 140 * time.Second},
		"back when it is late": {35 * time.Second, 81 * time.Second, 80 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				lost := errors.New("code: 999, message: Coordination error: Connection loss")
				db := sql.OpenDB(&keeperless{
					renew: func() error {
						if since := time.Since(began); since >= c.away && since < c.until {
							return lost
						}
						return nil
					},
					done: func() bool { return time.Since(began) > 3*time.Minute },
				})
				defer db.Close()
				l, held, err := Layout{Kind: ReplicatedDatabase, Database: "default"}.prepare(t.Context(), db)
				if err != nil {
					t.Fatal(err)
				}
				_, err = db.ExecContext(held, "INSERT INTO a SELECT * FROM b")
				took, cause := time.Since(began), context.Cause(held)
				inTime := took >= c.ends-time.Second && took <= c.ends && errors.Is(cause, lost)
				if c.ends == 0 && err != nil || c.ends > 0 && !inTime {
					t.Errorf("after %s: %v, %v", took, err, cause)
				}
				if err := l.end(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A process that was frozen for longer than its lease holds does not ask whether another has it: it
// stops at once.
func TestFrozenOwnerStops(t *testing.T) {
	ended := make(chan error, 1)
	l := &lease{db: sql.OpenDB(&keeperless{}), owner: "frozen", taken: time.Now().Add(-leaseFor)}
	defer l.db.Close()
	l.renew(t.Context(), func(err error) { ended <- err })
	if err := <-ended; !strings.Contains(err.Error(), "the lease is lost") {
		t.Error(err)
	}
}
