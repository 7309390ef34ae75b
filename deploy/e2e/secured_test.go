//go:build unix && proof

package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/deploy/local/apache"
	"tributary/deploy/local/chdb"
	"tributary/schemas"
)

// A click goes through both programs and a real Kafka that is reached with TLS and SCRAM only, with
// the password in a file.
func TestSecuredKafka(t *testing.T) {
	if testing.Short() {
		t.Skip("a real broker takes many seconds to start")
	}
	programs := build(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*limit)
	defer cancel()
	dir, err := apache.Dir()
	if err != nil {
		t.Fatal(err)
	}
	classpath, err := apache.Install(ctx, dir)
	if errors.Is(err, apache.ErrMissing) && os.Getenv("CI_REAL_SERVICES") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	secured, err := apache.NewSecured(t.TempDir(), "tributary")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := apache.Start(ctx, apache.Config{Classpath: classpath, Dir: t.TempDir(), Brokers: 1, Secured: secured})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	s := &site{t: t, data: t.TempDir(), first: freePorts(t, 9)}
	addr := s.addr
	environment := append(os.Environ(), "TRIBUTARY_KAFKA_SEEDS="+strings.Join(cluster.SecuredSeeds(), ","))
	environment = append(environment, secured.Environment()...)
	command := func(name string, args ...string) (*exec.Cmd, *tail) {
		said := &tail{limit: 16 << 10}
		c := exec.Command(filepath.Join(programs, name), args...)
		c.Env, c.Stdout, c.Stderr = environment, said, said
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s %s said:\n%s", name, args[0], said)
			}
		})
		return c, said
	}
	begin := func(name string, args ...string) {
		c, _ := command(name, args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = c.Process.Kill()
			_ = c.Wait()
		})
	}
	answers := func(what, address, want string) {
		for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
			said := ""
			if response, err := http.Get(address); err == nil { //nolint:noctx // the test has its own deadline
				text, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if said = strings.TrimSpace(string(text)); said == want {
					return
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: the last answer is %q, want %q", what, said, want)
			}
		}
	}

	begin("local", "clickhouse", "--data", s.data, "--clickhouse-addr", addr(8))
	answers("the engine starts", s.clickhouse()+"/ping", "Ok.")
	key, err := s.password()
	if err != nil {
		t.Fatal(err)
	}
	dsn := url.URL{Scheme: "http", User: url.UserPassword(chdb.ProgramUser, key), Host: addr(8), Path: "/tributary"}
	environment = append(environment, "TRIBUTARY_CLICKHOUSE_DSN="+dsn.String())
	for _, word := range []string{"migrate", "topics"} {
		if c, said := command("processor", word); c.Run() != nil {
			t.Fatalf("processor %s: %s", word, said)
		}
	}
	begin("ingest", "clicks", "--edge-addr", addr(1), "--ops-addr", addr(2))
	begin("processor", "run", "--ops-addr", addr(3))
	answers("the edge is ready", "http://"+addr(2)+"/readyz", "ready")
	// As a page does: again while it is answered 503, because Kafka has not acknowledged it in time.
	click := `{"url":"https://shop.example/?via=secured","click_id":"` + schemas.NewClickID(time.Now()).String() + `"}`
	status := http.StatusServiceUnavailable
	deadline := time.Now().Add(limit)
	for status == http.StatusServiceUnavailable && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
		response, err := http.Post("http://"+addr(1)+"/v1/click", "application/json",
			strings.NewReader(click)) //nolint:noctx // the test has its own deadline
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		status = response.StatusCode
	}
	if status != http.StatusOK {
		t.Fatalf("a click is answered %d", status)
	}
	s.eventually("SELECT uniqExact(click_id) FROM clicks", func(rows [][]string) bool { return rows[0][0] == "1" })

	// Who knows no password gets nothing.
	environment = append(environment, "TRIBUTARY_KAFKA_PASSWORD_FILE=", "TRIBUTARY_KAFKA_PASSWORD=wrong")
	c, said := command("processor", "topics")
	if err := c.Run(); err == nil || strings.Contains(said.String(), "topic is there") {
		t.Errorf("a wrong password: %v %s", err, said)
	}
}
