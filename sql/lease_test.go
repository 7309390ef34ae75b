package sql

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"tributary/deploy/local/chdb"
)

var zookeeper = flag.String("zookeeper", "", "host:port of an Apache ZooKeeper for TestKeeper")

// Versions and the lease on a real ZooKeeper: sql/DESIGN.md says how to start one. Without the flag
// there is nothing to test.
func TestKeeper(t *testing.T) {
	if *zookeeper == "" {
		t.Skip("needs -zookeeper")
	}
	library, err := chdb.Find()
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(*zookeeper, ":")
	engine, err := chdb.Open(library, t.TempDir(), chdb.WithConfiguration("<zookeeper><node><host>"+host+
		"</host><port>"+port+
		"</port></node></zookeeper><keeper_map_path_prefix>/tributary_"+rand.Text()+"</keeper_map_path_prefix>"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: alone(t, engine.Handler())}
	go func() { _ = server.Serve(listener) }()
	options, err := clickhouse.ParseDSN("http://" + listener.Addr().String() + "/default")
	if err != nil {
		t.Fatal(err)
	}
	db := clickhouse.OpenDB(options)
	layout := Layout{Kind: ReplicatedDatabase, Database: "default"} // as on a cluster, without ON CLUSTER

	// One of several at once has it, whether there was no lease before, one that was given back, or one
	// that a process left which died.
	for round := range 20 {
		before := "a lease that was given back"
		if round%2 == 1 {
			before = "a lease that has expired"
			expire(t, db, "dead")
		}
		var wait sync.WaitGroup
		got, errs := make([]*lease, 8), make([]error, 8)
		for i := range got {
			wait.Go(func() { got[i], _, errs[i] = layout.prepare(t.Context(), db) })
		}
		wait.Wait()
		got = slices.DeleteFunc(got, func(l *lease) bool { return l == nil })
		for _, err := range errs {
			if err != nil && !errors.Is(err, ErrLeased) {
				t.Error(err)
			}
		}
		if len(got) != 1 {
			t.Fatalf("after %q %d of 8 have the lease: %v", before, len(got), errs)
		}
		if err := got[0].prolong(t.Context()); err != nil {
			t.Errorf("the owner cannot prolong: %v", err)
		}
		if err := (&lease{db: db, owner: "another"}).prolong(t.Context()); !errors.Is(err, ErrLeased) {
			t.Errorf("another prolongs: %v", err)
		}
		if round%2 == 1 { // frozen, and back when another has the lease
			expire(t, db, got[0].owner)
			next, _, err := takeLease(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			if err := got[0].prolong(t.Context()); !errors.Is(err, ErrLeased) {
				t.Errorf("who was frozen prolongs: %v", err)
			}
			if err := got[0].end(t.Context()); err != nil {
				t.Error(err)
			}
			if err := next.prolong(t.Context()); err != nil {
				t.Errorf("who was frozen ended the lease of the next: %v", err)
			}
			got[0] = next
		}
		if err := got[0].end(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	// Of several migrations at once one applies everything, after one that died within it, too.
	died, end := context.WithCancel(t.Context())
	before, held, err := takeLease(died, db)
	if err != nil {
		t.Fatal(err)
	}
	p, err := layout.provider(db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(held, 2); err != nil {
		t.Fatal(err)
	}
	end()
	if err := layout.Migrate(t.Context(), db, func(string) {}); !errors.Is(err, ErrLeased) {
		t.Errorf("another migrates within a lease: %v", err)
	}
	expire(t, db, before.owner)
	var wait sync.WaitGroup
	var applied atomic.Int64
	for range 4 {
		wait.Go(func() {
			for {
				err := layout.Migrate(t.Context(), db, func(step string) {
					if !strings.HasPrefix(step, "nothing") {
						applied.Add(1)
					}
				})
				if !errors.Is(err, ErrLeased) {
					if err != nil {
						t.Error(err)
					}
					return
				}
				time.Sleep(time.Second)
			}
		})
	}
	wait.Wait()
	all, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	if pending, err := Pending(t.Context(), db); err != nil || pending != 0 || int(applied.Load()) != len(all)-2 {
		t.Errorf("%d are pending, and %d of %d were applied after two, %v", pending, applied.Load(), len(all), err)
	}
}

// expire makes the lease that of somebody who did not renew it.
func expire(t *testing.T, db *sql.DB, owner string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE "+leaseTable+" UPDATE owner = '"+owner+
		"', until = now64(3) - INTERVAL 1 SECOND WHERE key = 'migrate'"); err != nil {
		t.Fatal(err)
	}
}

var replicatedEngine = regexp.MustCompile(`(?s)^(CREATE TABLE .*?\bENGINE = )Replicated(\w+)`)

// alone serves statements for several servers by an engine that replicates nothing.
func alone(t *testing.T, engine http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if bytes.HasPrefix(body, []byte("SYSTEM SYNC REPLICA ")) {
			return
		}
		body = replicatedEngine.ReplaceAll(body, []byte("$1$2"))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		engine.ServeHTTP(w, r)
	})
}
