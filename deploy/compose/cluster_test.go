// Package compose holds the compose files; package manifests reads them as compose does.
package compose

import (
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"tributary/deploy/local/chdb"
	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql"
)

func TestMain(m *testing.M) { chdbtest.Main(m) }

// A server that is configured by cluster.xml is one on which an empty database can be laid out: its
// macros and its shards are what processor migrate --cluster asks for.
func TestClusterConfiguration(t *testing.T) {
	library, err := chdb.Find()
	if err != nil {
		if os.Getenv(chdbtest.RequireVariable) == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	text, err := os.ReadFile("cluster.xml")
	if err != nil {
		t.Fatal(err)
	}
	_, elements, _ := strings.Cut(string(text), "<clickhouse>")
	elements = strings.TrimSuffix(strings.TrimSpace(elements), "</clickhouse>")
	for name, value := range map[string]string{"SHARD": "one", "REPLICA": "a", "CLUSTER_SECRET": "sesame"} {
		t.Setenv(name, value)
	}
	engine, err := chdb.Open(library, t.TempDir(), chdb.WithConfiguration(elements))
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
	defer db.Close()
	// The embedded engine has no system.zookeeper, whatever is configured, so this is all that it
	// lacks.
	if _, err := sql.Detect(t.Context(), db, "tributary"); err == nil || !strings.Contains(err.Error(), "no Keeper") {
		t.Errorf("processor migrate --cluster tributary says %v", err)
	}
	var shards, hosts, replicated uint64
	err = db.QueryRowContext(t.Context(), "SELECT uniqExact(shard_num), uniqExact(host_name), "+
		"countIf(internal_replication) FROM system.clusters WHERE cluster = 'tributary'").Scan(&shards, &hosts, &replicated)
	if err != nil || shards != 2 || hosts != 2 || replicated != 2 {
		t.Errorf("%d shards on %d hosts, %d of them replicate by themselves, %v", shards, hosts, replicated, err)
	}
}
