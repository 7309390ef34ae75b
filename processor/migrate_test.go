package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql"
	"tributary/sql/sqltest"
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

// A processor warns until the retention of the workspaces file is in force, and migrate without the
// file leaves it so.
func TestRetentionWarning(t *testing.T) {
	file := filepath.Join(t.TempDir(), "workspaces.json")
	if err := os.WriteFile(file, []byte(`[{"id":"acme","retention_days":90}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	dsn, _ := sqltest.Open(t)
	settings := clickhouseSettings{ClickhouseDSN: dsn}
	run := func(workspaces string) {
		t.Helper()
		c := migrateCommand{clickhouseSettings: settings, Workspaces: workspaces}
		if err := c.Run(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	run("")
	store, err := settings.open(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	warns := func(want bool) {
		t.Helper()
		for deadline := time.Now().Add(3 * time.Minute); ; { // it says nothing where the answer takes longer than it waits
			got := retentionWarning(t.Context(), store, file)
			if (got != "") == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("warning %q, want one: %t", got, want)
			}
		}
	}
	warns(true)
	run(file)
	warns(false)
	run("")
	warns(false)
	if got := retentionWarning(t.Context(), store, ""); got != "" {
		t.Errorf("without a file: %q", got)
	}
}
