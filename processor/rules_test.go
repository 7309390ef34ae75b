package main

import (
	"strings"
	"testing"

	migrations "tributary/sql"
)

// A ledger that was booked before there were rules with numbers is refused, with what to do about
// it; migrating it again does not call it new.
func TestOlderLedgerIsRefused(t *testing.T) {
	c := newConverted(t, "2026-03-02,eur,1.1\n")
	if err := checkRules(t.Context(), c.store); err != nil {
		t.Fatalf("a new ledger: %v", err)
	}
	for _, statement := range []string{
		"TRUNCATE TABLE ledger_rules",
		"INSERT INTO ledger (workspace, entry_id, kind, object_id, status) VALUES ('default', " +
			"unhex('00000000000000000000000000000001'), 'payment', 'in_1', 'booked')",
	} {
		if _, err := c.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := migrations.Migrate(t.Context(), c.db, func(string) {}); err != nil {
		t.Fatal(err)
	}
	err := checkRules(t.Context(), c.store)
	if err == nil || !strings.Contains(err.Error(), "(hint: ") ||
		!strings.Contains(err.Error(), "replay rebuild --exchange") {
		t.Errorf("an older ledger: %v", err)
	}
}

// What was noted last counts: an exchange that has begun, whose rules are no program's, and the
// rules of an older version that has taken an upgrade back.
func TestLatestRulesCount(t *testing.T) {
	c := newConverted(t, "2026-03-02,eur,1.1\n")
	for seconds, noted := range []struct {
		rules uint32
		runs  bool
	}{{migrations.LedgerRules + 1, false}, {0, false}, {migrations.LedgerRules, true}} {
		if _, err := c.db.ExecContext(t.Context(), "INSERT INTO ledger_rules VALUES (?, now64(3) + toIntervalSecond(?))",
			noted.rules, seconds+1); err != nil {
			t.Fatal(err)
		}
		if err := checkRules(t.Context(), c.store); (err == nil) != noted.runs {
			t.Errorf("the ledger is booked by rules %d: %v", noted.rules, err)
		}
	}
}
