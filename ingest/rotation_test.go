package main

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-go/v76/webhook"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"tributary/schemas"
)

// The secret of an endpoint is rolled while events arrive: with both in the file both sign, and the
// old one, once it is taken out, signs nothing.
func TestRollSigningSecret(t *testing.T) {
	_, seed := kafka(t, schemas.TopicStripe)
	path := filepath.Join(t.TempDir(), "secrets")
	const before, after = "whsec_old_0123456789", "whsec_new_0123456789"
	write(t, path, before+"\n")
	r := start(t, "stripe", "--stripe-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--kafka-seeds", seed,
		"--stripe-webhook-secrets-file", path)
	answer := func(secret string) int {
		t.Helper()
		const body = `{"id":"evt_1","object":"event","type":"invoice.paid","livemode":false,"data":{"object":{"id":"in_1"}}}`
		signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: secret})
		req, _ := http.NewRequestWithContext(t.Context(), "POST", r.public+"/stripe/webhook", strings.NewReader(body))
		req.Header.Set("Stripe-Signature", signed.Header)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if a, b := answer(before), answer(after); a != 200 || b != 400 {
		t.Fatalf("before: %d and %d", a, b)
	}
	write(t, path, before+"\n"+after+"\n")
	eventually(t, "the new secret signs", func() bool { return answer(after) == 200 })
	if a := answer(before); a != 200 {
		t.Errorf("with both in the file the old one is answered %d", a)
	}
	write(t, path, after+"\n")
	eventually(t, "the old secret does not sign", func() bool { return answer(before) == 400 })
	if a := answer(after); a != 200 {
		t.Errorf("alone in the file the new one is answered %d", a)
	}
	r.end()
}

// cut closes all connections that brokers have accepted.
type cut struct {
	mu    sync.Mutex
	conns []net.Conn
}

type cutListener struct {
	net.Listener
	cut *cut
}

func (l cutListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.cut.mu.Lock()
		l.cut.conns = append(l.cut.conns, conn)
		l.cut.mu.Unlock()
	}
	return conn, err
}

func (c *cut) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address) //nolint:noctx // as kfake would
	return cutListener{l, c}, err
}

func (c *cut) all() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// The password of Kafka's user is changed, and later its file. In between Kafka refuses the edge,
// whose connections end; then it goes on without a restart, and nobody has got an error: the click
// that came meanwhile has waited.
func TestRollKafkaPassword(t *testing.T) {
	var connections cut
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, schemas.TopicClicks, schemas.TopicLeads,
		schemas.TopicStripe), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "edge", "old"),
		kfake.Superuser("SCRAM-SHA-512", "admin", "sesame"), kfake.ListenFn(connections.listen))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	seed, path := cluster.ListenAddrs()[0], filepath.Join(t.TempDir(), "password")
	write(t, path, "old\n")
	r := start(t, "clicks", "--edge-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--kafka-seeds", seed,
		"--kafka-sasl", "scram-sha-512", "--kafka-user", "edge", "--kafka-password-file", path,
		"--secret-key", "sk_0123456789abcdef")
	if code := r.lead("sk_0123456789abcdef"); code != 200 {
		t.Fatalf("before: %d\n%s", code, r.log)
	}
	admin, err := kgo.NewClient(kgo.SeedBrokers(seed),
		kgo.SASL(scram.Auth{User: "admin", Pass: "sesame"}.AsSha512Mechanism()))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if done, err := kadm.NewClient(admin).AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{
		User: "edge", Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "new"}}); err != nil || !done.Ok() {
		t.Fatal(err, done.Error())
	}
	connections.all()
	answered := make(chan int, 1)
	go func() { answered <- r.lead("sk_0123456789abcdef") }()
	r.readyz(503, "--kafka-sasl")
	write(t, path, "new\n")
	if code := <-answered; code != 200 {
		t.Errorf("meanwhile: %d\n%s", code, r.log)
	}
	r.readyz(200, "ready\n")
	if code := r.lead("sk_0123456789abcdef"); code != 200 {
		t.Errorf("after: %d\n%s", code, r.log)
	}
	r.end()
}
