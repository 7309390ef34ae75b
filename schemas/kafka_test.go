package schemas

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestKafkaFaults(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	seeds := []string{"127.0.0.1:9092"}
	tests := []struct {
		name, want string
		flags      Kafka
	}{
		{"no seeds", "none given", Kafka{}},
		{"several", `"kafka"|":9092"|"h:x"|kafka ca|mechanism`, Kafka{Seeds: []string{"kafka", ":9092", "h:x"},
			CA: "/does/not/exist", User: "u"}},
		{"no certificate", "holds no certificate", Kafka{Seeds: seeds, CA: empty}},
		{"certificate without key", "belong together", Kafka{Seeds: seeds, ClientCert: empty}},
		{"no pair", "one pair", Kafka{Seeds: seeds, ClientCert: empty, ClientKey: empty}},
		{"name without TLS", "there is no TLS", Kafka{Seeds: seeds, ServerName: "kafka"}},
		{"unknown mechanism", `"gssapi" is not known`, Kafka{Seeds: seeds, SASL: "gssapi"}},
		{"no password", "needs a user and a password", Kafka{Seeds: seeds, SASL: "plain", User: "u"}},
		{"no user", "needs a user and a password", Kafka{Seeds: seeds, SASL: "scram-sha-256", Password: "p"}},
		{"no token", "needs a token", Kafka{Seeds: seeds, SASL: "oauthbearer"}},
		{"password without mechanism", "without a mechanism", Kafka{Seeds: seeds, SASL: "none", PasswordFile: empty}},
		{"password twice", "given twice", Kafka{Seeds: seeds, SASL: "plain", User: "u", Password: "p", PasswordFile: empty}},
		{"empty password file", "is empty", Kafka{Seeds: seeds, SASL: "plain", User: "u", PasswordFile: empty}},
		{"no password file", "no such file", Kafka{Seeds: seeds, SASL: "plain", User: "u",
			PasswordFile: filepath.Join(dir, "none")}},
		{"directory for a token", "is a directory", Kafka{Seeds: seeds, SASL: "oauthbearer", TokenFile: dir}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.flags.Connection("test")
			if err == nil {
				t.Fatal("taken")
			}
			for _, want := range strings.Split(tt.want, "|") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not said:\n%v", want, err)
				}
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.Contains(line, "(hint: ") {
					t.Errorf("no hint: %s", line)
				}
			}
		})
	}
}

// certificate is a self-signed pair for 127.0.0.1 that may also sign itself: CA, server and client
// in one.
func certificate(t *testing.T) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for name, text := range map[string][]byte{certFile: certPEM, keyFile: keyPEM} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err = tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return pair, certFile, keyFile
}

func ping(t *testing.T, k Kafka) error {
	t.Helper()
	connection, err := k.Connection("test")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(connection.Options(), kgo.RequestRetries(0), kgo.RetryTimeout(time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return client.Ping(ctx)
}

// A client with the right certificate and password is let in, one with a wrong one is not. A
// password is read from its file for every connection.
func TestKafkaConnects(t *testing.T) {
	pair, certFile, keyFile := certificate(t)
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "u", "good"), kfake.Superuser("SCRAM-SHA-256", "u", "good"),
		kfake.Superuser("SCRAM-SHA-512", "u", "good"),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert,
			ClientCAs: pool}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("good\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := Kafka{Seeds: cluster.ListenAddrs(), CA: certFile, ClientCert: certFile, ClientKey: keyFile, User: "u",
		PasswordFile: file}
	for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		k := good
		k.SASL = mechanism
		if err := ping(t, k); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
		k.PasswordFile, k.Password = "", "bad"
		if ping(t, k) == nil {
			t.Errorf("%s: a wrong password is let in", mechanism)
		}
	}
	k := good
	k.SASL, k.ClientCert, k.ClientKey = "plain", "", ""
	if ping(t, k) == nil {
		t.Error("a client without a certificate is let in")
	}
	k = good
	k.SASL, k.CA = "plain", ""
	if ping(t, k) == nil {
		t.Error("a broker that nobody vouches for is believed")
	}

	k = good
	k.SASL = "plain"
	connection, err := k.Connection("test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(connection.Options(), kgo.RequestRetries(0))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if client.Ping(t.Context()) == nil {
		t.Error("the password file is not read for a new connection")
	}
}
