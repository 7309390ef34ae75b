package schemas

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What goes wrong between a program and a broker with TLS has a hint that names the cause.
func TestKafkaHints(t *testing.T) {
	pair, certFile, keyFile := certificate(t)
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	secured, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(secured.Close)
	good := Kafka{Seeds: secured.ListenAddrs(), CA: certFile, ClientCert: certFile, ClientKey: keyFile}
	for name, c := range map[string]struct {
		reason, hint string
		change       func(*Kafka)
		at           time.Duration // from now
	}{
		"another name":      {"tls", "--kafka-server-name", func(k *Kafka) { k.ServerName = "elsewhere.example" }, 0},
		"another authority": {"tls", "--kafka-ca", func(k *Kafka) { k.CA = "" }, 0},
		"expired":           {"tls", "renew it", func(*Kafka) {}, 100 * 365 * 24 * time.Hour},
		"a port with TLS":   {"connection", "--kafka-tls", func(k *Kafka) { *k = Kafka{Seeds: k.Seeds} }, 0},
		"nobody there":      {"connection", "--kafka-seeds", func(k *Kafka) { k.Seeds = []string{"127.0.0.1:1"} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			k := good
			c.change(&k)
			connection, err := k.Connection("test")
			if err != nil {
				t.Fatal(err)
			}
			if connection.TLS != nil {
				connection.TLS.Time = func() time.Time { return time.Now().Add(c.at) }
			}
			client, err := kgo.NewClient(append(connection.Options(), kgo.RequestRetries(0))...)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err = client.Ping(ctx)
			if err == nil {
				t.Fatal("the broker answers")
			}
			if reason := KafkaReason(err); reason != c.reason || !strings.Contains(WithKafkaHint(err).Error(), c.hint) {
				t.Errorf("%s: %v, want %s and the hint %s", reason, WithKafkaHint(err), c.reason, c.hint)
			}
		})
	}
	if err := WithKafkaHint(kerr.NotLeaderForPartition); KafkaReason(err) != "broker" ||
		strings.Contains(err.Error(), "--kafka-seeds") {
		t.Error(err)
	}
	// Without a certificate the connection may as well end before the alert is read.
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}
	if !strings.Contains(WithKafkaHint(alert).Error(), "--kafka-client-cert") {
		t.Error(WithKafkaHint(alert))
	}
}
