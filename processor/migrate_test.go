package main

import (
	"bytes"
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
	sqltest.Fill(t, dsn)
	if err := s.check(t.Context()); err != nil {
		t.Error(err)
	}
	if w := s.warning(); w != "" {
		t.Errorf("its own tables are newer: %s", w)
	}
	s.close()
	if err := s.check(t.Context()); err != nil {
		t.Errorf("asked again: %v", err)
	}
}

// A program that was taken back to an older version goes on with tables of a newer one, and says
// so. It does not rebuild them: what newer columns hold would be lost.
func TestTablesOfANewerVersion(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	s, err := openSchema(dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := s.db.ExecContext(t.Context(), "INSERT INTO "+sql.VersionTable+
		" (version_id, is_applied) VALUES (9001, 1), (9002, 1), (9002, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := s.check(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	const newer = "of a newer version than this program"
	if w := s.warning(); !strings.Contains(w, newer) || !strings.Contains(w, "2 of their migrations") {
		t.Errorf("/readyz warns %q", w)
	}
	var said bytes.Buffer
	run := func(command string) error {
		return execute(t.Context(), append(strings.Fields(command), "--clickhouse-dsn", dsn), &said, &said)
	}
	if err := run("migrate"); err != nil || !strings.Contains(said.String(), newer) {
		t.Errorf("migrate: %v\n%s", err, &said)
	}
	for _, command := range []string{"replay rebuild", "replay rebuild --exchange", "replay rebuild --from kafka"} {
		err := run(command)
		if err == nil || !strings.Contains(err.Error(), newer) || !strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("%s: %v", command, err)
		}
	}
	if err := run("replay rebuild --drop"); err != nil {
		t.Error(err)
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
