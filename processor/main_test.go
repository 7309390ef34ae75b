package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/processor/join"
	"tributary/processor/stripe"
)

func TestFaultsAreReportedAtOnce(t *testing.T) {
	twice := filepath.Join(t.TempDir(), "workspaces.json")
	if err := os.WriteFile(twice, []byte(`[{"id":"a","stripe_accounts":["acct_1"]},{"id":"b","stripe_accounts":["acct_1"]},{"id":" "}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	err := execute(t.Context(), []string{"run", "--check", "--fx-source", "bank:somewhere", "--workspaces", twice, "--rewind=-1s", "--kafka-seeds", ""}, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("four faults are taken for none")
	}
	for _, want := range []string{"bank", "acct_1", "entry 2 has no id", "--rewind"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said:\n%v", want, err)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := execute(t.Context(), []string{"run", "--check"}, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}

func TestWithoutWorkspacesFile(t *testing.T) {
	w, err := readWorkspaces("", "")
	if err != nil || w.workspace("acct_1") != "default" || w.workspace("") != "default" || w.policiesOf("default") != nil || w.keysOf("default") == nil {
		t.Errorf("%v %v", w, err)
	}
	if _, err := readWorkspaces(filepath.Join(t.TempDir(), "missing.json"), ""); err == nil || !strings.Contains(err.Error(), "--workspaces") {
		t.Errorf("%v does not say what to do", err)
	}
}

func TestWorkspacesFile(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "workspaces.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	w, err := readWorkspaces(write(`[{"id":"acme","publishable_keys":["pk"],"stripe_accounts":["acct_1",""],"email_fallback":true,
		"attribution":[{"window_days":30},{"from":"2026-06-01","touch":"first","follow":"first","renewals_days":365}],
		"keys":{"metadata":{"acmeClick":"click"},"references":{"acme_":"click"}}}]`), "secret")
	if err != nil {
		t.Fatal(err)
	}
	june := w.policiesOf("acme").At(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	if may := w.policiesOf("acme").At(time.Date(2026, 5, 31, 23, 59, 59, 0, time.UTC)); may.Window != 30*day || june.Touch != join.FirstTouch || june.Renewals != 365*day {
		t.Errorf("may %+v, june %+v", may, june)
	}
	if w.workspace("") != "acme" || w.workspace("acct_1") != "acme" || w.keysOf("acme").HashEmail == nil || stripe.Default().HashEmail != nil {
		t.Errorf("%+v", w)
	}
	if err := w.moved(map[string]string{"acct_1": "acme"}); err != nil {
		t.Error(err)
	}
	if err := w.moved(map[string]string{"acct_1": "other"}); err == nil || !strings.Contains(err.Error(), "counted twice") {
		t.Errorf("an account whose money is booked elsewhere is taken: %v", err)
	}
	_, err = readWorkspaces(write(`[{"id":"a","email_fallback":true,"attribution":[{"from":"June"},{"touch":"middle"}]},{"id":"b","keys":{"metadata":{"k":"money"}}},{"id":"a"}]`), "")
	for _, want := range []string{"--email-key", `"June"`, "middle", "money", "listed twice"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said:\n%v", want, err)
		}
	}
}
