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
	create error // of a KeeperMap table
	renew  error // of a lease
}

func (k *keeperless) Connect(context.Context) (driver.Conn, error) { return k, nil }
func (k *keeperless) Driver() driver.Driver                        { return nil }
func (k *keeperless) Prepare(string) (driver.Stmt, error)          { return nil, errors.New("not prepared") }
func (k *keeperless) Close() error                                 { return nil }
func (k *keeperless) Begin() (driver.Tx, error)                    { return k, nil }
func (k *keeperless) Commit() error                                { return nil }
func (k *keeperless) Rollback() error                              { return nil }

// ExecContext never ends a statement of a migration, as one that waits for another server.
func (k *keeperless) ExecContext(ctx context.Context, statement string, _ []driver.NamedValue) (driver.Result, error) {
	switch {
	case strings.Contains(statement, "ENGINE = KeeperMap"):
		return driver.ResultNoRows, k.create
	case strings.Contains(statement, "UPDATE until"):
		return nil, k.renew
	case strings.Contains(statement, leaseTable):
		return driver.ResultNoRows, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (k *keeperless) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	switch {
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
		"is away later":        {&keeperless{renew: lost}, lost, "the lease is lost", false},
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
