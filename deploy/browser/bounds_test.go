//go:build proof

package browser

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// Each parameter by which an advertising or affiliate network marks a click is an arrival: those
// that the processor knows. Frames are pages that nobody referred.
func TestParametersOfNetworks(t *testing.T) {
	table, err := os.ReadFile("../../processor/enrich/clickids.csv")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(table)) {
		if name, _, row := strings.Cut(line, ","); row && !strings.HasPrefix(line, "#") && name != "param" {
			names = append(names, name)
		}
	}
	// Snapchat writes it so; TikTok's ids are longer than an affiliate's may be.
	// What Google leaves where the browser has taken gclid out.
	queries := []string{"ScCid=x", "gad_source=1&gad_campaignid=2", "ttclid=" + strings.Repeat("E.C.P.", 60)}
	frames := ""
	for i, name := range names {
		queries = append(queries, fmt.Sprintf("%s=value%d", name, i))
	}
	for _, query := range queries {
		frames += `<iframe referrerpolicy=no-referrer src="/landing?` + query + `"></iframe>`
	}
	for _, other := range []string{"cid", "stock_id", "session_id", "product_id", "page", "q", "lawcode"} {
		frames += `<iframe referrerpolicy=no-referrer src="/landing?` + other + `=7"></iframe>`
	}
	v := newVisitor(t, "networks.example", frames)
	v.serve("networks.example/landing", snippet)
	v.open("/")
	arrived := 0
	for _, c := range v.sent(len(queries) + 7) {
		_, query, _ := strings.Cut(c.Url, "?")
		if want := slices.Contains(queries, query); (c.Trigger == "link") != want {
			t.Errorf("%s is a %s", query[:min(len(query), 30)], c.Trigger)
		} else if want {
			arrived++
		}
	}
	if len(names) < 20 || arrived != len(queries) {
		t.Errorf("%d arrivals by %d parameters of the table", arrived, len(names))
	}
	v.noErrors()
}

// A cookie holds 4096 bytes: campaigns in letters that take nine of them do not fill it, and the
// click of now does not give way to the one that the cookie held before.
func TestLongCampaigns(t *testing.T) {
	v := newVisitor(t, "long.example", snippet)
	for i := range 4 {
		v.open(fmt.Sprintf("/?utm_source=%d&utm_campaign=%s", i, strings.Repeat("%E4%B8%AD", 190)))
	}
	id := v.eval("tributary.clickId")
	v.open("/next")
	v.want("tributary.clickId", id)
	v.want("localStorage.length", "0")
	v.noErrors()
}

// A long outage leaves no long queue: each visitor repeats the last pages only.
func TestQueueIsBounded(t *testing.T) {
	v := newVisitor(t, "outage.example", snippet)
	v.before(`window.fetch = () => Promise.resolve({status: 503})`)
	v.open("/")
	v.exec(`for (let i = 0; i < 100; i++) history.pushState({}, "", "/page" + i)`)
	v.becomes(`localStorage.tributary_queue.length <= 8000 && localStorage.tributary_queue.includes("/page99\"")`, "true")
	v.noErrors()
}
