package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// kafkaSettings and clickhouseSettings are the flags that several commands share.
type kafkaSettings struct {
	KafkaSeeds []string `help:"Kafka brokers to begin with, comma separated." default:"127.0.0.1:9092" placeholder:"HOST:PORT"`
}

type clickhouseSettings struct {
	ClickhouseDSN string `name:"clickhouse-dsn" env:"TRIBUTARY_CLICKHOUSE_DSN" help:"ClickHouse, with the database: http://host:8123/tributary or clickhouse://host:9000/tributary." default:"http://127.0.0.1:8123/tributary" placeholder:"DSN"`
}

// defaultWorkspace owns everything while there is no workspaces file.
const defaultWorkspace = "default"

// accounts maps Stripe accounts to workspaces. An account's workspace is part of the ledger's key: once money is booked, moving
// it is a replay.
type accounts map[string]string

// readAccounts reads the processor's part of the workspaces file: a JSON array of {"id", "stripe_accounts": ["acct_…"]}. A
// workspace that lists "" owns the platform's own account. Without a file everything is in one workspace.
func readAccounts(path string) (accounts, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read workspaces: %w (give the file's path with --workspaces, or leave it out for one workspace)", err)
	}
	var list []struct {
		ID       string   `json:"id"`
		Accounts []string `json:"stripe_accounts"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("read workspaces %s: %w", path, err)
	}
	var faults []error
	m := make(accounts)
	for i, w := range list {
		if strings.TrimSpace(w.ID) == "" {
			faults = append(faults, fmt.Errorf("workspaces %s: entry %d has no id", path, i))
		}
		for _, a := range w.Accounts {
			if other, twice := m[a]; twice {
				faults = append(faults, fmt.Errorf("workspaces %s: account %q belongs to %q and %q", path, a, other, w.ID))
			}
			m[a] = w.ID
		}
	}
	return m, errors.Join(faults...)
}

func (a accounts) workspace(account string) string {
	if w, ok := a[account]; ok {
		return w
	}
	return defaultWorkspace
}
