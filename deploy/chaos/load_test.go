//go:build unix && proof

package chaos

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tributary/deploy/loadgen/traffic"
	"tributary/schemas"
)

// load sends a World at an even rate, and beside it clicks of visitors who never buy, and remembers
// what was accepted.
type load struct {
	site  *site
	story *story

	mu       sync.Mutex
	sent     map[string]bool   // clicks by id, accepted or not
	accepted map[string]bool   // clicks that were answered 200
	events   map[string]string // accepted Stripe events → SHA-256 of the body
	leads    map[string]bool   // external ids of accepted leads

	refused, unanswered, again atomic.Int64 // answers 503; requests without an answer or 408; sent once more after a 200
	unacceptable               atomic.Int64 // answers that are neither 200, 408 nor 503 with Retry-After
}

func newLoad(s *site, story *story) *load {
	return &load{site: s, story: story, sent: map[string]bool{}, accepted: map[string]bool{}, events: map[string]string{},
		leads: map[string]bool{}}
}

// item is one request, and what is remembered of it once it is accepted.
type item struct {
	at   time.Time // by the World's own clock
	send func() bool
}

// items of a World in the order in which they are sent.
func (l *load) items(tb testing.TB, w *traffic.World) []item {
	tb.Helper()
	encode := func(v any) []byte {
		body, err := json.Marshal(v)
		if err != nil {
			tb.Fatal(err)
		}
		return body
	}
	var all []item
	for _, c := range w.Clicks {
		body, id := encode(c), c.ID.String()
		all = append(all, item{c.SendAt, func() bool { return l.click(id, body) }})
	}
	for _, lead := range w.Leads {
		body := encode(lead)
		all = append(all, item{lead.SendAt, func() bool {
			if !l.ok(post(l.site.edgeURL+"/v1/leads", body, "Authorization", "Bearer "+secretKey)) {
				return false
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.leads[lead.ExternalID] = true
			return true
		}})
	}
	for _, d := range w.Deliveries {
		sum := sha256.Sum256(d.Body)
		all = append(all, item{d.SendAt, func() bool {
			if !l.ok(post(l.site.webhookURL, d.Body, "Stripe-Signature", sign(d.Body))) {
				return false
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.events[d.EventID] = hex.EncodeToString(sum[:])
			return true
		}})
	}
	slices.SortStableFunc(all, func(a, b item) int { return a.at.Compare(b.at) })
	return all
}

// ok counts an answer and reports whether it was 200.
func (l *load) ok(status int, retryAfter, said string) bool {
	switch {
	case status == http.StatusOK:
		return true
	case status == 0, status == http.StatusRequestTimeout: // suspended before, or while, the request arrived
		l.unanswered.Add(1)
	case status == http.StatusServiceUnavailable && retryAfter != "":
		l.refused.Add(1)
	default:
		if l.unacceptable.Add(1) <= 3 {
			l.story.fail("answered %d, Retry-After %q: %s", status, retryAfter, said)
		}
	}
	return false
}

func (l *load) click(id string, body []byte) bool {
	l.mu.Lock()
	l.sent[id] = true
	l.mu.Unlock()
	if !l.ok(post(l.site.edgeURL+"/v1/click", body, "Authorization", "Bearer "+secretKey)) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[id] = true
	return true
}

// underWay bounds the requests that wait for an answer or for their next try: in an outage the load
// pauses rather than grow.
const underWay = 256

// play sends the items evenly over a time, each again and again until it is accepted, as a sender
// with a queue does and Stripe for three days. Some are sent once more, as by a sender whom the
// answer did not reach. It returns when all are accepted or stop is closed.
func (l *load) play(items []item, over time.Duration, r *rand.Rand, stop <-chan struct{}) (left int64) {
	every := over / time.Duration(max(1, len(items)))
	slots := make(chan struct{}, underWay)
	var open atomic.Int64
	open.Store(int64(len(items)))
	var sending sync.WaitGroup
	next := time.Now()
	for _, it := range items {
		next = next.Add(every)
		select {
		case <-stop:
		case <-time.After(time.Until(next)):
		}
		select {
		case slots <- struct{}{}:
		case <-stop:
			sending.Wait()
			return open.Load()
		}
		twice := r.IntN(20) == 0
		sending.Go(func() {
			defer func() { <-slots }()
			for pause := 100 * time.Millisecond; !it.send(); pause = min(2*pause, 2*time.Second) {
				select {
				case <-stop:
					return
				case <-time.After(pause):
				}
			}
			open.Add(-1)
			if twice {
				l.again.Add(1)
				it.send()
			}
		})
	}
	sending.Wait()
	return open.Load()
}

// visit sends clicks that are not sent again, as beacons are, until stop is closed.
func (l *load) visit(perSecond int, stop <-chan struct{}) {
	var sending sync.WaitGroup
	defer sending.Wait()
	slots := make(chan struct{}, underWay)
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		select {
		case slots <- struct{}{}:
		case <-stop:
			return
		}
		sending.Go(func() {
			id := schemas.NewClickID(time.Now()).String()
			l.click(id, []byte(`{"url":"https://shop.example/?utm_source=newsletter","click_id":"`+id+`"}`))
			<-slots
		})
	}
}

// sign as Stripe does, now. https://docs.stripe.com/webhooks#verify-manually
func sign(body []byte) string {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
