package catalogue

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	c, err := Read(strings.NewReader("\ufeffAffiliate_ID, "+
		"link_id,promotion_code,coupon,program_id\nann,spring,,,p1\n bob ,,Bob20,,\nbob,,promo_1,SUMMER,\n"), at)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range c.Edges {
		if !e.OfCatalogue() || !e.At.Equal(at) {
			t.Errorf("%+v", e)
		}
		got = append(got, string(e.A)+" = "+string(e.B))
	}
	want := []string{
		"affiliate:ann = program:p1", "link:spring = affiliate:ann",
		"affiliate:bob = program:", "code:BOB20 = affiliate:bob",
		"affiliate:bob = program:", "promotion:promo_1 = affiliate:bob", "coupon:SUMMER = affiliate:bob",
	}
	if !slices.Equal(got, want) || c.Rows != 3 || c.Links != 1 {
		t.Errorf("%d rows, %d links\n%s", c.Rows, c.Links, strings.Join(got, "\n"))
	}
	// Every name that a sale may carry leads to the affiliate.
	for _, e := range c.Edges {
		if a, b := e.Changes(); !a || b {
			t.Errorf("%s = %s changes what is known of the first: %t, of the second: %t", e.A, e.B, a, b)
		}
	}
}

func TestReadReportsAllFaults(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                     {"affiliate_id,program_id"},
		"link_id,colour\n":                     {`"colour"`, "affiliate_id is missing"},
		"affiliate_id\nann\n\"\"\nbob\n\"\"\n": {"line 3", "line 5"},
		"affiliate_id\n\"ann\n":                {"quote"},
		"affiliate_id,link_id\n":               {"names no affiliate"},
		"affiliate_id,link_id\nann\n":          {"line 2: 1 values"},
		"affiliate_id\n" + strings.Repeat("a", 201): {"line 2, column 1: affiliate_id: 201 bytes"},
		"affiliate_id,link_id,promotion_code,coupon\nann,l,save,C\nann,l,save,C\nbob,l,SAVE,C\n": {
			`line 4, column 5: link_id: "l" belongs to the affiliate of line 3`, `"SAVE" belongs`, `"C" belongs`,
		},
	} {
		_, err := Read(strings.NewReader(text), time.Now())
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %q is not said: %v", text, w, err)
			}
		}
	}
}
