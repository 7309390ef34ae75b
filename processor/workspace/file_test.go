package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/processor/join"
	"tributary/processor/stripe"
)

func TestWithoutWorkspacesFile(t *testing.T) {
	f, err := Read("", "")
	if err != nil || f.Of("acct_1") != "default" || f.Of("") != "default" || f.Policies("default") != nil || f.Keys("default") == nil {
		t.Errorf("%v %v", f, err)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "missing.json"), ""); err == nil || !strings.Contains(err.Error(), "--workspaces") {
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
	f, err := Read(write(`[{"id":"acme","publishable_keys":["pk"],"stripe_accounts":["acct_1",""],"email_fallback":true,
		"attribution":[{"window_days":30},{"from":"2026-06-01","touch":"first","follow":"first","renewals_days":365}],
		"keys":{"metadata":{"acmeClick":"click"},"references":{"acme_":"click"}}}]`), "secret")
	if err != nil {
		t.Fatal(err)
	}
	june := f.Policies("acme").At(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	if may := f.Policies("acme").At(time.Date(2026, 5, 31, 23, 59, 59, 0, time.UTC)); may.Window != 30*day || june.Touch != join.FirstTouch || june.Renewals != 365*day {
		t.Errorf("may %+v, june %+v", may, june)
	}
	if f.Of("") != "acme" || f.Of("acct_1") != "acme" || f.Keys("acme").HashEmail == nil || stripe.Default().HashEmail != nil {
		t.Errorf("%+v", f)
	}
	if err := f.Moved(map[string]string{"acct_1": "acme"}); err != nil {
		t.Error(err)
	}
	if err := f.Moved(map[string]string{"acct_1": "other"}); err == nil || !strings.Contains(err.Error(), "counted twice") {
		t.Errorf("an account whose money is booked elsewhere is taken: %v", err)
	}
	_, err = Read(write(`[{"id":"a","email_fallback":true,"attribution":[{"from":"June"},{"touch":"middle"}]},{"id":"b","keys":{"metadata":{"k":"money"}}},{"id":"a"}]`), "")
	for _, want := range []string{"--email-key", `"June"`, "middle", "money", "listed twice"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said:\n%v", want, err)
		}
	}
}
