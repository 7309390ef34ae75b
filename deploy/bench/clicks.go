package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// agents are some of the most common User-Agent headers.
var agents = func() []string {
	const webKit = " AppleWebKit/537.36 (KHTML, like Gecko) "
	var list []string
	for v := 120; v < 145; v++ {
		list = append(list,
			fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64)"+webKit+"Chrome/%d.0.0.0 Safari/537.36", v),
			fmt.Sprintf("Mozilla/5.0 (Linux; Android 10; K)"+webKit+"Chrome/%d.0.0.0 Mobile Safari/537.36", v),
			fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%d.0", v, v),
			fmt.Sprintf("Mozilla/5.0 (iPhone; CPU iPhone OS 18_%d like Mac OS X) AppleWebKit/605.1.15 (KHTML, "+
				"like Gecko) Version/18.%d Mobile/15E148 Safari/604.1", v%7, v%7))
	}
	return list
}()

// waitingClick is one of the clicks that wait, of so many visitors: most of few affiliates and
// links, as they are in life.
func waitingClick(rng *rand.Rand, at time.Time, visitors int) *schemas.Click {
	popular := func(n int) int { return int(float64(n) * rng.Float64() * rng.Float64() * rng.Float64()) }
	affiliate, page := popular(1000), popular(5000)
	id := schemas.NewClickID(at)
	visitor := uint64(rng.IntN(visitors)+1) * 0x9e3779b97f4a7c15 // looks random, and is the same for the same visitor
	hash := binary.BigEndian.AppendUint64(nil, bits.RotateLeft64(visitor*0xbf58476d1ce4e5b9, 32))
	c := &schemas.Click{
		Workspace: "default", ClickId: id[:], ClickedAt: at.UnixMilli(), ReceivedAt: at.UnixMilli() + rng.Int64N(200),
		ProgramId: "main", AffiliateId: fmt.Sprintf("aff_%d", affiliate),
		LinkId:    fmt.Sprintf("lnk_%d", affiliate*10+popular(10)),
		VisitorId: fmt.Sprintf("%016x", visitor), IdentityHash: hash,
		Url: fmt.Sprintf("https://shop.example.com/products/%d?utm_source=newsletter&utm_medium=email&utm_campaign=spring-%d",
			page, popular(40)),
		UserAgent: agents[popular(len(agents))], Country: []string{"US", "DE", "GB", "FR", "IN", "BR", "JP"}[popular(7)],
		Trigger: "link", Consent: "granted",
	}
	if rng.IntN(3) == 0 {
		c.Referrer = fmt.Sprintf("https://blog-%d.example.org/posts/%d", popular(300), page)
	}
	return c
}

// jsonClick is the same as somebody would send it to ClickHouse.
func jsonClick(c *schemas.Click) ([]byte, error) {
	const form = "2006-01-02 15:04:05.000"
	return json.Marshal(map[string]any{
		"workspace": c.Workspace, "click_id": schemas.ClickID(c.ClickId).String(),
		"clicked_at":  time.UnixMilli(c.ClickedAt).UTC().Format(form),
		"received_at": time.UnixMilli(c.ReceivedAt).UTC().Format(form),
		"program_id":  c.ProgramId, "affiliate_id": c.AffiliateId, "link_id": c.LinkId, "visitor_id": c.VisitorId,
		"identity_hash": hex.EncodeToString(c.IdentityHash), "url": c.Url, "referrer": c.Referrer, "user_agent": c.UserAgent,
		"country": c.Country, "region": c.Region, "city": c.City, "trigger": c.Trigger, "consent": c.Consent,
	})
}

// fillTopics writes the clicks into the processor's topic and, as JSON, into the Kafka engine's.
func fillTopics(ctx context.Context, seed string, clicks int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(seed), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(50*time.Millisecond), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		return err
	}
	defer client.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	begin := time.Now().Add(-time.Duration(clicks) * 100 * time.Microsecond)
	failed := make(chan error, 1)
	produce := func(r *kgo.Record) {
		client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	for n := range clicks {
		c := waitingClick(rng, begin.Add(time.Duration(n)*100*time.Microsecond), clicks/2)
		r, err := schemas.ClickRecord(c, nil)
		if err != nil {
			return err
		}
		produce(r)
		text, err := jsonClick(c)
		if err != nil {
			return err
		}
		produce(&kgo.Record{Topic: jsonTopic, Key: c.ClickId, Value: text})
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
