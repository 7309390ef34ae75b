package main

import (
	"strings"
	"testing"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql"
)

// A processor is not ready while its tables are of an earlier version, and is ready once they are
// migrated.
func TestReadyAsksForMigrations(t *testing.T) {
	dsn := chdbtest.Start(t)
	s, err := openSchema(dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.check(t.Context()); err == nil || !strings.Contains(err.Error(), "(hint: run processor migrate)") {
		t.Errorf("ready without tables: %v", err)
	}
	if err := migrate(t.Context(), dsn, sql.Layout{}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := s.check(t.Context()); err != nil {
		t.Error(err)
	}
	s.close()
	if err := s.check(t.Context()); err != nil {
		t.Errorf("asked again: %v", err)
	}
}
