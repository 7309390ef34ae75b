package stripe

import (
	"fmt"
	"strings"
	"testing"

	"tributary/schemas"
)

// BenchmarkReadList reads a charge with more and more refunds. The time of one of them, ns/refund,
// must not grow with their number.
func BenchmarkReadList(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 4000} {
		refunds := make([]string, n)
		for i := range refunds {
			refunds[i] = fmt.Sprintf(`{"id":"re_%08d","object":"refund","amount":1,"currency":"usd",`+
				`"created":1700000000,"charge":"ch_1","status":"succeeded"}`, i)
		}
		event := &schemas.StripeEvent{Body: fmt.Appendf(nil, `{"id":"evt_1","object":"event","type":"charge.refunded",`+
			`"created":1700000000,"data":{"object":{"id":"ch_1","object":"charge","amount":100000,"amount_refunded":%d,`+
			`"amount_captured":100000,"captured":true,"paid":true,"status":"succeeded","currency":"usd",`+
			`"created":1700000000,"refunds":{"data":[%s]}}}}`, n, strings.Join(refunds, ","))}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if facts, err := Read(event); err != nil || len(facts.Money) < n {
					b.Fatalf("%d facts, %v", len(facts.Money), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/refund")
		})
	}
}
