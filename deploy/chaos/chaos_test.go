//go:build unix && proof

package chaos

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"tributary/deploy/loadgen/traffic"
	"tributary/schemas"
)

// Requests a second, of the World's clicks, leads and events together, and of clicks beside it. Two
// cores carry three brokers, five programs, the engine and the faults.
const (
	worldRate = 30
	visitRate = 20
	perClick  = 2.8 // requests of a World for each of its clicks
)

// afterwards is more than two sweeps.
const afterwards = 12 * time.Second

// within is how long everything may take to come to rest when the faults have ended.
const within = 3 * time.Minute

// atLeast is how many kills a run needs to count: 0 unless the environment says otherwise.
func atLeast(t *testing.T) int {
	t.Helper()
	text := os.Getenv("TRIBUTARY_CHAOS_KILLS")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("TRIBUTARY_CHAOS_KILLS is %q: give a number of kills", text)
	}
	return n
}

func minutes(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("TRIBUTARY_CHAOS_MINUTES")
	if text == "" {
		text = "2"
	}
	m, err := strconv.ParseFloat(text, 64)
	if err != nil || m <= 0 {
		t.Fatalf("TRIBUTARY_CHAOS_MINUTES is %q: give a number of minutes", text)
	}
	return time.Duration(m * float64(time.Minute))
}

func seed(t *testing.T) uint64 {
	text := os.Getenv("TRIBUTARY_CHAOS_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("TRIBUTARY_CHAOS_SEED is %q: give a number", text)
	}
	return n
}

// business is the World that is sent. Its time is past: two days and a half are sent in some
// minutes.
func business(seed uint64, clicks int) *traffic.World {
	o := traffic.Options{
		Start: time.Now().Add(-72 * time.Hour).Truncate(time.Hour), Span: 60 * time.Hour, Clicks: clicks, Buyers: .15,
		LateClicks: .2, Disorder: .3, Duplicates: .1,
		Currencies: traffic.Currencies, Tempo: traffic.Tempo{Decide: 10 * time.Minute, Renew: 8 * time.Hour,
			Refund: 4 * time.Hour},
	}
	if seed%2 == 0 {
		o.Scenarios = []traffic.Scenario{
			traffic.OneTime, traffic.Guest, traffic.WithInvoice, traffic.Subscription, traffic.Trial, traffic.Elements,
			traffic.Async, traffic.OffStripe,
			traffic.Abandoned, traffic.Voided,
		}
	}
	return traffic.New(seed, o)
}

// Everything dies, again and again, and in the end nothing is missing, nothing is there twice, and
// every cent is where it belongs.
func TestChaos(t *testing.T) {
	lasts, seed, least := minutes(t), seed(t), atLeast(t)
	dir, err := os.MkdirTemp("", "tributary-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() || os.Getenv("TRIBUTARY_CHAOS_KEEP") == "1" {
			t.Logf("logs and data are kept in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	story := newStory(t, dir)
	// Reading again heals what a crash lost; half of the runs must do without it.
	rewind := time.Duration(0)
	if seed/2%2 == 0 {
		rewind = 15 * time.Minute
	}
	w := business(seed, int(lasts.Seconds()*worldRate/perClick))
	t.Logf("TRIBUTARY_CHAOS_SEED=%d, %s of faults, rewind %s: %d clicks, %d leads, %d deliveries, %d movements",
		seed, lasts, rewind, len(w.Clicks), len(w.Leads), len(w.Deliveries), len(w.Movements))

	s := newSite(t, dir, rewind, story)
	l := newLoad(s, story)
	items := l.items(t, w)
	story.note("everything is ready")

	progress := &watch{site: s, story: story}
	c := &chaos{site: s, story: story, watch: progress, held: make(map[string]bool)}
	watching, stopWatching := context.WithCancel(t.Context())
	var beside, sending sync.WaitGroup
	beside.Go(func() { progress.run(watching) })
	var (
		left    int64
		calm    = make(chan struct{}) // closed when the faults are over
		giveUp  = make(chan struct{})
		starts  = time.Now()
		draw    = func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
		visited = make(chan struct{})
	)
	sending.Go(func() { left = l.play(items, lasts, draw(2), giveUp) })
	go func() {
		l.visit(visitRate, calm)
		close(visited)
	}()
	c.alone(t.Context(), draw(3), starts.Add(min(lasts/4, 2*time.Minute)))
	c.run(t.Context(), draw(1), starts.Add(lasts))
	close(calm)
	<-visited
	story.note("the faults are over")

	// Everything runs now. What was refused is still being sent again.
	ready, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for _, p := range []*program{s.engine, s.edge, s.webhook, s.processors[0], s.processors[1]} {
		if err := p.waitReady(ready); err != nil {
			t.Error(err)
		}
	}
	giving := time.AfterFunc(within, func() { close(giveUp) })
	sending.Wait()
	giving.Stop()
	if left > 0 {
		t.Errorf("%d requests were not accepted within %s after the faults", left, within)
	}
	story.note("everything is accepted")

	var v *verdict
	calmed := time.Now()
	for deadline := calmed.Add(within); ; time.Sleep(time.Second) {
		judged, err := l.judge(w)
		if err == nil {
			v = judged
		}
		if err == nil && len(v.wrong) == 0 {
			break
		}
		if time.Now().After(deadline) {
			if err != nil {
				t.Error(err)
			}
			break
		}
	}
	rest := time.Since(calmed)
	if v != nil && len(v.wrong) == 0 {
		// What is right must stay so, whatever is still read again, swept and settled.
		time.Sleep(afterwards)
		again, err := l.judge(w)
		if err != nil {
			t.Error(err)
		} else if v = again; len(v.wrong) > 0 {
			t.Errorf("everything was right, and is not %s later", afterwards)
		}
	}
	stopWatching()
	beside.Wait()
	if v == nil {
		t.Fatalf("nothing could be compared\n%s", story.schedule())
	}
	if n, err := countDeadLetters(t.Context(), s); err != nil || n != 0 {
		t.Errorf("%d records in %s, %v", n, schemas.TopicDeadLetters, err)
	}

	audit, err := s.audit(t.Context())
	if err != nil {
		t.Errorf("audit: %v\n%s", err, audit)
	}
	kills, byTarget := story.toll()
	if kills < least {
		t.Errorf("%d kills are fewer than TRIBUTARY_CHAOS_KILLS, %d (hint: more TRIBUTARY_CHAOS_MINUTES)", kills, least)
	}
	t.Logf("seed %d, %s, rewind %s\n"+
		"kills: %d (%s)\n"+
		"clicks: %d accepted, %d stored, %d sent; events: %d accepted; leads: %d accepted; %d requests sent again after 200\n"+
		"answers: %d times 503, %d times none or 408\n"+
		"movements: %d true, %d booked; lost %d, doubled %d; at rest %s after the last was accepted\n%s\naudit: %s",
		seed, round(time.Since(starts)), rewind, kills, byTarget,
		len(l.accepted), v.clicks, len(l.sent), len(l.events), len(l.leads), l.again.Load(),
		l.refused.Load(), l.unanswered.Load(),
		len(w.Movements), v.entries, v.lost, v.doubled, round(rest), progress.summary(), audit)
	for i, wrong := range v.wrong {
		if i == 20 {
			t.Errorf("and %d more", len(v.wrong)-i)
			break
		}
		t.Error(wrong)
	}
	for _, fault := range story.failures() {
		t.Error(fault)
	}
	if t.Failed() {
		t.Logf("what happened:\n%s", story.schedule())
	}
}

// countDeadLetters counts what lies in the topic of dead letters.
func countDeadLetters(ctx context.Context, s *site) (n int64, err error) {
	ends, err := s.cluster.Admin().ListEndOffsets(ctx, schemas.TopicDeadLetters)
	if err != nil {
		return 0, err
	}
	for _, end := range ends[schemas.TopicDeadLetters] {
		n += end.Offset
	}
	return n, ends.Error()
}
