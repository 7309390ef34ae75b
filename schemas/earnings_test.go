package schemas

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func readEarnings(t *testing.T, text string) ([]Earnings, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "earnings.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadEarnings(path)
}

func TestReadEarnings(t *testing.T) {
	list, err := readEarnings(t, `[{"workspace":"default","minimum_usd":"50","rules":[{"name":"all","percent":"12.5"},
		{"name":"flat","from":"2026-01-01","programs":["p"],"products":["prod_1"],"flat_usd":"5.00","months":12}]}]`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := list[0].RulesJSON()
	const want = `[{"name":"all","from":"1970-01-01","until":"2149-06-06","affiliates":[],"programs":[],"products":[],"percent":"12.5",` +
		`"flat_usd":"0","first_sale_only":false,"months":0,"hold_days":0},` +
		`{"name":"flat","from":"2026-01-01","until":"2149-06-06","affiliates":[],"programs":["p"],"products":["prod_1"],"percent":"0",` +
		`"flat_usd":"5.00","first_sale_only":false,"months":12,"hold_days":0}]`
	if err != nil || got != want {
		t.Errorf("rules are\n%s, %v; want\n%s", got, err, want)
	}
}

func TestReadEarningsFaults(t *testing.T) {
	for _, test := range []struct{ file, fault string }{
		{`[]`, "the list is empty"},
		{`[{"rules":[{"name":"a","percent":"1"}]}]`, "the workspace is missing"},
		{`[{"workspace":"w","rules":[]}]`, "there are no rules"},
		{`[{"workspace":"w","rules":[{"name":"a"}]}]`, "the rule gives nothing"},
		{`[{"workspace":"w","rules":[{"percent":"1"}]}]`, "no name"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":20}]}]`, "wrong type (hint: a string)"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"120"}]}]`, "no percentage"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"-1"}]}]`, "no percentage"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"1e1"}]}]`, "no percentage"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"0.12345"}]}]`, "no percentage"},
		{`[{"workspace":"w","rules":[{"name":"a","flat_usd":"5.001"}]}]`, "no amount in USD"},
		{`[{"workspace":"w","minimum_usd":"","rules":[{"name":"a","percent":"1"}]}]`, "no amount in USD"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"1","from":"2026-02-30"}]}]`, "not a day"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"1","until":"9999-12-31"}]}]`, "not a day"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"1","from":"2026-02-01","until":"2026-01-31"}]}]`,
			"ends before it begins"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"1","affiliates":[""]}]}]`, "the id is empty"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"1","products":["prod_1",""]}]}]`, "the id is empty"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"1","hold_days":-1}]}]`, "-1 days"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"1","month":1}]}]`, "there is no such field"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"1"},{"name":"a","percent":"2"}]}]`, "given twice"},
		{`[{"workspace":"w","rules":[{"name":"a","percent":"1"}]},{"workspace":"w","rules":[{"name":"a","percent":"1"}]}]`,
			"given twice"},
	} {
		if _, err := readEarnings(t, test.file); err == nil || !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%s gives %v, want %q", test.file, err, test.fault)
		} else if !strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("%s: %v has no hint", test.file, err)
		}
	}
}
