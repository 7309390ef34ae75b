package consume

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// Whatever Kafka refuses, the consumer says why, with what an operator can do, and counts it.
func TestRefused(t *testing.T) {
	t.Parallel()
	may := func(resource kmsg.ACLResourceType) kfake.ACL {
		return kfake.ACL{Resource: resource, Name: "*", Pattern: kmsg.ACLResourcePatternTypeLiteral,
			Operation: kmsg.ACLOperationAll, Allow: true}
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "sales"), kfake.EnableSASL(),
		kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "good"),
		kfake.User("PLAIN", "no-topics", "good", may(kmsg.ACLResourceTypeGroup)),
		kfake.User("PLAIN", "no-groups", "good", may(kmsg.ACLResourceTypeTopic)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	// kfake would close the connection of who is not let in, where a broker says why.
	cluster.ControlKey(kmsg.SASLAuthenticate.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if !strings.HasSuffix(string(request.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes), "bad") {
			return nil, nil, false
		}
		answer := request.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		answer.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return answer, nil, true
	})
	for _, c := range []struct{ user, password, topic, reason, hint string }{
		{"admin", "bad", "sales", "authentication", "--kafka-password-file"},
		{"no-topics", "good", "sales", "authorization", "deploy/README.md lists"},
		{"no-groups", "good", "sales", "authorization", "deploy/README.md lists"},
		{"admin", "good", "none", "topic", "processor topics creates it"},
	} {
		t.Run(c.user+" "+c.password+" "+c.topic, func(t *testing.T) {
			t.Parallel()
			metrics := NewMetrics(prometheus.NewRegistry())
			consumer := &Consumer{
				Name: "reader", Group: c.user + c.password, Topics: []string{c.topic}, Seeds: cluster.ListenAddrs(),
				MaxRecords: 1, Deadline: time.Second, Log: slog.New(slog.DiscardHandler), Metrics: metrics,
				Options: []kgo.Opt{kgo.SASL(plain.Auth{User: c.user, Pass: c.password}.AsMechanism())},
				Handle:  func(context.Context, []*kgo.Record, DeadLetter) error { return nil },
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			ended := make(chan error, 2)
			go func() { ended <- consumer.Run(ctx) }()
			go func() { ended <- consumer.Watch(ctx) }()
			for {
				if err := consumer.Refused(); err != nil && strings.Contains(err.Error(), c.hint) {
					break
				}
				if ctx.Err() != nil {
					t.Fatalf("Refused says %v, want the hint %q", consumer.Refused(), c.hint)
				}
				time.Sleep(10 * time.Millisecond)
			}
			cancel()
			for range 2 {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			if n := testutil.ToFloat64(metrics.refusals.WithLabelValues("reader", c.reason)); n < 1 {
				t.Errorf("counted as %s: %v", c.reason, n)
			}
		})
	}
}

// Two askers and several partitions tell of one outage in different words: the log has one line.
func TestOneOutageIsLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	c := &Consumer{Name: "reader", Log: slog.New(slog.NewTextHandler(&out, nil))}
	for range 10 {
		c.refuse(errors.New("ask kafka: connection refused"))
		c.refuse(errors.New("unable to join group session: connection refused"))
	}
	c.refuse(kerr.GroupAuthorizationFailed)
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines of two causes:\n%s", n, out.String())
	}
}
