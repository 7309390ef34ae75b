package schemas

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const goodWorkspaces = `[
  {
    "id": "acme", "publishable_keys": ["pk_acme"], "secret_keys": ["sk_acme_0123456789"],
    "hostnames": ["www.Acme.example", "*.münchen.example", "localhost", "*.localhost", "192.0.2.7"],
    "schemes": ["AcmeApp"], "query_parameters": ["utm_*", "gclid"], "events_per_second": 12.5, "retention_days": 90,
    "stripe": [
      {"accounts": ["acct_acme"], "secrets": ["whsec_acme_live"], "livemode": true},
      {"accounts": ["acct_acme"], "secrets": ["whsec_acme_test"], "livemode": false},
      {"accounts": ["acct_one", "acct_two"], "secrets": ["whsec_connect"], "connect": true}
    ],
    "attribution": [{"window_days": 30, "touch": "first", "follow": "last"},
      {"from": "2026-06-01", "renewals_days": 365}],
    "keys": {"metadata": {"acmeClick": "click", "referral": ""}, "references": {"acme_": "affiliate"}},
    "email_fallback": true, "timezone": "Europe/Paris", "currency": "EUR"
  },
  {"id": "bob", "hostnames": ["bob.example", "www.bob.example"], "stripe_accounts": ["acct_bob", ""],
   "stripe": [{"accounts": ["acct_three"], "secrets": ["whsec_connect"], "connect": true}]}
]`

func TestWorkspaces(t *testing.T) {
	list, err := ParseWorkspaces("w.json", []byte(goodWorkspaces))
	if err != nil {
		t.Fatal(err)
	}
	acme, bob := list[0], list[1]
	wantHosts := []string{"acme.example", "*.xn--mnchen-3ya.example", "localhost", "*.localhost", "192.0.2.7"}
	if !reflect.DeepEqual(acme.Hostnames, wantHosts) {
		t.Errorf("hostnames %q, want %q", acme.Hostnames, wantHosts)
	}
	if acme.Schemes[0] != "acmeapp" || acme.Currency != "eur" || acme.EventsPerSecond != 12.5 || !acme.EmailFallback {
		t.Errorf("%+v", acme)
	}
	if e := acme.Endpoints(); len(e) != 3 || !e[0].Signs(true) || e[0].Signs(false) || !e[2].Signs(true) ||
		!e[2].Signs(false) {
		t.Errorf("endpoints %+v", e)
	}
	if e := bob.Endpoints(); len(e) != 2 || len(e[1].Secrets) != 0 || e[1].Accounts[1] != "" {
		t.Errorf("endpoints %+v", e)
	}
	if a := acme.Attribution; a[0].WindowDays != 30 || a[1].RenewalsDays != 365 ||
		acme.Keys.Metadata["acmeClick"] != "click" {
		t.Errorf("%+v", acme)
	}
}

// Each fault is reported with its place and a hint, and nothing else is.
func TestWorkspacesFaults(t *testing.T) {
	const ok = `"id":"a"`
	tests := []struct{ name, text, want string }{
		{"empty file", ``, "1:1: |the file is empty"},
		{"empty list", `[]`, "the list is empty"},
		{"no list", `{"id":"a"}`, "a list"},
		{"null", `null`, "null is no value"},
		{"byte order mark", "\ufeff[{" + ok + "}]", "byte order mark"},
		{"UTF-16", "\xff\xfe[\x00", "1:1: |not UTF-8"},
		{"Latin-1", "[{\"id\":\"caf\xe9\"}]", "1:12: |not UTF-8"},
		{"text behind the array", "[{" + ok + "}]\n x", "2:2: |nothing may follow"},
		{"a second array", "[{" + ok + "}] []", "nothing may follow"},
		{"comma behind the last element", "[{" + ok + "},\n]", "2:1: |no comma after the last"},
		{"comma behind the last field", `[{` + ok + `,}]`, "no comma after the last"},
		{"comment", "[ // mine\n]", "1:3: |no comments"},
		{"single quotes", `[{'id':'a'}]`, "double quotes"},
		{"cut off", `[{` + ok, "is missing"},
		{"unknown field", "[{" + ok + ",\n \"hostname\":[\"x.example\"]}]",
			"2:2: |[0].hostname: there is no such field|hostnames"},
		{"another case", `[{"ID":"a"}]`, "[0].ID: there is no such field"},
		{"unknown nested field", `[{` + ok + `,"attribution":[{"windows_days":30}]}]`,
			"[0].attribution[0].windows_days|window_days"},
		{"unknown field of an endpoint", `[{` + ok + `,"stripe":[{"accounts":["acct_1"],"secret":["whsec_12345678"]}]}]`,
			"[0].stripe[0].secret: |no secrets"},
		{"unknown field of keys", `[{` + ok + `,"keys":{"meta":{}}}]`, "[0].keys.meta"},
		{"repeated key", `[{` + ok + `,"hostnames":["a.example"],"hostnames":[]}]`, "[0].hostnames: this key is given twice"},
		{"repeated nested key", `[{` + ok + `,"keys":{"metadata":{"k":"click","k":"external"}}}]`,
			"[0].keys.metadata.k: this key is given twice"},
		{"string for a list", `[{` + ok + `,"hostnames":"a.example"}]`, "[0].hostnames|a list"},
		{"number for a string", `[{` + ok + `,"publishable_keys":[7]}]`, "[0].publishable_keys[0]|a string"},
		{"string for a number", `[{` + ok + `,"events_per_second":"5"}]`, "a number, without"},
		{"string for a bool", `[{` + ok + `,"email_fallback":"true"}]`, "true or false"},
		{"number for livemode", `[{` + ok + `,"stripe":[{"accounts":["acct_1"],"secrets":["whsec_12345678"],"livemode":1}]}]`,
			"livemode|true or false"},
		{"part of a day", `[{` + ok + `,"attribution":[{"window_days":1.5}]}]`, "a whole number"},
		{"too large a number", `[{` + ok + `,"events_per_second":1e999}]`, "a number"},
		{"null list", `[{` + ok + `,"hostnames":null}]`, "null is no value"},
		{"list of lists", `[[]]`, "[0]: |an object"},
		{"object for references", `[{` + ok + `,"keys":{"references":[]}}]`, "an object"},
		{"no id", `[{}]`, "[0]: the workspace has no id"},
		{"empty id", `[{"id":""}]`, "[0].id: the id has 0 bytes"},
		{"id of held money", `[{"id":"unlisted/acct_1/"}]`, "[0].id|kept for accounts that no workspace lists"},
		{"long id", `[{"id":"` + strings.Repeat("a", 201) + `"}]`, "201 bytes"},
		{"space in an id", `[{"id":"a "}]`, "holds a space"},
		{"repeated id", `[{` + ok + `},{` + ok + `}]`, `[1].id: the id "a" is used twice`},
		{"repeated publishable key", `[{` + ok + `,"publishable_keys":["pk"]},{"id":"b","publishable_keys":["pk"]}]`,
			`[1].publishable_keys[0]|used twice, by "a"`},
		{"space in a key", `[{` + ok + `,"publishable_keys":["pk "]}]`, "has spaces"},
		{"weak secret", `[{` + ok + `,"secret_keys":["sk_x"]}]`, "secret key: its 4 bytes"},
		{"line end in a secret", `[{` + ok + `,"secret_keys":["sk_0123456789abc\n"]}]`, "secret key: it holds a space"},
		{"repeated secret", `[{` + ok + `,"secret_keys":["sk_0123456789abc"]},{"id":"b","secret_keys":["sk_0123456789abc"]}]`,
			"[1].secret_keys[0]|used twice"},
		{"one key public and secret", `[{` + ok +
			`,"secret_keys":["key_0123456789ab"],"publishable_keys":["key_0123456789ab"]}]`, "used twice"},
		{"keys in each other's place", `[{` + ok +
			`,"secret_keys":["pk_0123456789abc"],"publishable_keys":["sk_0123456789abc"]}]`,
			"[0].secret_keys[0]: secret key: it is a publishable key|publishable_keys[0]: publishable key: it is a secret"},
		{"Dub's key of pages as a secret", `[{` + ok + `,"secret_keys":["dub_pk_0123456789abc"]}]`,
			"it is a publishable key"},
		{"signing secrets as keys", `[{` + ok +
			`,"secret_keys":["whsec_0123456789"],"publishable_keys":["whsec_0123456789"]}]`,
			"signing secret|it is a secret"},
		{"Stripe's key in pages", `[{` + ok + `,"publishable_keys":["rk_live_0123456789"]}]`, "it is a secret"},
		{"half an address", `[{` + ok + `,"hostnames":["10.1"]}]`, "a browser reads it as an address"},
		{"a hexadecimal address", `[{` + ok + `,"hostnames":["*.0x7f"]}]`, "a browser reads it as an address"},
		{"a retention too short", `[{` + ok + `,"retention_days":30}]`, "31 to 3650 days"},
		{"a retention too long", `[{` + ok + `,"retention_days":3651}]`, "31 to 3650 days"},
		{"negative rate", `[{` + ok + `,"events_per_second":-1}]`, "negative"},
		{"hostname with a scheme", `[{` + ok + `,"hostnames":["https://x.example"]}]`, "is not a hostname"},
		{"hostname with a port", `[{` + ok + `,"hostnames":["x.example:80"]}]`, "is not a hostname"},
		{"hostname with a path", `[{` + ok + `,"hostnames":["x.example/shop"]}]`, "is not a hostname"},
		{"star inside", `[{` + ok + `,"hostnames":["shop.*.example"]}]`, "is not a hostname"},
		{"star alone", `[{` + ok + `,"hostnames":["*"]}]`, "is not a hostname"},
		{"nothing behind the star", `[{` + ok + `,"hostnames":["*."]}]`, "is not a hostname"},
		{"broken IDN", `[{` + ok + `,"hostnames":["xn--a.example"]}]`, "no browser can send it"},
		{"long label", `[{` + ok + `,"hostnames":["` + strings.Repeat("a", 64) + `.example"]}]`, "no browser can send it"},
		{"public ending", `[{` + ok + `,"hostnames":["*.co.uk"]}]`, "everybody may have a name under co.uk"},
		{"private ending", `[{` + ok + `,"hostnames":["*.github.io"]}]`, "everybody may have a name"},
		{"all of com", `[{` + ok + `,"hostnames":["*.com"]}]`, "everybody may have a name"},
		{"repeated hostname", `[{` + ok + `,"hostnames":["x.example"]},{"id":"b","hostnames":["www.X.example"]}]`,
			"[1].hostnames[0]|used twice"},
		{"the same hostname as IDN", `[{` + ok +
			`,"hostnames":["bücher.example"]},{"id":"b","hostnames":["xn--bcher-kva.example"]}]`, "used twice"},
		{"script for a scheme", `[{` + ok + `,"schemes":["JavaScript"]}]`, "scheme"},
		{"all parameters", `[{` + ok + `,"query_parameters":["*"]}]`, "[0].query_parameters[0]|is not the name"},
		{"parameter with a value", `[{` + ok + `,"query_parameters":["utm_source=x"]}]`, "is not the name"},
		{"scheme with ://", `[{` + ok + `,"schemes":["app://"]}]`, "scheme"},
		{"account with a space", `[{` + ok + `,"stripe_accounts":["acct_1 "]}]`, `account "acct_1 "`},
		{"no account", `[{` + ok + `,"stripe_accounts":["acme"]}]`, `account "acme"`},
		{"account of two", `[{` + ok + `,"stripe_accounts":["acct_1"]},{"id":"b","stripe_accounts":["acct_1"]}]`,
			`"acct_1" belongs to "a" and "b"`},
		{"account of two in two forms",
			`[{` + ok + `,"stripe_accounts":["acct_1"]},{"id":"b","stripe":[{"accounts":["acct_1"],"secrets":["whsec_12345678"],"livemode":false}]}]`, `belongs to "a" and "b"`},
		{"account twice", `[{` + ok + `,"stripe_accounts":["acct_1","acct_1"]}]`, "twice in this list"},
		{"account in both forms", `[{` + ok +
			`,"stripe_accounts":["acct_1"],"stripe":[{"accounts":["acct_1"],"secrets":["whsec_12345678"]}]}]`,
			"secrets of its own"},
		{"endpoint without accounts", `[{` + ok + `,"stripe":[{"secrets":["whsec_12345678"]}]}]`, "no accounts"},
		{"API key for a signing secret", `[{` + ok + `,"stripe":[{"accounts":["acct_1"],"secrets":["sk_live_12345678"]}]}]`,
			"API key"},
		{"short signing secret", `[{` + ok + `,"stripe":[{"accounts":["acct_1"],"secrets":["whsec_"]}]}]`,
			"signing secret: it is very short"},
		{"a word for a signing secret", `[{` + ok + `,"stripe":[{"accounts":["acct_1"],"secrets":["-----BEGIN-----"]}]}]`,
			"whsec_"},
		{"signing secret of two", `[{` + ok +
			`,"stripe":[{"accounts":["acct_1"],"secrets":["whsec_12345678"]}]},{"id":"b","stripe":[{"accounts":["acct_2"],"secrets":["whsec_12345678"]}]}]`,
			"[1].stripe[0].secrets[0]|also [0].stripe[0].secrets[0]|connect"},
		{"signing secret twice in a list",
			`[{` + ok + `,"stripe":[{"accounts":["acct_1"],"secrets":["whsec_12345678","whsec_12345678"],"connect":true}]}]`,
			"secrets[1]"},
		{"bad day", `[{` + ok + `,"attribution":[{"from":"June"}]}]`, `"June" is not a day`},
		{"two policies of a day", `[{` + ok + `,"attribution":[{"from":"2026-01-01"},{"from":"2026-01-01"}]}]`,
			"two policies"},
		{"bad touch", `[{` + ok + `,"attribution":[{"touch":"middle"}]}]`, "middle"},
		{"bad follow", `[{` + ok + `,"attribution":[{"follow":"Last"}]}]`, "Last"},
		{"no window", `[{` + ok + `,"attribution":[{"window_days":0}]}]`,
			"[0].attribution[0].window_days|0 days|leave it out for 90"},
		{"no renewals", `[{` + ok + `,"attribution":[{"renewals_days":0}]}]`,
			"[0].attribution[0].renewals_days|0 days|leave it out"},
		{"example's key", `[{` + ok + `,"secret_keys":["sk_put_your_own_here"]}]`, "[0].secret_keys[0]|stands in an example"},
		{"template's key", `[{` + ok + `,"secret_keys":["${TRIBUTARY_SECRET}"]}]`, "stands in an example"},
		{"example's signing secret", `[{` + ok + `,"stripe":[{"accounts":["acct_1"],"secrets":["whsec_your_secret"]}]}]`,
			"[0].stripe[0].secrets[0]|stands in an example"},
		{"negative window", `[{` + ok + `,"attribution":[{"window_days":-1}]}]`, "-1 days"},
		{"endless window", `[{` + ok + `,"attribution":[{"window_days":200000}]}]`, "200000 days"},
		{"renewals shorter than the window", `[{` + ok + `,"attribution":[{"renewals_days":30}]}]`,
			"fewer than the window's 90"},
		{"key of nothing", `[{` + ok + `,"keys":{"metadata":{"k":"money"}}}]`, "[0].keys.metadata.k|money"},
		{"empty key", `[{` + ok + `,"keys":{"references":{"":"click"}}}]`, "a key is empty"},
		{"time zone", `[{` + ok + `,"timezone":"Paris"}]`, `"Paris" is no time zone`},
		{"this machine's time zone", `[{` + ok + `,"timezone":"Local"}]`, "no time zone"},
		{"empty time zone", `[{` + ok + `,"timezone":""}]`, "no time zone"},
		{"currency", `[{` + ok + `,"currency":"euro"}]`, `"euro" is no currency`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list, err := ParseWorkspaces("w.json", []byte(tt.text))
			if err == nil {
				t.Fatalf("taken for %+v", list)
			}
			for _, want := range strings.Split(tt.want, "|") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not said:\n%v", want, err)
				}
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "w.json:") || !strings.Contains(line, "(hint: ") {
					t.Errorf("no place or no hint: %s", line)
				}
			}
		})
	}
}

// All faults are reported at once, in the order of the file, without a secret.
func TestWorkspacesFaultsAtOnce(t *testing.T) {
	_, err := ParseWorkspaces("w.json", []byte(`[
		{"id": 7, "hostname": ["x"]},
		{"id": "a", "secret_keys": ["sk_short"], "timezone": "Mars"},
		{"id": "a", "stripe": [{"accounts": ["x"], "secrets": ["sk_live_a_real_key"]}]}
	]`))
	lines := strings.Split(err.Error(), "\n")
	wants := []string{"2:10: [0].id", "2:13: [0].hostname", "3:31: [1].secret_keys[0]", "3:56: [1].timezone",
		"4:10: [2].id", "4:40: [2].stripe[0].accounts[0]", "4:58: [2].stripe[0].secrets[0]"}
	if len(lines) != len(wants) {
		t.Fatalf("%d faults, want %d:\n%v", len(lines), len(wants), err)
	}
	for i, want := range wants {
		if !strings.HasPrefix(lines[i], "w.json:"+want) {
			t.Errorf("fault %d is %s, want it at %s", i, lines[i], want)
		}
	}
	if strings.Contains(err.Error(), "sk_short") || strings.Contains(err.Error(), "a_real_key") {
		t.Errorf("a secret is shown:\n%v", err)
	}
}

// Many faults are counted rather than written out, in bounded time.
func TestVeryManyFaults(t *testing.T) {
	_, err := ParseWorkspaces("w.json", []byte("["+strings.Repeat("{},", 20_000)+"{}]"))
	if lines := strings.Count(err.Error(), "\n") + 1; lines != maxFaults+1 ||
		!strings.Contains(err.Error(), "19901 more faults") {
		t.Errorf("%d lines", lines)
	}
}

// The two modes of one account may belong to two workspaces.
func TestModesOfAnAccount(t *testing.T) {
	const text = `[{"id":"live","stripe":[{"accounts":["acct_1"],"secrets":["whsec_12345678"],"livemode":true}]},
		{"id":"test","stripe":[{"accounts":["acct_1"],"secrets":["whsec_87654321"],"livemode":false}]}]`
	if _, err := ParseWorkspaces("w.json", []byte(text)); err != nil {
		t.Error(err)
	}
}

func TestReadWorkspaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "workspaces.json")
	if _, err := ReadWorkspaces(path); err == nil || !strings.Contains(err.Error(), "(hint: ") {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := ReadWorkspaces(t.TempDir()); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("a directory: %v", err)
	}
	if err := os.WriteFile(path, []byte(goodWorkspaces), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := ReadWorkspaces(path); err != nil || len(list) != 2 {
		t.Errorf("%d workspaces: %v", len(list), err)
	}
}

func FuzzWorkspaces(f *testing.F) {
	f.Add([]byte(goodWorkspaces))
	f.Add([]byte(`[{"id":"a","id":null,"stripe":[{"accounts":[""],"secrets":["whsec_12345678"]}],"keys":{"metadata":{".":"","a[0]":"x"}}}] ]`))
	f.Add([]byte(`[{"id":"a","hostnames":["*.xn--mnchen-3ya.example","ﬁ.example"],"attribution":[{"window_days":1e2}]},[],7]`))
	f.Add([]byte("\ufeff[]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ParseWorkspaces("w.json", text)
		if err != nil {
			for _, fault := range err.(interface{ Unwrap() []error }).Unwrap() {
				if !strings.HasPrefix(fault.Error(), "w.json:") && !strings.HasSuffix(fault.Error(), "mend these first)") ||
					!strings.Contains(fault.Error(), "(hint: ") {
					t.Errorf("no place or no hint: %v", fault)
				}
			}
			return
		}
		if len(list) == 0 {
			t.Error("an empty list is taken")
		}
		for _, w := range list {
			for _, host := range w.Hostnames { // what is kept is kept again
				if again, err := normalizeHostname(host); err != nil || again != strings.TrimPrefix(host, "www.") {
					t.Errorf("hostname %q becomes %q: %v", host, again, err)
				}
			}
		}
	})
}

// What stands in examples in the place of a secret is none; what is made at random is one, whatever
// letters are in it.
func TestPlaceholders(t *testing.T) {
	for _, secret := range []string{"sk_put_your_own_here", "sk_live_xxxxxxxxxxxxxxxx", "change-me-please-now",
		"CHANGEME-12345678", "sk_change_this_secret", "<secret key of acme>", "sk_live_<SECRET_KEY_1>",
		"${SECRET_KEY_OF_ACME}", "{{ .Values.secretKey | quote }}", "sk_0123456789…", "sk_0123456789...",
		"sk_EDIT_0123456789", "whsec_EDIT_0123456789", "EDIT, at least 16 bytes", // of deploy/kubernetes
		"whsec_REPLACE_ME_soon", "a-placeholder-for-it"} {
		if !IsPlaceholder(secret) || CheckSecret(strings.ReplaceAll(secret, " ", "")) == nil {
			t.Errorf("%s is taken", secret)
		}
	}
	raw := make([]byte, 32) // a file of a hash's key
	// The same bytes each time: one of some millions of such files is refused.
	random := mathrand.NewChaCha8([32]byte{})
	for range 10_000 {
		if _, _ = random.Read(raw); IsPlaceholder(string(raw)) {
			t.Errorf("%q is refused", raw)
		}
		for _, secret := range []string{"sk_" + rand.Text(), "sk_" + strings.ToLower(rand.Text())} {
			if err := CheckSecret(secret); err != nil {
				t.Errorf("%s: %v", secret, err)
			}
		}
	}
	for _, secret := range []string{"sk_yourchangehere123456", "sk_3fxxxxxxx80a1b2c3d4", "whsec_of_the_live_endpoint",
		"q7<Rz!p0>Lw#s2Vd", "<kT${9v>w}{{Jm4&xZ", "Hq..4#${Wn8]}tP2>"} { // of a program that makes passwords
		if err := CheckSecret(secret); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
}
