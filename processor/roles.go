package main

import (
	"context"
	"fmt"
	"strings"

	"tributary/processor/clickhouse"
	"tributary/sql"
)

// rolesCommand prints the statements that create ClickHouse's roles.
type rolesCommand struct {
	clickhouseSettings
	Cluster   string `help:"As --cluster of processor migrate, for a database that has no tables yet." placeholder:"NAME"`
	Workloads bool   `help:"Also share the server's cores among loading and reading, by workloads of ClickHouse."`
}

// Help is shown under --help.
func (c *rolesCommand) Help() string {
	return `The roles are NAME_migrator, NAME_writer, NAME_dashboard, NAME_analyst and NAME_affiliate, NAME being the
database. The statements are printed and not executed: that needs an administrator of ClickHouse, who
then creates users and grants them a role. Executed again, as after an upgrade, they replace the rights that a role
had before.

    processor roles | clickhouse client --user admin --ask-password --multiquery`
}

func (c *rolesCommand) Run(ctx context.Context) error {
	layout, err := layoutToBe(ctx, c.ClickhouseDSN, c.Cluster)
	if err != nil {
		return err
	}
	statements, err := layout.Access(c.Workloads)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s;\n", strings.Join(statements, ";\n\n"))
	return err
}

// layoutToBe returns the layout of the database that a DSN names, also while there is no such
// database: roles come before tables, because the migration has one.
func layoutToBe(ctx context.Context, dsn, cluster string) (sql.Layout, error) {
	options, err := clickhouse.Options(dsn)
	if err != nil {
		return sql.Layout{}, err
	}
	name := options.Auth.Database
	options.Auth.Database = "default"
	db, err := reached(ctx, options)
	if err != nil {
		return sql.Layout{}, err
	}
	defer db.Close()
	var exists bool
	err = db.QueryRowContext(ctx, "SELECT count() > 0 FROM system.databases WHERE name = ?", name).Scan(&exists)
	if err != nil {
		return sql.Layout{}, fmt.Errorf("look for database %s: %w", name, err)
	}
	if exists {
		return detect(ctx, dsn, cluster)
	}
	layout, err := sql.Detect(ctx, db, cluster)
	layout.Database = name
	return layout, err
}
