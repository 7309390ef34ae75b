//go:build proof

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tributary/deploy/loadgen/traffic"
	"tributary/schemas"
)

// The whole run is killed by kill -9 again and again while a business goes on. In the end every
// click that was answered 200 is there, every sum is right to the cent, and nothing was booked
// twice.
func TestKillEverything(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 3
	}
	if text := os.Getenv("E2E_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("read E2E_KILLS: %v", err)
		}
		kills = n
	}
	seed := uint64(1)
	if text := os.Getenv("E2E_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("read E2E_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("E2E_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	world := traffic.New(seed, traffic.Options{
		Start: time.Now().Add(-48 * time.Hour).Truncate(time.Hour), Span: 40 * time.Hour, Clicks: 1200, Buyers: .15,
		Tempo: traffic.Tempo{Decide: 10 * time.Minute, Renew: 8 * time.Hour, Refund: 4 * time.Hour},
	})
	t.Logf("%d clicks, %d leads, %d deliveries, %d movements", len(world.Clicks), len(world.Leads), len(world.Deliveries),
		len(world.Movements))

	s := newSite(t)
	s.start()

	var (
		mu       sync.Mutex
		kept     = make(map[string]bool) // clicks that were answered 200
		senders  sync.WaitGroup          // of the world
		extras   sync.WaitGroup          // of clicks that are sent but once
		finished = make(chan struct{})   // closed when the killing is over
	)
	sendClick := func(id string, body []byte) bool {
		got, err := s.click(body)
		if err != nil || got.status != http.StatusOK {
			return false
		}
		mu.Lock()
		kept[id] = true
		mu.Unlock()
		return true
	}
	// The world is spread over the time that the killing takes, by guess; what is left is sent
	// after it.
	pause := func(things int) time.Duration {
		return time.Duration(kills) * 4 * time.Second / time.Duration(max(1, things))
	}
	again := func(accepted func() bool) {
		for deadline := time.Now().Add(5 * time.Minute); !accepted() && time.Now().Before(deadline); {
			time.Sleep(50 * time.Millisecond)
		}
	}
	spread := func(d time.Duration) {
		select {
		case <-finished:
		case <-time.After(d):
		}
	}
	senders.Go(func() {
		for _, c := range world.Clicks {
			body, err := json.Marshal(c)
			if err != nil {
				t.Error(err)
				return
			}
			again(func() bool { return sendClick(c.ID.String(), body) })
			spread(pause(len(world.Clicks)))
		}
	})
	senders.Go(func() {
		for _, lead := range world.Leads {
			body, err := json.Marshal(lead)
			if err != nil {
				t.Error(err)
				return
			}
			again(func() bool {
				got, err := post(s.edge()+"/v1/leads", body, "Content-Type", "application/json", "Authorization",
					"Bearer "+secretKey)
				return err == nil && got.status == http.StatusOK
			})
			spread(pause(len(world.Leads)))
		}
	})
	const webhooks = 4
	for w := range webhooks {
		senders.Go(func() {
			for i := w; i < len(world.Deliveries); i += webhooks {
				again(func() bool {
					got, err := s.deliver(world.Deliveries[i].Body)
					return err == nil && got.status == http.StatusOK
				})
				spread(webhooks * pause(len(world.Deliveries)))
			}
		})
	}
	extras.Go(func() {
		for {
			select {
			case <-finished:
				return
			case <-time.After(5 * time.Millisecond):
			}
			id := schemas.NewClickID(time.Now()).String()
			sendClick(id, []byte(`{"url":"https://shop.example/","click_id":"`+id+`"}`))
		}
	})

	for range kills {
		if random.IntN(4) > 0 { // most die at work, some at their start
			s.waitReady()
		}
		time.Sleep(time.Duration(random.Int64N(int64(2500 * time.Millisecond))))
		s.kill()
		s.start()
	}
	close(finished)
	s.waitReady()
	extras.Wait()
	senders.Wait()
	if t.Failed() {
		return
	}

	truth := traffic.Totals(world.Movements)
	// Late lookups settle by the recomputer's sweeps; a sum that does not move any more and is
	// wrong stays wrong.
	s.t.Logf("%d clicks were accepted; waiting for %v", len(kept), truth)
	s.hasClicks(kept)
	var last map[string]int64
	for deadline := time.Now().Add(limit); ; time.Sleep(500 * time.Millisecond) {
		rows, err := s.ask("SELECT currency, sum(amount) FROM ledger_current GROUP BY currency HAVING count() > 0")
		if err == nil {
			last = make(map[string]int64)
			for _, row := range rows {
				if last[row[0]], err = strconv.ParseInt(row[1], 10, 64); err != nil {
					t.Fatal(err)
				}
			}
			if maps.Equal(last, truth) {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Errorf("sums are %v, want %v; %v\n%s", last, truth, err, s.difference(world.Movements))
			break
		}
	}
	doubled, err := s.ask("SELECT hex(entry_id), count() FROM ledger_current GROUP BY entry_id HAVING count() > 1 LIMIT 5")
	if err != nil || len(doubled) > 0 {
		t.Errorf("entries booked twice: %v, %v", doubled, err)
	}
	narrow, err := s.ask("SELECT (SELECT sum(amount) FROM revenue FINAL WHERE status = 'booked') = (SELECT sum(amount) " +
		"FROM ledger_current)")
	if err != nil || len(narrow) != 1 || narrow[0][0] != "1" {
		t.Errorf("revenue and ledger disagree: %v, %v", narrow, err)
	}
}

// difference returns, object by object, what is booked and should not be, and what should be and is
// not.
func (s *site) difference(movements []traffic.Movement) string {
	rows, err := s.ask("SELECT sale_id, currency, sum(amount) FROM ledger_current GROUP BY sale_id, currency")
	if err != nil {
		return err.Error()
	}
	canonical := make(map[string]string) // every name of a sale → the name that movements use
	want := make(map[string]int64)
	for _, m := range movements {
		canonical[m.Sale] = m.Sale
		if m.Kind == traffic.Payment {
			for _, alias := range m.Aliases {
				canonical[alias] = m.Sale
			}
		}
		want[m.Sale+" "+m.Currency] += m.Amount
	}
	booked := make(map[string]int64)
	for _, row := range rows {
		amount, err := strconv.ParseInt(row[2], 10, 64)
		if err != nil {
			return err.Error()
		}
		sale := row[0]
		if c, ok := canonical[sale]; ok {
			sale = c
		}
		booked[sale+" "+row[1]] += amount
	}
	var b strings.Builder
	for key, amount := range want {
		if booked[key] != amount {
			fmt.Fprintf(&b, "%s: booked %d, want %d\n", key, booked[key], amount)
		}
	}
	for key, amount := range booked {
		if _, ok := want[key]; !ok && amount != 0 {
			fmt.Fprintf(&b, "%s: booked %d, want nothing\n", key, amount)
		}
	}
	return b.String()
}
