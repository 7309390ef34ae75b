package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tributary/processor/earnings"
)

func TestEarningsCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "earnings.json")
	if err := os.WriteFile(file, []byte(`[{"workspace":"default","rules":[{"name":"all","percent":"120"}]}]`),
		0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"rules", file, "--check"}, "no percentage"},
		{[]string{"rules", file + ".missing", "--check"}, "(hint: "},
		{[]string{"show", "2026-13"}, "no month (hint: "},
		{[]string{"close", "October"}, "no month (hint: "},
	} {
		err := execute(t.Context(), append([]string{"earnings"}, test.args...), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("earnings %v gives %v, want %q", test.args, err, test.want)
		}
	}
}

// A cell with a comma, a quotation mark or a line feed stays one cell of the CSV.
func TestEarningsAreWritten(t *testing.T) {
	month, err := earnings.ParseMonth("2026-10")
	if err != nil {
		t.Fatal(err)
	}
	each := func(one func(header, cells []string) error) error {
		return one([]string{"affiliate_id", "usd"}, []string{"ann, \"the first\"\n", "1.00"})
	}
	none := func(func(header, cells []string) error) error { return nil }
	const hint = ` by the rules in force (hint: "processor earnings rules FILE" replaces them; without rules nobody earns)`
	for _, test := range []struct {
		csv       bool
		affiliate string
		each      func(func(header, cells []string) error) error
		want      string
	}{
		{true, "", each, "affiliate_id,usd\n\"ann, \"\"the first\"\"\n\",1.00\n"},
		{true, "", none, ""},
		{false, "", none, "Nobody earns anything in 2026-10" + hint + "\n"},
		{false, "ann", none, "ann earns nothing in 2026-10" + hint + "\n"},
	} {
		var out strings.Builder
		c := earningsShowCommand{CSV: test.csv, Affiliate: test.affiliate}
		if err := c.write(&out, month, test.each); err != nil || out.String() != test.want {
			t.Errorf("CSV %t: %q, %v; want %q", test.csv, out.String(), err, test.want)
		}
	}
}
