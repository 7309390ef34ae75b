package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/processor/fx"
	"tributary/processor/join"
	"tributary/processor/stripe"
	"tributary/schemas"
)

const emailKey = "0123456789abcdef"

func TestWithoutWorkspacesFile(t *testing.T) {
	f, err := Read("", "")
	if err != nil || f.Policies("default") != nil || f.Keys("default") == nil {
		t.Errorf("%v %v", f, err)
	}
	for _, account := range []string{"", "acct_1"} {
		if w, listed := f.Of(account, false, ""); w != Default || !listed {
			t.Errorf("%q is of %q, listed %t", account, w, listed)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "missing.json"), ""); err == nil ||
		!strings.Contains(err.Error(), "--workspaces") {
		t.Errorf("%v does not say what to do", err)
	}
}

func readText(t *testing.T, text, key string) (*File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "workspaces.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read(path, key)
}

func TestWorkspacesFile(t *testing.T) {
	f, err := readText(t, `[{"id":"acme","publishable_keys":["pk"],"stripe_accounts":["acct_1",""],"email_fallback":true,
		"attribution":[{"window_days":30},{"from":"2026-06-01","touch":"first","follow":"first","renewals_days":365}],
		"keys":{"metadata":{"acmeClick":"click"},"references":{"acme_":"click"}}}]`, emailKey)
	if err != nil {
		t.Fatal(err)
	}
	june := f.Policies("acme").At(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	may := f.Policies("acme").At(time.Date(2026, 5, 31, 23, 59, 59, 0, time.UTC))
	if may.Window != 30*day || june.Touch != join.FirstTouch || june.Renewals != 365*day {
		t.Errorf("may %+v, june %+v", may, june)
	}
	if f.Keys("acme").HashEmail == nil || stripe.Default().HashEmail != nil {
		t.Error("the e-mail fallback is not that of its workspace alone")
	}
	if err := f.Moved("acct_1", true, "acme"); err != nil {
		t.Error(err)
	}
	if err := f.Moved("acct_1", false, "other"); err == nil || !strings.Contains(err.Error(), "counted twice") {
		t.Errorf("an account whose money is booked elsewhere is taken: %v", err)
	}
	if err := f.Moved("acct_gone", true, "acme"); err != nil {
		t.Errorf("an account that is listed no more: %v", err)
	}
	_, err = readText(t, `[{"id":"a","email_fallback":true,"attribution":[{"from":"June"},{"touch":"middle"}]},{"id":"b","keys":{"metadata":{"k":"money"}}},{"id":"a"}]`, "")
	for _, want := range []string{`"June"`, "middle", "money", "used twice"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said:\n%v", want, err)
		}
	}
	for _, key := range []string{"", "short"} {
		if _, err := readText(t, `[{"id":"a","email_fallback":true}]`, key); err == nil ||
			!strings.Contains(err.Error(), "email key") {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

// Every currency that a workspace may be shown in is one that amounts can be converted of.
// A command works in a workspace of the file, or says which there are.
func TestChoose(t *testing.T) {
	for _, tt := range []struct{ content, id, want string }{
		{"", "", Default}, {"", "acme", "acme"},
		{`[{"id":"acme"}]`, "", "acme"}, {`[{"id":"acme"}]`, "acme", "acme"}, {`[{"id":"acme"}]`, Default, ""},
		{`[{"id":"acme"},{"id":"bob"}]`, "", ""}, {`[{"id":"acme"},{"id":"bob"}]`, "bob", "bob"},
		{`[{"id":"acme"},{"id":"bob"}]`, "Bob", ""}, {`[{"id":"acme"},{"id":"default"}]`, "", Default},
		{`[{"id":"acme"}]`, schemas.HeldWorkspace("acct_1", ""), schemas.HeldWorkspace("acct_1", "")},
	} {
		path := ""
		if tt.content != "" {
			path = filepath.Join(t.TempDir(), "workspaces.json")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		file, err := ReadPolicies(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := file.Choose(tt.id); got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%s, %q: %q %v, want %q", tt.content, tt.id, got, err, tt.want)
		}
	}
}

func TestCurrencies(t *testing.T) {
	taken := 0
	for a := 'a'; a <= 'z'; a++ {
		for b := 'a'; b <= 'z'; b++ {
			for c := 'a'; c <= 'z'; c++ {
				code := string([]rune{a, b, c})
				if _, err := schemas.ParseWorkspaces("w.json", []byte(`[{"id":"a","currency":"`+code+`"}]`)); err != nil {
					continue
				}
				taken++
				if _, known := fx.Exponent(code); !known {
					t.Errorf("%s is taken, and its amounts cannot be read", code)
				}
			}
		}
	}
	if taken < 100 {
		t.Errorf("only %d currencies are taken", taken)
	}
}

// An account's events are booked where the account and the mode are listed, and nowhere else.
func TestOf(t *testing.T) {
	const text = `[{"id":"acme","stripe":[{"accounts":["acct_acme"],"secrets":["whsec_acme_live"],"livemode":true}]},
		{"id":"stage","stripe":[{"accounts":["acct_acme"],"secrets":["whsec_acme_test"],"livemode":false}]},
		{"id":"bob","stripe_accounts":["acct_bob"]}]`
	f, err := readText(t, text, "")
	if err != nil {
		t.Fatal(err)
	}
	live, other := schemas.SecretDigest("whsec_acme_live"), schemas.SecretDigest("whsec_of_bob")
	tests := []struct {
		account  string
		livemode bool
		unlisted string
		want     string
		listed   bool
	}{
		{"acct_acme", true, "", "acme", true},
		{"acct_acme", false, "", "stage", true},
		{"acct_bob", true, "", "bob", true},
		{"acct_bob", false, "", "bob", true},
		{"acct_new", true, "", "unlisted/acct_new/", false},
		{"", true, "", "unlisted//", false},
		// Held when it came, and listed since: only the account's own secret proves anything.
		{"acct_acme", true, live, "acme", true},
		{"acct_acme", true, other, "unlisted/acct_acme/" + other, false},
		{"acct_acme", false, live, "unlisted/acct_acme/" + live, false},
		{"acct_bob", true, other, "bob", true}, // its secrets are those of the flags, which sign for it alone
	}
	for _, tt := range tests {
		if got, listed := f.Of(tt.account, tt.livemode, tt.unlisted); got != tt.want || listed != tt.listed {
			t.Errorf("Of(%q, %t, %q) = %q, %t; want %q, %t", tt.account, tt.livemode, tt.unlisted, got, listed,
				tt.want, tt.listed)
		}
		held := schemas.HeldWorkspace(tt.account, tt.unlisted)
		if got, listed := f.Released(held, tt.livemode); got != tt.want || listed != tt.listed {
			t.Errorf("Released(%q, %t) = %q, %t; want %q, %t", held, tt.livemode, got, listed, tt.want, tt.listed)
		}
	}

	replaced, err := readText(t, `[{"id":"new","stripe":[{"accounts":["acct_new"],"secrets":["whsec_acme_live"]}]}]`, "")
	if err != nil {
		t.Fatal(err)
	}
	f.Replace(replaced)
	if w, listed := f.Of("acct_new", true, live); w != "new" || !listed {
		t.Errorf("after a reload: %q %t", w, listed)
	}
	if w, listed := f.Of("acct_acme", true, ""); listed {
		t.Errorf("after a reload: %q", w)
	}
}

// A movement's workspace stands in its account, which the edge writes. A webhook that claims such
// an account is signed by a secret that does not list it.
func TestMovementsWorkspace(t *testing.T) {
	f, err := Read("", "")
	if err != nil {
		t.Fatal(err)
	}
	if w, listed := f.Of("movements/acme", true, ""); w != "acme" || !listed {
		t.Errorf("%q, %t", w, listed)
	}
	if _, listed := f.Of("movements/acme", true, "0123456789abcdef"); listed {
		t.Error("a webhook books into another's workspace")
	}
	if _, listed := f.Released(schemas.HeldWorkspace("movements/acme", "0123456789abcdef"), true); listed {
		t.Error("what a webhook says of another's movements is booked when the file is read again")
	}
	if w, listed := f.Released("acme", true); listed {
		t.Errorf("%q, which is no held workspace, is released", w)
	}
	if err := f.Moved("movements/acme", true, "acme"); err != nil {
		t.Error(err)
	}
}
