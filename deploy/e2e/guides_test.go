//go:build proof

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tributary/schemas"
)

// guide is one vendor's integration guide, played as the vendor's customers live it. The stories
// stand in testdata/guides: what happened, a line ----, and the rows of money that must stand in
// the end; after the last story, the totals.
//
//	visit NAME WHEN KEY=VALUE …           a beacon of t.js; $NAME is the click id that the page then knows. One of
//	                                      another day is sent with the secret key: what anybody may send counts only for
//	                                      sales after its receipt
//	track NAME KEY=VALUE …                the vendor's own script at /track/click, now; $NAME is the answer's clickId
//	import NAME WHEN KEY=VALUE …          the same click by the secret key, of any age
//	lead OBJECT                           the SDK's call of /track/lead
//	event TYPE API_VERSION WHEN OBJECT    what Stripe sends, signed and delivered twice
//	until ROW                             the row stands before anything else is sent
//
// WHEN is days and minutes from the story's beginning: -28d+5m. In an object "@-28d" is that time
// in Unix seconds. ~ is the story's own mark, so that no two stories share a buyer or an affiliate.
// NAME is rendered for the click that a row is credited to.
type guide struct {
	name    string
	account string // the seller's, connected to the vendor's platform
	stories []*story
	totals  string
}

type story struct {
	title  string
	mark   string
	steps  []string
	want   []string
	known  map[string]string // NAME → the click id that the page knows
	clicks map[string]string // click id of the ledger → NAME
	events int
}

// guideRates are what a euro and a yen were worth, from that day before now on: an amount in USD
// shows whose day's rate was taken.
var guideRates = []struct {
	days     int
	eur, jpy string
}{{130, "1.10", "0.0065"}, {19, "1.12", "0.0066"}, {9, "1.15", "0.0067"}}

// Every option of Push Lap Growth's guide to Stripe's Sessions API and of PiMMs' guide to Stripe
// Checkout, and every mistake that their samples invite. One run takes all stories; then every row
// is looked at, twice.
func TestGuides(t *testing.T) {
	guides := []*guide{
		readGuide(t, "PushLapGuide", "push_lap.txt", "acct_pushlap", "pl"),
		readGuide(t, "PiMMsGuide", "pimms.txt", "acct_pimms", "pm"),
	}
	s := newSite(t)
	t.Setenv("TRIBUTARY_FX_SOURCE", "file:"+writeGuideRates(t, time.Now().UTC()))
	s.start()
	s.waitReady()

	ready := time.Now()
	all := make(map[string]*story)
	for _, g := range guides {
		for _, st := range g.stories {
			all[st.mark] = st
			now := time.Now().UTC().Truncate(time.Second)
			for _, step := range st.steps {
				s.step(g, st, step, now)
			}
		}
	}
	sent := time.Now()

	stand := func() (map[string][]string, bool) {
		got := s.rowsOf(all)
		for mark, st := range all {
			if !slices.Equal(got[mark], st.want) {
				return got, false
			}
		}
		return got, len(got[""]) == 0
	}
	got, right := stand()
	for deadline := time.Now().Add(limit); !right && time.Now().Before(deadline); got, right = stand() {
		time.Sleep(200 * time.Millisecond)
	}
	settled := time.Now()
	if right {
		time.Sleep(3 * time.Second) // some sweeps, which must change nothing
		got, _ = stand()
	}
	t.Logf("ready after %s, sent in %s, right after %s more", ready.Sub(s.life.began).Round(time.Millisecond),
		sent.Sub(ready).Round(time.Millisecond), settled.Sub(sent).Round(time.Millisecond))

	for _, g := range guides {
		t.Run(g.name, func(t *testing.T) {
			for _, st := range g.stories {
				t.Run(st.title, func(t *testing.T) {
					if !slices.Equal(got[st.mark], st.want) {
						t.Errorf("the ledger says:\n%s\nwant:\n%s", strings.Join(got[st.mark], "\n"), strings.Join(st.want, "\n"))
					}
				})
			}
			t.Run("totals", func(t *testing.T) {
				if totals := s.totals("ledger_current WHERE account = '" + g.account + "'"); totals != g.totals {
					t.Errorf("the ledger's totals:\n%s\nwant:\n%s", totals, g.totals)
				}
			})
		})
	}
	for _, row := range got[""] {
		t.Errorf("a row of nobody's story: %s", row)
	}
	if ledger, revenue := s.totals("ledger_current"),
		s.totals("revenue FINAL WHERE status = 'booked' AND amount != 0"); ledger != revenue {
		t.Errorf("the dashboards' totals:\n%s\nwant the ledger's:\n%s", revenue, ledger)
	}
	// What a dashboard shows of a row is what the ledger says of it.
	columns := "kind, object_id, sale_id, currency, amount, amount_usd, net_usd, affiliate_id, program_id, " +
		"link_id, match_rule"
	differ, err := s.ask("SELECT object_id FROM (SELECT entry_id, click_id, " + columns + " FROM ledger_current EXCEPT " +
		"SELECT lower(hex(entry_id)), if(click_id = toFixedString('', 16), '', UUIDNumToString(click_id)), " + columns +
		" FROM revenue FINAL WHERE status = 'booked' AND amount != 0)")
	if err != nil || len(differ) > 0 {
		t.Errorf("revenue differs from the ledger in %v %v", differ, err)
	}
	if letters, err := s.ask("SELECT reason, error FROM dead_letters FINAL"); err != nil || len(letters) > 0 {
		t.Errorf("dead letters: %v %v", letters, err)
	}
}

func readGuide(t *testing.T, name, file, account, mark string) *guide {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "guides", file))
	if err != nil {
		t.Fatal(err)
	}
	g := &guide{name: name, account: account}
	blocks := strings.Split(string(data), "\n====\n")
	g.totals = strings.TrimSpace(blocks[len(blocks)-1])
	for i, block := range blocks[:len(blocks)-1] {
		st := &story{mark: fmt.Sprintf("%s%02d", mark, i+1), known: make(map[string]string), clicks: make(map[string]string)}
		happened, rows, found := strings.Cut(strings.ReplaceAll(block, "~", st.mark), "\n----")
		if !found || !strings.HasPrefix(happened, "# ") {
			t.Fatalf("%s: story %d has no title or no ----", file, i+1)
		}
		for line := range strings.Lines(happened) {
			line = strings.TrimRight(line, "\n")
			switch {
			case strings.HasPrefix(line, "# ") && st.title == "":
				st.title = line[2:]
			case strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, "  ") && len(st.steps) > 0:
				st.steps[len(st.steps)-1] += " " + strings.TrimSpace(line)
			default:
				st.steps = append(st.steps, line)
			}
		}
		for row := range strings.Lines(rows) {
			if row = strings.TrimSpace(row); row != "" && row != "nothing" {
				st.want = append(st.want, row)
			}
		}
		slices.Sort(st.want)
		g.stories = append(g.stories, st)
	}
	return g
}

func writeGuideRates(t *testing.T, now time.Time) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("date,currency,usd\n")
	for i, r := range guideRates {
		until := -2
		if i+1 < len(guideRates) {
			until = guideRates[i+1].days
		}
		for d := r.days; d > until; d-- {
			day := now.AddDate(0, 0, -d).Format(time.DateOnly)
			fmt.Fprintf(&b, "%s,eur,%s\n%s,jpy,%s\n", day, r.eur, day, r.jpy)
		}
	}
	path := filepath.Join(t.TempDir(), "known.csv")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// step does one step of a story.
func (s *site) step(g *guide, st *story, step string, now time.Time) {
	s.t.Helper()
	for name, id := range st.known {
		step = strings.ReplaceAll(step, "$"+name, id)
	}
	step = timeInJSON.ReplaceAllStringFunc(step, func(m string) string {
		return strconv.FormatInt(s.when(strings.Trim(m, `"@`), now).Unix(), 10)
	})
	word, rest, _ := strings.Cut(step, " ")
	switch word {
	case "visit", "import":
		name, rest, _ := strings.Cut(rest, " ")
		when, rest, _ := strings.Cut(rest, " ")
		at := s.when(when, now)
		body := pairs(rest)
		if _, given := body["click_id"]; !given {
			body["click_id"] = schemas.NewClickID(at).String()
		}
		st.known[name] = body["click_id"].(string)
		send := s.click
		if word == "visit" {
			for k, v := range map[string]any{"key": "", "visitor_id": "visitor-" + st.mark, "referrer": "https://blog.example/",
				"trigger": "link", "consent": ""} {
				body[k] = v
			}
			if at.Equal(now) {
				send = s.beacon
			}
		}
		body["event_time"] = at.UnixMilli()
		st.clicks[accepted(s.t, s.insist(func() (answer, error) { return send(encode(body)) }))] = name
	case "track":
		name, rest, _ := strings.Cut(rest, " ")
		body := pairs(rest)
		got := s.insist(func() (answer, error) {
			return post(s.edge()+"/track/click", encode(body), append(browser, "Content-Type", "application/json")...)
		})
		var said struct{ ClickID string }
		if err := json.Unmarshal([]byte(got.body), &said); err != nil || said.ClickID == "" {
			s.t.Fatalf("/track/click answers %s", got.body)
		}
		st.known[name], st.clicks[said.ClickID] = said.ClickID, name
	case "lead":
		s.insist(func() (answer, error) {
			return post(s.edge()+"/track/lead", []byte(rest), "Content-Type", "application/json", "Authorization",
				"Bearer "+secretKey)
		})
	case "event":
		typ, rest, _ := strings.Cut(rest, " ")
		version, rest, _ := strings.Cut(rest, " ")
		when, object, _ := strings.Cut(rest, " ")
		st.events++
		body := encode(map[string]any{
			"id": fmt.Sprintf("evt_%s_%d", st.mark, st.events), "object": "event", "account": g.account, "api_version": version,
			"created": s.when(when, now).Unix(), "livemode": true, "pending_webhooks": 1, "type": typ,
			"data": map[string]any{"object": json.RawMessage(object)},
		})
		for range 2 {
			s.insist(func() (answer, error) { return s.deliver(body) })
		}
	case "until":
		for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
			rows := s.rowsOf(map[string]*story{st.mark: st})[st.mark]
			if slices.Contains(rows, rest) {
				return
			}
			if time.Now().After(deadline) {
				s.t.Fatalf("%s: the ledger says:\n%s\nwant meanwhile:\n%s", st.title, strings.Join(rows, "\n"), rest)
			}
		}
	default:
		s.t.Fatalf("%s: %q is no step", st.title, step)
	}
}

// browser is what a browser adds to a script's request.
var browser = []string{
	"User-Agent", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) " +
		"Chrome/143.0.0.0 Safari/537.36",
	"Origin", "https://shop.example", "Referer", "https://shop.example/",
}

// beacon posts as navigator.sendBeacon does for a string.
func (s *site) beacon(body []byte) (answer, error) {
	return post(s.edge()+"/v1/click", body, append(browser, "Content-Type", "text/plain;charset=UTF-8")...)
}

var (
	timeInJSON = regexp.MustCompile(`"@[^"]*"`)
	timeOfStep = regexp.MustCompile(`^([+-]\d+)d(?:([+-]\d+)m)?$`)
)

func (s *site) when(text string, now time.Time) time.Time {
	s.t.Helper()
	m := timeOfStep.FindStringSubmatch(text)
	if m == nil {
		s.t.Fatalf("%q is no time like -28d+5m", text)
	}
	days, _ := strconv.Atoi(m[1])
	minutes, _ := strconv.Atoi(m[2]) // 0 where there are none
	return now.AddDate(0, 0, days).Add(time.Duration(minutes) * time.Minute)
}

func pairs(text string) map[string]any {
	m := make(map[string]any)
	for _, pair := range strings.Fields(text) {
		k, v, _ := strings.Cut(pair, "=")
		m[k] = v
	}
	return m
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

var mark = regexp.MustCompile(`p[lm]\d\d`)

// rowsOf renders what the ledger and the leads say, by the mark of the story; "" has the rows of
// none of them.
func (s *site) rowsOf(stories map[string]*story) map[string][]string {
	s.t.Helper()
	// Of a charge's cumulative figure, what its refunds explain in full is a row of nothing, and
	// left out here.
	money, err := s.ask(`SELECT object_id, kind, sale_id, currency, amount, tax, amount_usd, net_usd, match_rule, click_id, affiliate_id, program_id, link_id
		FROM ledger_current`)
	if err != nil {
		s.t.Fatal(err)
	}
	rows := make(map[string][]string)
	add := func(object string, render func(*story) string) {
		m := mark.FindString(object)
		st := stories[m]
		if st == nil {
			m, st = "", &story{}
		}
		rows[m] = append(rows[m], render(st))
	}
	credit := func(st *story, rule, click, affiliate, program, link string) string {
		if rule == "none" {
			return "nobody's"
		}
		text := "by " + rule + ":"
		if click != "" && click != (schemas.ClickID{}).String() {
			if text += " click " + st.clicks[click]; st.clicks[click] == "" {
				text += click
			}
		}
		for _, f := range [][2]string{{"affiliate", affiliate}, {"program", program}, {"link", link}} {
			if f[1] != "" {
				text += " " + f[0] + " " + f[1]
			}
		}
		return text
	}
	for _, r := range money {
		add(r[0], func(st *story) string {
			text := r[1] + " " + r[0]
			if r[2] != r[0] {
				text += " of " + r[2]
			}
			text += ": " + r[4] + " " + r[3] + " = " + dollars(r[6]) + " USD, "
			if r[5] != "0" {
				text += "tax " + r[5] + ", net " + dollars(r[7]) + " USD, "
			}
			return text + credit(st, r[8], r[9], r[10], r[11], r[12])
		})
	}
	leads, err := s.ask("SELECT external_id, event_name, mode, match_rule, UUIDNumToString(click_id), affiliate_id, " +
		"program_id, link_id FROM leads FINAL WHERE mode != 'stripe'")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range leads {
		add(r[0], func(st *story) string {
			return fmt.Sprintf("lead %q of %s, %s, %s", r[1], r[0], r[2], credit(st, r[3], r[4], r[5], r[6], r[7]))
		})
	}
	for _, list := range rows {
		slices.Sort(list)
	}
	return rows
}

// dollars renders a Nullable(Decimal) without its trailing zeros.
func dollars(text string) string {
	d, err := decimal.NewFromString(text)
	if err != nil {
		return "no"
	}
	return d.String()
}

// totals of each currency: how many rows, minor units, USD gross and net.
func (s *site) totals(from string) string {
	s.t.Helper()
	rows, err := s.ask("SELECT currency, countIf(kind != 'refund' OR amount != 0), sum(amount), sum(amount_usd), " +
		"sum(net_usd), countIf(amount_usd IS NULL) FROM " + from + " GROUP BY currency ORDER BY currency")
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for _, r := range rows {
		line := fmt.Sprintf("%s rows: %s %s = %s USD, net %s USD", r[1], r[2], r[0], dollars(r[3]), dollars(r[4]))
		if r[5] != "0" {
			line += ", " + r[5] + " without a rate"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
