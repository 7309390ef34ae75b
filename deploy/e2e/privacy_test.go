package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/race"
	"tributary/ingest/geo/geotest"
	"tributary/schemas"
)

// forms are the ways to write an address: as text, its bytes, these in hexadecimal and Base64,
// percent-encoded.
func forms(addr netip.Addr) []string {
	raw := addr.AsSlice()
	list := []string{addr.String(), addr.StringExpanded(), string(raw), hex.EncodeToString(raw),
		strings.ToUpper(hex.EncodeToString(raw)),
		base64.RawStdEncoding.EncodeToString(raw)}
	if addr.Is4() {
		list = append(list, fmt.Sprint(uint32(raw[0])<<24|uint32(raw[1])<<16|uint32(raw[2])<<8|uint32(raw[3])),
			"::ffff:"+addr.String())
	} else {
		list = append(list, strings.ReplaceAll(addr.String(), ":", "%3A"))
	}
	return list
}

// search looks for texts in what is stored anywhere, and returns where each was found.
type search struct {
	texts []string
	found map[string][]string
}

func (s *search) in(place string, content []byte) {
	for _, text := range s.texts {
		if bytes.Contains(content, []byte(text)) {
			s.found[text] = append(s.found[text], place)
		}
	}
}

// TestMarkedAddress sends everything that a visitor can send from two marked addresses, with Kafka
// and, without the race detector, also without it. It searches all topics, all tables, the spool,
// every other file of the run and its log for them, and for a marked password, token and e-mail
// address. A word in the agent is searched for too: it must be found in each, or the search would
// find nothing.
func TestMarkedAddress(t *testing.T) {
	const (
		agent    = "MarkedBrowser/77"
		password = "markedpassword77"
		token    = "markedtoken77"
		person   = "marked.person"
		page     = "https://" + person + ":" + password + "@shop.example/u/" + person +
			"%40mail.example/x?via=ann&reset_token=" +
			token + "&email=" + person + "%40mail.example&q=" + person + "@mail.example#id_token=" + token
	)
	addresses := []netip.Addr{netip.MustParseAddr("203.0.113.177"), netip.MustParseAddr("2001:db8:5a5b:5c5d::4d41:524b")}
	file := filepath.Join(t.TempDir(), "geo.mmdb")
	if err := os.WriteFile(file, geotest.File("City", map[string]geotest.Map{
		"203.0.113.0/24":     {"country": geotest.Map{"iso_code": "DE"}},
		"2001:db8:5a5b::/48": {"country": geotest.Map{"iso_code": "JP"}},
	}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TRIBUTARY_TRUSTED_PROXIES", "127.0.0.0/8")
	t.Setenv("TRIBUTARY_GEO", file)
	s := newSite(t)
	s.start()
	s.waitReady()

	send := func(n int) {
		t.Helper()
		for _, addr := range addresses {
			for _, r := range []struct{ path, body string }{
				{"/v1/click", `{"url":"https://shop.example/?via=ann","visitor_id":"v1"}`},
				{"/v1/click", `{"url":"https://shop.example/","trigger":"pageview"}`},
				{"/v1/click", `{"url":"https://shop.example/?via=ann","consent":"denied"}`},
				{"/v1/clicks", `[{"link_id":"l","click_id":"mine"},{"url":7}]`},
				{"/track/click", `{"domain":"go.example","key":"spring","url":"https://shop.example/"}`},
				{"/v1/click", `{"url":"` + page + `","referrer":"` + page + `"}`},
				{"/v1/click", `{"url":"` + page + `","trigger":"pageview","consent":"denied","referrer":"` + page + `"}`},
				{"/v1/clicks", `[{"url":"` + page + `","event_time":7},{"url":"` + page + `"}]`},
				{"/track/visit", `{"domain":"go.example","url":"` + page + `","referrer":"` + page + `"}`},
				{"/track/lead/client", `{"eventName":"Sign up","customerExternalId":"u2","customerEmail":"` + person +
					`@mail.example"}`},
				{"/v1/click", `{"url":"javascript:alert(1)"}`},
				{"/v1/click", `not JSON`},
				{"/v1/leads", `{"external_id":"u1","event_name":"Sign up"}`},
				{"/nowhere", `{}`},
			} {
				if _, err := post(s.edge()+r.path, []byte(r.body), "Content-Type", "application/json", "User-Agent", agent,
					"X-Forwarded-For", "198.51.100.9, "+addr.String()); err != nil {
					t.Errorf("%d %s: %v", n, r.path, err)
				}
			}
		}
	}
	send(1)
	for _, email := range []string{person + "@mail.example", strings.ToUpper(person) + "@MAIL.example"} {
		lead := `{"external_id":"u3","event_name":"Sign up","email":"` + email + `"}`
		if got, err := post(s.edge()+"/v1/leads", []byte(lead), "Authorization", "Bearer "+secretKey); err != nil ||
			got.status != http.StatusOK {
			t.Fatalf("lead with an e-mail address: %v %v", got, err)
		}
	}
	searched := &search{texts: []string{agent, password, token, person, strings.ToUpper(person)},
		found: make(map[string][]string)}
	for _, addr := range addresses {
		searched.texts = append(searched.texts, forms(addr)...)
	}

	if race.Enabled {
		send(2)
	} else {
		s.sendWithoutKafka(searched, addresses[0], func() { send(2) })
	}
	spooled := len(searched.found[agent])

	s.eventually("SELECT countIf(country = 'DE') >= 8, countIf(country = 'JP') >= 8 FROM clicks FINAL",
		func(rows [][]string) bool {
			return len(rows) == 1 && strings.Join(rows[0], "") == "11"
		})
	s.searchTopics(searched)
	inTopics := len(searched.found[agent]) - spooled
	s.searchTables(searched)
	inTables := len(searched.found[agent]) - spooled - inTopics
	s.searchFiles(searched, "")
	searched.in("log", []byte(s.life.said.String()))

	if !race.Enabled && spooled == 0 || inTopics == 0 || inTables == 0 {
		t.Errorf("the agent was found in %d files of the spool, %d records and %d tables: the search finds nothing", spooled,
			inTopics, inTables)
	}
	for _, text := range searched.texts[1:] {
		if places := searched.found[text]; len(places) > 0 {
			t.Errorf("%q is in %q", text, places)
		}
	}
}

// sendWithoutKafka sends while Kafka is kept down, until the first text is found in the spool, where
// clicks go meanwhile.
func (s *site) sendWithoutKafka(into *search, from netip.Addr, send func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	var killing sync.WaitGroup
	killing.Go(func() { s.keepDown(ctx, "kafka") })
	agent := into.texts[0]
	for deadline := time.Now().Add(limit); len(into.found[agent]) == 0 && time.Now().Before(deadline); {
		got, err := post(s.edge()+"/v1/click", []byte(plainClick), "User-Agent", agent, "X-Forwarded-For", from.String())
		if err != nil || got.status != http.StatusOK {
			continue
		}
		send()
		s.searchFiles(into, "spool")
	}
	cancel()
	killing.Wait()
	s.waitReady()
}

// searchFiles searches the files of the run whose path contains a word.
func (s *site) searchFiles(into *search, word string) {
	s.t.Helper()
	err := filepath.WalkDir(s.data, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // files come and go while the run works
			return nil
		}
		if err != nil || !entry.Type().IsRegular() || !strings.Contains(strings.TrimPrefix(path, s.data), word) {
			return err
		}
		if content, err := os.ReadFile(path); err == nil {
			into.in(path, content)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// searchTopics searches every record of every topic: key, value and headers.
func (s *site) searchTopics(into *search) {
	s.t.Helper()
	var topics []string
	for _, topic := range schemas.Topics {
		topics = append(topics, topic.Name)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(s.kafka()), kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer reader.Close()
	ends, err := kadm.NewClient(reader).ListEndOffsets(s.t.Context(), topics...)
	if err != nil {
		s.t.Fatal(err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset }) // nothing has been deleted
	for left > 0 {
		fetches := reader.PollFetches(s.t.Context())
		if err := fetches.Err0(); err != nil {
			s.t.Fatalf("%d records are left to search: %v", left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			left--
			content := append(append([]byte{}, r.Key...), r.Value...)
			for _, h := range r.Headers {
				content = append(append(content, h.Key...), h.Value...)
			}
			into.in("topic "+r.Topic, content)
		})
	}
}

// searchTables searches every column of every row of every table.
func (s *site) searchTables(into *search) {
	s.t.Helper()
	tables, err := s.ask("SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'")
	if err != nil || len(tables) < 10 {
		s.t.Fatalf("%d tables, %v", len(tables), err)
	}
	var counts []string
	for _, text := range into.texts {
		counts = append(counts, "countIf(position(text, unhex('"+hex.EncodeToString([]byte(text))+"')) > 0)")
	}
	for _, table := range tables {
		rows, err := s.ask("SELECT " + strings.Join(counts, ", ") +
			" FROM (SELECT toString(tuple(*)) AS row, concat(row, hex(row)) AS text FROM `" +
			table[0] + "`)")
		if err != nil || len(rows) != 1 {
			s.t.Fatalf("search %s: %v", table[0], err)
		}
		for i, count := range rows[0] {
			if count != "0" {
				into.found[into.texts[i]] = append(into.found[into.texts[i]], "table "+table[0])
			}
		}
	}
}
