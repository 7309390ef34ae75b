package clicks

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tributary/schemas"
)

func TestBatch(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.Workspaces, _ = LoadWorkspaces("", "sk_test") })
	type result struct {
		Accepted int
		Rejected []struct {
			Index int
			Error string
		}
	}
	read := func(a answer) (r result) {
		t.Helper()
		e.want(a, 200, "")
		if err := json.Unmarshal([]byte(a.body), &r); err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
		return r
	}
	r := read(e.do("POST", "/v1/clicks",
		`[{"url":"https://a.example/","properties":{"n":"1"}},{"url":"nope"},{"link_id":"l"},7,{"link_id":"m","event_time":"x"}]`))
	if r.Accepted != 2 || len(r.Rejected) != 3 || r.Rejected[0].Index != 1 || r.Rejected[1].Index != 3 ||
		r.Rejected[2].Index != 4 || !strings.Contains(r.Rejected[0].Error, "http") {
		t.Errorf("%+v", r)
	}
	targets := map[string]bool{}
	for _, rec := range e.records(2) {
		c, err := schemas.DecodeClick(rec)
		if err != nil {
			t.Fatal(err)
		}
		targets[c.Url+c.LinkId+c.Properties["n"]] = true
	}
	if !targets["https://a.example/1"] || !targets["l"] {
		t.Errorf("stored %v", targets)
	}

	r = read(e.do("POST", "/v1/clicks", "{\"link_id\":\"a\"}\n\n{broken\r\n{\"link_id\":\"b\"}",
		"Content-Type: application/x-ndjson"))
	if r.Accepted != 2 || len(r.Rejected) != 1 || r.Rejected[0].Index != 1 {
		t.Errorf("NDJSON: %+v", r)
	}
	e.records(2)

	r = read(e.do("POST", "/v1/clicks", `[{"link_id":"old","event_time":"2020-01-01T00:00:00Z"}]`,
		"Authorization: Bearer sk_test"))
	if r.Accepted != 1 {
		t.Errorf("import: %+v", r)
	}
	if c := e.nextClick(); c.ClickedAt != time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("clicked_at %d", c.ClickedAt)
	}

	many := "[" + strings.TrimSuffix(strings.Repeat(`{"link_id":"l"},`, 1000), ",") + "]"
	if r := read(e.do("POST", "/v1/clicks", many)); r.Accepted != 1000 {
		t.Errorf("1000 events: %+v", r)
	}
	ids := map[string]bool{}
	for _, rec := range e.records(1000) {
		if _, err := schemas.DecodeClick(rec); err != nil {
			t.Fatal(err)
		}
		ids[string(rec.Key)] = true
	}
	if len(ids) != 1000 {
		t.Errorf("%d different ids", len(ids))
	}
	if r := read(e.do("POST", "/v1/clicks", `[]`)); r.Accepted != 0 || r.Rejected == nil {
		t.Errorf("nothing: %+v", r)
	}
	e.want(e.do("POST", "/v1/clicks", "["+strings.Repeat(`{"link_id":"l"},`, 1000)+`{"link_id":"l"}]`),
		413, "too_many_events")
	e.want(e.do("POST", "/v1/clicks", strings.Repeat("{\"link_id\":\"l\"}\n", 1001)), 413, "too_many_events")
	e.want(e.do("POST", "/v1/clicks", `[{"link_id":"l"}`), 400, "bad_json")
	e.want(e.do("POST", "/v1/clicks", ``), 400, "bad_json")
	e.want(e.do("POST", "/v1/clicks", `[]`, "Authorization: Bearer nope"), 401, "unknown_secret_key")
	e.nothing()
}

// Events of one batch may be of several workspaces. A site that may not send for one of them may
// send for the others all the same.
func TestBatchOfTwoWorkspaces(t *testing.T) {
	const acme, zen = `{"key":"pk_acme","link_id":"acme"}`, `{"key":"pk_zen","link_id":"zen"}`
	const unknown = `{"key":"pk_none","link_id":"none"}`
	e := newEdge(t, twoWorkspaces) // acme lists its hosts, zen none
	for _, tt := range []struct {
		body, accepted string
		rejected       []string
		stored         int
	}{
		{acme + "\n" + zen, `"accepted":1,`, []string{`"index":0`}, 1},
		{zen + "\n" + acme + "\n" + zen, `"accepted":2,`, []string{`"index":1`}, 2},
		{"[" + acme + "," + unknown + "," + zen + ",5]", `"accepted":1,`, []string{`"index":0`, `"index":1`, `"index":3`}, 1},
		{"[" + acme + "," + unknown + "]", `"accepted":0,`, []string{`"index":0`, `"index":1`}, 0},
	} {
		a := e.do("POST", "/v1/clicks", tt.body, "Origin: https://zen.example")
		e.want(a, 200, "")
		if !strings.Contains(a.body, tt.accepted) || strings.Count(a.body, `"index"`) != len(tt.rejected) {
			t.Errorf("%s is answered %s, want %s %v", tt.body, a.body, tt.accepted, tt.rejected)
		}
		for _, index := range tt.rejected {
			if !strings.Contains(a.body, index) {
				t.Errorf("%s is answered %s, want %s", tt.body, a.body, index)
			}
		}
		for _, r := range e.records(tt.stored) {
			if c, err := schemas.DecodeClick(r); err != nil || c.LinkId != "zen" || c.Workspace != "zen" {
				t.Errorf("stored %v, %v", c, err)
			}
		}
	}
	for _, body := range []string{acme, "[" + acme + "," + acme + "]"} {
		e.want(e.do("POST", "/v1/clicks", body, "Origin: https://zen.example"), 403, "host_not_allowed")
	}
	// A secret key and a publishable key that contradict each other.
	e.want(e.do("POST", "/v1/click", acme, "Authorization: Bearer sk_zen"), 401, "unknown_key")
	e.want(e.do("POST", "/v1/click", acme, "Authorization: Bearer sk_acme"), 200, "")
	e.records(1)
	e.nothing()
}
