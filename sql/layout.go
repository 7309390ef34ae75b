package sql

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"
)

// Kind is what keeps the tables of a database equal on its servers.
type Kind string

// The kinds of layouts.
const (
	Single             Kind = ""
	Cluster            Kind = "cluster"             // ON CLUSTER, Replicated engines, clicks sharded
	ReplicatedDatabase Kind = "Replicated database" // its engine passes DDL on; one shard
	Cloud              Kind = "ClickHouse Cloud"    // its service does everything
)

// Layout is how the tables of a database lie on its servers. The zero Layout is a single server.
type Layout struct {
	Kind     Kind
	Database string
	Cluster  string // as in system.clusters; of Kind Cluster only
}

// seen is what a server says of itself and of the database of the connection.
type seen struct {
	database, databaseEngine, cloud string
	ledger, clicks                  string // engines with arguments; "" while there is no table
	shard, replica                  string // macros
	keeper                          bool
	hosts                           uint64 // of the named cluster
	unreplicated                    uint64 // shards of it with several replicas and without internal_replication
	others                          string // clusters of several hosts that this server is one of
	replicatedShards                uint64 // of a Replicated database
}

// Detect reads on what the connection's database stands. cluster names the one on whose servers an
// empty database is to be laid out; "" for a single server, a Replicated database, ClickHouse
// Cloud, and for tables that are there: those keep their layout. What would give each server a
// ledger of its own is an error with a hint.
func Detect(ctx context.Context, db *sql.DB, cluster string) (Layout, error) {
	s, err := look(ctx, db, cluster)
	if err != nil {
		return Layout{}, fmt.Errorf("read on what the database stands: %w", err)
	}
	return s.layout(cluster)
}

// LayoutQuery asks on what a database with tables stands. LayoutOf reads its one row.
const LayoutQuery = `SELECT
    currentDatabase(),
    (SELECT toString(any(engine)) FROM system.databases WHERE name = currentDatabase()),
    (SELECT toString(any(value)) FROM system.settings WHERE name = 'cloud_mode'),
    (SELECT toString(any(engine_full)) FROM system.tables WHERE database = currentDatabase() AND name = 'ledger'),
    (SELECT toString(any(engine_full)) FROM system.tables WHERE database = currentDatabase() AND name = 'clicks')`

// LayoutOf returns the layout of a database that has tables. scan is of LayoutQuery's row.
func LayoutOf(scan func(columns ...any) error) (Layout, error) {
	s := new(seen)
	if err := scan(&s.database, &s.databaseEngine, &s.cloud, &s.ledger, &s.clicks); err != nil {
		return Layout{}, fmt.Errorf("read on what the database stands: %w", err)
	}
	return s.layout("")
}

// distributedOver finds the cluster in the engine of a Distributed table.
var distributedOver = regexp.MustCompile(`^Distributed\('([^']+)'`)

func (s *seen) layout(cluster string) (Layout, error) {
	l := Layout{Kind: Single, Database: s.database}
	if over := distributedOver.FindStringSubmatch(s.clicks); over != nil {
		if cluster != "" && cluster != over[1] {
			return l, fmt.Errorf("the tables lie on cluster %s, not %s (hint: leave --cluster out)", over[1], cluster)
		}
		l.Kind, l.Cluster = Cluster, over[1]
		return l, nil
	}
	replicated := strings.HasPrefix(s.ledger, "Replicated") || strings.HasPrefix(s.ledger, "Shared")
	switch {
	case s.cloud == "1" || s.cloud == "true" || s.databaseEngine == "Shared":
		l.Kind = Cloud
	case s.databaseEngine == "Replicated":
		l.Kind = ReplicatedDatabase
		if s.replicatedShards > 1 {
			return l, fmt.Errorf("the Replicated database %s has %d shards, and each would have a ledger of its own (hint: "+
				"give all its servers one shard name, or use an Atomic database and --cluster)", s.database, s.replicatedShards)
		}
		if s.ledger != "" && !replicated {
			return l, fmt.Errorf("the Replicated database %s has a ledger that does not replicate, so that each server "+
				"has its own (hint: migrate a new database, and fill it by processor replay)", s.database)
		}
	case cluster != "":
		l.Kind, l.Cluster = Cluster, cluster
		return l, s.fit(cluster)
	case s.ledger == "" && s.others != "":
		return l, fmt.Errorf("this server is one of several (system.clusters: %s), and only this one would have tables "+
			"(hint: migrate --cluster NAME)", s.others)
	}
	if cluster != "" {
		return l, fmt.Errorf("--cluster does not go with a %s, which passes DDL on by itself (hint: leave --cluster out)",
			l.Kind)
	}
	return l, nil
}

// fit returns an error unless a new layout can be made on a cluster.
func (s *seen) fit(cluster string) error {
	switch {
	case s.ledger != "":
		return fmt.Errorf("the database %s holds the tables of a single server (hint: migrate a new database with --cluster, "+
			"and fill it by processor replay)", s.database)
	case s.hosts == 0:
		return fmt.Errorf("there is no cluster %s (hint: SELECT DISTINCT cluster FROM system.clusters)", cluster)
	case s.shard == "" || s.replica == "":
		return fmt.Errorf("the server has no macros shard and replica, by which replicas find each other in Keeper " +
			"(hint: <macros> in its configuration, other values on each server)")
	case !s.keeper:
		return fmt.Errorf("the server has no Keeper for tables of versions (hint: <zookeeper> and " +
			"<keeper_map_path_prefix> in its configuration)")
	case s.unreplicated > 0:
		return fmt.Errorf("cluster %s would insert into each replica itself, beside replication (hint: "+
			"<internal_replication>true</internal_replication> for each shard)", cluster)
	}
	return nil
}

func look(ctx context.Context, db *sql.DB, cluster string) (*seen, error) {
	s := new(seen)
	const query = LayoutQuery + `,
    (SELECT toString(anyIf(substitution, macro = 'shard')) FROM system.macros),
    (SELECT toString(anyIf(substitution, macro = 'replica')) FROM system.macros),
    (SELECT uniqExact(host_name, port) FROM system.clusters WHERE cluster = ?),
    (SELECT arrayStringConcat(groupArray(cluster), ', ') FROM (SELECT cluster FROM system.clusters GROUP BY cluster
        HAVING uniqExact(host_name, port) > 1 AND max(is_local) ORDER BY cluster)),
    (SELECT uniqExact(shard_num) FROM system.clusters WHERE cluster = currentDatabase())`
	err := db.QueryRowContext(ctx, query, cluster).Scan(&s.database, &s.databaseEngine, &s.cloud, &s.ledger, &s.clicks,
		&s.shard, &s.replica, &s.hosts, &s.others, &s.replicatedShards)
	if err != nil || cluster == "" {
		return s, err
	}
	return s, s.lookAtCluster(ctx, db, cluster)
}

// lookAtCluster reads what a new layout on a cluster needs.
func (s *seen) lookAtCluster(ctx context.Context, db *sql.DB, cluster string) error {
	const query = `SELECT
    (SELECT count() FROM (SELECT shard_num FROM system.clusters WHERE cluster = ?
        GROUP BY shard_num HAVING count() > 1 AND NOT min(internal_replication))),
    (SELECT count() FROM system.tables WHERE database = 'system' AND name = 'zookeeper') > 0`
	return db.QueryRowContext(ctx, query, cluster).Scan(&s.unreplicated, &s.keeper)
}
