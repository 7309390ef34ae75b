package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"tributary/ingest/clicks"
	"tributary/ingest/geo"
	"tributary/ingest/geo/geotest"
	"tributary/schemas"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil { // whoever reads it sees the old or the new one whole
		t.Fatal(err)
	}
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ask(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (r *running) lead(key string) int {
	r.t.Helper()
	req, _ := http.NewRequestWithContext(r.t.Context(), "POST", r.public+"/v1/leads",
		strings.NewReader(`{"external_id":"u1"}`))
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// A key is withdrawn and another given, by SIGHUP and by the change of the file alone, while
// requests are served: none fails. A broken file changes nothing and is complained of until it is
// mended.
func TestReload(t *testing.T) {
	_, seed := kafka(t, schemas.TopicClicks, schemas.TopicLeads, schemas.TopicStripe)
	const keyA, keyB = "sk_aaaaaaaaaaaaaaaa", "sk_bbbbbbbbbbbbbbbb"
	path := filepath.Join(t.TempDir(), "workspaces.json")
	file := func(key string) string { return `[{"id":"acme","secret_keys":["sk_0123456789abcdef","` + key + `"]}]` }
	write(t, path, file(keyA))
	r := start(t, "clicks", "--edge-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--kafka-seeds", seed,
		"--workspaces", path)

	stop := make(chan struct{})
	var load sync.WaitGroup
	var sent, failed atomic.Int64
	load.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if r.lead("sk_0123456789abcdef") != 200 {
					failed.Add(1)
				}
				sent.Add(1)
			}
		}
	})
	if a, b := r.lead(keyA), r.lead(keyB); a != 200 || b != 401 {
		t.Fatalf("before: %d and %d", a, b)
	}
	write(t, path, file(keyB))
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new key is in force after SIGHUP", func() bool { return r.lead(keyB) == 200 })
	if a := r.lead(keyA); a != 401 {
		t.Errorf("the withdrawn key is answered %d", a)
	}

	write(t, path, `[{"id":"acme","secret_key":["`+keyA+`"]}]`)
	if text := r.readyz(200, "warning: an older configuration is in force"); !strings.Contains(text, "[0].secret_key") {
		t.Errorf("/readyz says %q", text)
	}
	eventually(t, "/metrics says that a reload failed", func() bool {
		_, metrics := r.get(r.ops + "/metrics")
		return strings.Contains(metrics, "tributary_reload_failed 1") &&
			strings.Contains(metrics, `tributary_reloads_total{result="failed"} 1`)
	})
	if b := r.lead(keyB); b != 200 {
		t.Errorf("after a broken file the key is answered %d", b)
	}

	write(t, path, file(keyA))
	eventually(t, "a mended file is read by itself", func() bool { return r.lead(keyA) == 200 })
	eventually(t, "/readyz warns of nothing", func() bool {
		_, text := r.get(r.ops + "/readyz")
		return text == "ready\n"
	})
	close(stop)
	load.Wait()
	if failed.Load() > 0 || sent.Load() == 0 {
		t.Errorf("%d of %d requests failed during reloads", failed.Load(), sent.Load())
	}
	if strings.Contains(r.log.String(), keyA) || strings.Contains(r.log.String(), keyB) {
		t.Error("a key is in the log")
	}
	r.end()
}

// A changed file of places is in force after a reload. A damaged one, or none, leaves the one
// before in force.
func TestReloadOfPlaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "geo.mmdb")
	file := func(country string) string {
		return string(geotest.File("City", map[string]geotest.Map{
			"203.0.113.0/24": {"country": geotest.Map{"iso_code": country}},
			"2001:db8::/32":  {"country": geotest.Map{"iso_code": country}},
		}))
	}
	write(t, path, file("DE"))
	c := clicksCommand{Geo: []string{path}}
	edge := clicks.Default()
	var err error
	if edge.Workspaces, err = c.directory(""); err != nil {
		t.Fatal(err)
	}
	if edge.Geo, err = geo.Open(c.Geo, ""); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ name, content, country string }{
		{"as at the start", file("DE"), "DE"},
		{"changed", file("FR"), "FR"},
		{"empty", "", "FR"},
		{"cut off", file("AT")[:100], "FR"},
		{"no such format", "country,AT", "FR"},
		{"mended", file("IT"), "IT"},
	} {
		write(t, path, step.content)
		err := c.reload(&edge)
		if bad := !strings.Contains(step.content, step.country); bad != (err != nil) {
			t.Errorf("%s: %v", step.name, err)
		}
		for _, address := range []string{"203.0.113.7", "2001:db8::1"} {
			if got := edge.Geo.Lookup(netip.MustParseAddr(address)).Country; got != step.country {
				t.Errorf("%s: %s is in %q, want %s", step.name, address, got, step.country)
			}
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := c.reload(&edge); err == nil || edge.Geo.Lookup(netip.MustParseAddr("203.0.113.7")).Country != "IT" {
		t.Errorf("without the file: %v", err)
	}
}

// The certificate is read again with everything else. While it cannot be read, the old one goes on.
func TestReloadOfCertificate(t *testing.T) {
	pair, _ := certificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	c := clicksCommand{TLSCertFile: filepath.Join(t.TempDir(), "cert.pem"), TLSKeyFile: filepath.Join(t.TempDir(), "key")}
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	write(t, c.TLSCertFile, cert)
	write(t, c.TLSKeyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	edge := clicks.Default()
	if edge.Workspaces, err = c.directory(""); err != nil {
		t.Fatal(err)
	}
	if edge.Geo, err = geo.Open(nil, ""); err != nil {
		t.Fatal(err)
	}
	if edge.Certificate, err = clicks.ReadCertificate(c.TLSCertFile, c.TLSKeyFile); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ content, want string }{
		{cert, ""}, {"", "read certificate"}, {cert[:100], "read certificate"}, {cert, ""},
	} {
		write(t, c.TLSCertFile, step.content)
		if err := c.reload(&edge); (err != nil) != (step.want != "") || err != nil &&
			!strings.Contains(err.Error(), step.want) {
			t.Errorf("%.30q: %v, want %q", step.content, err, step.want)
		}
	}
}

// A ConfigMap or Secret that Kubernetes mounts is a directory of links, which are all changed at
// once. Every file of the edge is read through them.
func TestReloadOfConfigMap(t *testing.T) {
	dir, pair := t.TempDir(), make([]tls.Certificate, 2)
	swap := func(version int, workspaces, country string) {
		t.Helper()
		pair[version], _ = certificate(t)
		key, err := x509.MarshalPKCS8PrivateKey(pair[version].PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		name := "..version" + strconv.Itoa(version)
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{
			"workspaces.json": workspaces,
			"tls.crt":         string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair[version].Certificate[0]})),
			"tls.key":         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
			"geo.mmdb": string(geotest.File("City", map[string]geotest.Map{
				"203.0.113.0/24": {"country": geotest.Map{"iso_code": country}}})),
		} {
			write(t, filepath.Join(dir, name, file), text)
			_ = os.Symlink(filepath.Join("..data", file), filepath.Join(dir, file))
		}
		if err := errors.Join(os.Symlink(name, filepath.Join(dir, "..data_tmp")),
			os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	const secret = "sk_0123456789abcdef"
	swap(0, `[{"id":"acme"}]`, "DE")
	_, seed := kafka(t, schemas.TopicClicks, schemas.TopicLeads, schemas.TopicStripe)
	in := func(file string) string { return filepath.Join(dir, file) }
	r := start(t, "clicks", "--edge-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--kafka-seeds", seed,
		"--workspaces", in("workspaces.json"), "--tls-cert-file", in("tls.crt"), "--tls-key-file", in("tls.key"),
		"--geo", in("geo.mmdb"))
	swap(1, `[{"id":"acme","secret_keys":["`+secret+`"]}]`, "FR")
	if err := os.RemoveAll(in("..version0")); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS(pair[1])}}
	defer client.CloseIdleConnections()
	eventually(t, "certificate and key are the new ones", func() bool {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "https://"+strings.TrimPrefix(r.public, "http://")+"/v1/click",
			strings.NewReader(`{"url":"https://acme.example/","ip":"203.0.113.7"}`))
		req.Header.Set("Authorization", "Bearer "+secret)
		res, err := client.Do(req)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == 200
	})
	reader, err := kgo.NewClient(kgo.SeedBrokers(seed), kgo.ConsumeTopics(schemas.TopicClicks),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	records := reader.PollRecords(t.Context(), 1).Records()
	if c, err := schemas.DecodeClick(records[0]); err != nil || c.Country != "FR" {
		t.Errorf("the click is of %q, %v", c.GetCountry(), err)
	}
	r.end()
}

// Both halves of the edge reach a Kafka that wants a password and TLS, with the secrets in files.
func TestSecuredKafka(t *testing.T) {
	pair, ca := certificate(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, schemas.TopicClicks, schemas.TopicLeads,
		schemas.TopicStripe), kfake.EnableSASL(),
		kfake.Superuser("SCRAM-SHA-512", "edge", "a password"), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	seed, password, key := cluster.ListenAddrs()[0], filepath.Join(t.TempDir(), "password"),
		filepath.Join(t.TempDir(), "key")
	write(t, password, "a password\n")
	write(t, key, "sk_0123456789abcdef\n")
	r := start(t, "clicks", "--edge-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--kafka-seeds",
		seed, "--kafka-ca", ca,
		"--kafka-sasl", "scram-sha-512", "--kafka-user", "edge", "--kafka-password-file", password, "--secret-key-file", key)
	if code := r.lead("sk_0123456789abcdef"); code != 200 {
		t.Errorf("a lead is answered %d\n%s", code, r.log)
	}
	r.readyz(200, "ready\n")
	client, err := kgo.NewClient(kgo.SeedBrokers(seed), kgo.DialTLSConfig(clientTLS(pair)),
		kgo.ConsumeTopics(schemas.TopicLeads),
		kgo.SASL(scram.Auth{User: "edge", Pass: "a password"}.AsSha512Mechanism()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	eventually(t, "the lead is in Kafka", func() bool { return client.PollRecords(t.Context(), 1).NumRecords() == 1 })
	if strings.Contains(r.log.String(), "a password") || strings.Contains(r.log.String(), "sk_01") {
		t.Error("a secret is in the log")
	}
	r.end()
}

// Every word of the command line is understood in the same way, and no secret is asked for where
// others can read it without saying so.
func TestHelp(t *testing.T) {
	for _, command := range []string{"clicks", "stripe"} {
		out := new(log)
		if err := (&process{stdout: out, stderr: out}).run(t.Context(), []string{command, "--help"}); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range []string{"127.0.0.1:9092", "Default: text", "Default: 100000", "in ps", "--log-level",
			"--version", "--kafka-password-file"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s --help does not say %q", command, want)
			}
		}
	}
	all := new(log)
	if err := (&process{stdout: all, stderr: all}).run(t.Context(), []string{"--help"}); err != nil ||
		!strings.Contains(all.String(), "Exit status") {
		t.Errorf("--help: %v\n%s", err, all)
	}
	flag, word := new(log), new(log)
	if err := (&process{stdout: flag, stderr: flag}).run(t.Context(), []string{"--version"}); err != nil {
		t.Fatal(err)
	}
	if err := (&process{stdout: word, stderr: word}).run(t.Context(), []string{"version"}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(flag.String(), "ingest ") || flag.String() != word.String() {
		t.Errorf("--version says %q, version %q", flag, word)
	}
	if err := (&process{stdout: flag, stderr: flag}).run(t.Context(), []string{"clicks", "--nonsense"}); err == nil ||
		!strings.Contains(err.Error(), "(hint: ") {
		t.Errorf("an unknown flag: %v", err)
	}
}
