// Package chdbtest gives tests a real ClickHouse engine: one per test process, with a fresh
// database per call.
package chdbtest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tributary/deploy/local/chdb"
)

// RequireVariable names the environment variable that, set to 1, makes a
// missing engine a failure instead of a reason to skip.
const RequireVariable = "CI_REAL_SERVICES"

// Cluster is a cluster of two shards that the engine knows. Nothing answers at their addresses.
const Cluster = "two_shards"

const twoShards = `<remote_servers><two_shards>
    <shard><internal_replication>true</internal_replication>
      <replica><host>127.0.0.1</host><port>1</port></replica></shard>
    <shard><internal_replication>true</internal_replication>
      <replica><host>127.0.0.1</host><port>2</port></replica></shard>
  </two_shards></remote_servers>`

// calm makes the engine look every minute, not every 0.1 s, whether a table has streams, which none
// has, and every second how much memory the process has (deploy/DESIGN.md).
const calm = `
  <background_streaming_processing_pool_thread_sleep_seconds_if_nothing_to_do>60
  </background_streaming_processing_pool_thread_sleep_seconds_if_nothing_to_do>
  <memory_worker_period_ms>1000</memory_worker_period_ms>`

// ReadBack says that the engine reads inserts back, as that of the local run does and a ClickHouse
// server does not. The tests of chdb set it before the first call of [Start].
var ReadBack bool

var (
	once    sync.Once
	engine  *chdb.Engine
	address string
	missing error // the library is not installed
	failure error // it is, and did not start
)

// Start returns a clickhouse-go DSN of a new, empty database with a random
// name in a real ClickHouse engine, and drops the database when the test ends.
// The engine starts at the first call and is shared by the whole test process,
// so tests may run in parallel. Without libchdb the test is skipped, or fails
// when CI_REAL_SERVICES=1.
//
// The DSN has the form http://127.0.0.1:PORT/DATABASE; http://readonly@… is
// the same database for reading only. Its files lie in a temporary directory, in
// memory where there is room, which a later test process removes.
func Start(tb testing.TB) (dsn string) {
	tb.Helper()
	base := Address(tb)
	name := "test_" + randomName()
	run(tb, base, "CREATE DATABASE "+name)
	tb.Cleanup(func() { run(tb, base, "DROP DATABASE IF EXISTS "+name+" SYNC") })
	return base + "/" + name
}

// Address returns the engine's HTTP address, http://127.0.0.1:PORT, under the
// rules of [Start], for a test that manages databases itself.
func Address(tb testing.TB) string {
	tb.Helper()
	once.Do(start)
	if missing != nil {
		if os.Getenv(RequireVariable) == "1" {
			tb.Fatal(missing)
		}
		tb.Skip(missing)
	}
	if failure != nil {
		tb.Fatal(failure)
	}
	return address
}

// Engine returns the shared engine, under the rules of [Start]. It must not be
// closed.
func Engine(tb testing.TB) *chdb.Engine {
	tb.Helper()
	Address(tb)
	return engine
}

func start() {
	library, err := chdb.Find()
	if err != nil {
		missing = err
		return
	}
	root := root()
	removeOld(root)
	dir, err := os.MkdirTemp(root, fmt.Sprintf("%s%d-", directoryPrefix, os.Getpid()))
	if err != nil {
		failure = fmt.Errorf("make data directory: %w", err)
		return
	}
	options := []chdb.Option{chdb.WithConfiguration(twoShards + calm)}
	if !ReadBack {
		options = append(options, chdb.WithoutReadBack())
	}
	if engine, err = chdb.Open(library, dir, options...); err != nil {
		failure = err
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		failure = fmt.Errorf("listen for the engine: %w", err)
		return
	}
	server := engine.Server()
	// It serves until the process ends: no test knows which one is the last.
	go func() { _ = server.Serve(listener) }()
	address = "http://" + listener.Addr().String()
}

func run(tb testing.TB, base, statement string) {
	tb.Helper()
	response, err := http.Post(base+"/?"+url.Values{"query": {statement}}.Encode(), "text/plain", http.NoBody)
	if err != nil {
		tb.Fatalf("run %s: %v", statement, err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		tb.Fatalf("run %s: %s", statement, strings.TrimSpace(string(body)))
	}
}

func randomName() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// Main is for TestMain of packages that use the engine. It ends the process without what the race
// detector does at the end: that reports nothing which the tests have not reported, and was seen to
// crash while threads of the engine still ran.
func Main(m *testing.M) { syscall.Exit(m.Run()) }
