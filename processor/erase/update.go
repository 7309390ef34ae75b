package erase

import (
	"context"
	"strings"

	"tributary/processor/clickhouse"
)

// update is the UPDATE of one table, built column by column, so that each expression stands beside
// its arguments.
type update struct {
	set, where         []string
	setArgs, whereArgs []any
}

// replace replaces each of from in a column by the one of to in the same place.
func (u *update) replace(column string, from, to []string) {
	u.set = append(u.set, column+" = transform("+column+", ?, ?, "+column+")")
	u.setArgs = append(u.setArgs, array(from), array(to))
	u.any(column, from)
}

// clear sets a column to a constant expression.
func (u *update) clear(column, empty string) { u.set = append(u.set, column+" = "+empty) }

// any makes the update concern the rows for which an expression is one of the values.
func (u *update) any(expression string, values []string) {
	u.where = append(u.where, "has(?, "+expression+")")
	u.whereArgs = append(u.whereArgs, array(values))
}

func (u *update) run(ctx context.Context, s *clickhouse.Store, table, workspace string) error {
	statement := "ALTER TABLE " + table + " UPDATE " + strings.Join(u.set, ", ") +
		" WHERE workspace = ? AND (" + strings.Join(u.where, " OR ") + ")"
	args := append(append(u.setArgs, workspace), u.whereArgs...)
	return s.Exec(ctx, statement, args...)
}
