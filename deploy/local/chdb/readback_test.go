package chdb

import "testing"

// Only a part that was read to its end may be detached: one that a cancelled CHECK TABLE says
// nothing of may be of an insert that succeeded.
func TestVerdict(t *testing.T) {
	for answer, want := range map[string]struct {
		why    string
		failed bool
	}{
		`{"part_path":"all_1_1_0","is_passed":1,"message":""}`:         {},
		`{"part_path":"all_1_1_0","is_passed":true,"message":""}`:      {},
		`{"part_path":"all_1_1_0","is_passed":0,"message":"a.bin"}`:    {why: "a.bin"},
		`{"part_path":"all_1_1_0","is_passed":false,"message":""}`:     {why: "CHECK TABLE gives no reason"},
		`{"is_passed":0,"message":"killed. (QUERY_WAS_CANCELLED)"}`:    {failed: true},
		`{"is_passed":0,"message":"(QUERY_WAS_CANCELLED_BY_CLIENT)"}`:  {failed: true},
		`{"part_path":"all_1_1_0"}`:                                    {failed: true},
		`{"part_path":"all_1_1_0","is_passed":null,"message":"a.bin"}`: {failed: true},
		`{"part_path":"all_1_1_0","is_pas`:                             {failed: true},
		"":                                                             {failed: true},
	} {
		if why, err := verdict([]byte(answer)); why != want.why || (err != nil) != want.failed {
			t.Errorf("%q: %q, %v", answer, why, err)
		}
	}
}
