package main

import (
	"log/slog"
	"testing"

	"tributary/sql/sqltest"
)

// An audit that cannot migrate its database leaves none: hourly ones would fill the server.
func TestAuditThatCannotMigrate(t *testing.T) {
	dsn, db := sqltest.Open(t)
	live, err := openStore(t.Context(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	refused, err := withSettings(dsn, map[string]string{"max_query_size": "1500"}) // CREATE TABLE clicks is longer
	if err != nil {
		t.Fatal(err)
	}
	s := new(bookingSettings)
	if _, _, err := s.newAudit(t.Context(), refused, live, nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("the audit's database was migrated")
	}
	var left uint64
	err = db.QueryRowContext(t.Context(),
		"SELECT count() FROM system.databases WHERE startsWith(name, currentDatabase() || '_audit_')").Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d databases are left (%v)", left, err)
	}
}
