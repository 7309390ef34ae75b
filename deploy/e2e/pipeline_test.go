package e2e

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

const plainClick = `{"url":"https://shop.example/?utm_source=newsletter&utm_campaign=spring"}`

// A click, the checkout that names it, and a row of revenue that says so. Ctrl-C then stops
// everything in order and well, and the next start finds what the last one left.
func TestClickToRevenue(t *testing.T) {
	s := newSite(t)
	s.start()
	t.Logf("ready after %s", s.waitReady().Round(time.Millisecond))
	id := accepted(t, s.insist(func() (answer, error) { return s.click([]byte(plainClick)) }))
	s.insist(func() (answer, error) { return s.deliver(checkout(1, id, 4900)) })
	const revenue = "SELECT currency, amount, match_rule, toString(UUIDNumToString(click_id)), utm_campaign FROM " +
		"revenue FINAL WHERE status = 'booked' AND amount = 4900"
	booked := func(rows [][]string) bool {
		return len(rows) == 1 && strings.Join(rows[0], " ") == "usd 4900 click_id "+id+" spring"
	}
	s.eventually(revenue, booked)
	if status, _ := get(s.dashboard() + "/"); status != http.StatusOK {
		t.Errorf("the dashboard answers %d", status)
	}
	s.takesBadInput(t)

	began := time.Now()
	if err := s.life.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.life.ended:
		if s.life.err != nil {
			t.Errorf("the run ended with %v after Ctrl-C, want exit status 0", s.life.err)
		}
		t.Logf("stopped in %s", time.Since(began).Round(time.Millisecond))
	case <-time.After(limit):
		t.Fatalf("the run goes on %s after Ctrl-C", limit)
	}
	said, at := s.life.said.String(), 0
	for _, name := range []string{"edge", "webhook", "processor", "dashboard", "clickhouse", "kafka"} {
		i := strings.Index(said[at:], "stopped "+name+" in ")
		if i < 0 {
			t.Errorf("%s was not stopped in its turn:\n%s", name, said)
			break
		}
		at += i
	}

	s.start()
	t.Logf("ready again after %s", s.waitReady().Round(time.Millisecond))
	s.eventually(revenue, booked)
}

// What cannot be read is answered clearly or set aside with its origin, and the next record goes
// on.
func (s *site) takesBadInput(t *testing.T) {
	t.Helper()
	json := []string{"Content-Type", "application/json"}
	for _, c := range []struct {
		name   string
		url    string
		body   []byte
		header []string
		status int
	}{
		{"a malformed click", s.edge() + "/v1/click", []byte(`{"url":`), json, http.StatusBadRequest},
		{"a click of nothing", s.edge() + "/v1/click", []byte(`{}`), json, http.StatusBadRequest},
		{"a click of 10 MB", s.edge() + "/v1/click", bytes.Repeat([]byte("x"), 10<<20), json,
			http.StatusRequestEntityTooLarge},
		{"an event without a signature", s.webhook(), checkout(1, "", 1), json, http.StatusBadRequest},
		{"an event with a wrong signature", s.webhook(), checkout(1, "", 1), append(json, "Stripe-Signature",
			sign(checkout(1, "", 1), "whsec_other")), http.StatusBadRequest},
		{"a malformed event", s.webhook(), []byte("{"), append(json, "Stripe-Signature", sign([]byte("{"), webhookSecret)),
			http.StatusBadRequest},
		{"an event of 10 MB", s.webhook(), bytes.Repeat([]byte("x"), 10<<20), json, http.StatusRequestEntityTooLarge},
	} {
		got, err := post(c.url, c.body, c.header...)
		// A server that refuses a large body may close before all of it was sent.
		if err != nil && c.status == http.StatusRequestEntityTooLarge && len(c.body) > 1<<20 {
			t.Logf("%s: %v", c.name, err)
			continue
		}
		if err != nil || got.status != c.status {
			t.Errorf("%s is answered %d %s %v, want %d", c.name, got.status, got.body, err, c.status)
		}
		if got.status >= 400 && (!strings.Contains(got.body, `"message"`) || !strings.Contains(got.body, `"code"`)) {
			t.Errorf("%s is answered %s, which does not say what is wrong", c.name, got.body)
		}
	}

	s.insist(func() (answer, error) { return s.deliver([]byte(unknownEvent)) })

	producer, err := kgo.NewClient(kgo.SeedBrokers(s.kafka()))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	for _, topic := range []string{schemas.TopicClicks, schemas.TopicStripe} {
		record := &kgo.Record{Topic: topic, Key: []byte("nobody"), Value: []byte("\xff\xff this is no record \x00")}
		if err := producer.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	id := accepted(t, s.insist(func() (answer, error) { return s.click([]byte(plainClick)) }))
	s.insist(func() (answer, error) { return s.deliver(checkout(2, id, 700)) })

	s.eventually("SELECT match_rule, amount FROM ledger_current WHERE amount = 700",
		func(rows [][]string) bool { return len(rows) == 1 && strings.Join(rows[0], " ") == "click_id 700" })
	letters := s.eventually("SELECT topic, reason != '', step != '', partition >= 0, offset >= 0, error != '', body != "+
		"'' FROM dead_letters "+
		"FINAL ORDER BY topic",
		func(rows [][]string) bool { return len(rows) >= 2 })
	for i, topic := range []string{schemas.TopicClicks, schemas.TopicStripe} {
		if len(letters) != 2 || letters[i][0] != topic || strings.Join(letters[i][1:], "") != "111111" {
			t.Errorf("dead letters are %v, want one of %s with reason, step, origin, error and body", letters, topic)
		}
	}
	s.eventually("SELECT count() FROM stripe_events FINAL WHERE event_id = 'evt_unknown'",
		func(rows [][]string) bool { return len(rows) == 1 && rows[0][0] == "1" })
	// The page can say that nothing waits in Kafka.
	s.eventually("SELECT count() > 1, sum(number) FROM pipeline_status FINAL WHERE what = 'lag'",
		func(rows [][]string) bool { return len(rows) == 1 && strings.Join(rows[0], " ") == "1 0" })
}

const unknownEvent = `{"id":"evt_unknown","object":"event","api_version":"2025-09-30.clover","created":1767225600,"livemode":true,"type":"terminal.reader.sang","data":{"object":{"id":"tmr_1","object":"terminal.reader"}}}`
