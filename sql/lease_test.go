package sql

import (
	"errors"
	"flag"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

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
		"</port></node></zookeeper><keeper_map_path_prefix>/tributary_test</keeper_map_path_prefix>"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: engine.Handler()}
	go func() { _ = server.Serve(listener) }()
	options, err := clickhouse.ParseDSN("http://" + listener.Addr().String() + "/default")
	if err != nil {
		t.Fatal(err)
	}
	db := clickhouse.OpenDB(options)
	layout := Layout{Kind: ReplicatedDatabase, Database: "default"} // as on a cluster, without ON CLUSTER
	for _, table := range []string{VersionTable, leaseTable} {
		_, _ = db.ExecContext(t.Context(), "DROP TABLE IF EXISTS "+table)
	}

	// One of several at once has it, whether there was a lease before or an expired one.
	for _, before := range []string{"", "INSERT INTO " + leaseTable +
		" SELECT 'migrate', 'dead', now64(3) - INTERVAL 1 SECOND"} {
		if before != "" {
			if _, err := db.ExecContext(t.Context(), before); err != nil {
				t.Fatal(err)
			}
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
		if err := got[0].end(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	// goose reads and writes its versions there.
	p, err := Layout{}.provider(db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	all, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	if pending, err := Pending(t.Context(), db); err != nil || pending != len(all)-2 {
		t.Errorf("%d of %d are pending after two, %v", pending, len(all), err)
	}
}
