package main

import "tributary/processor/workspace"

// kafkaSettings and clickhouseSettings are the flags that several commands share.
type kafkaSettings struct {
	KafkaSeeds []string `help:"Kafka brokers to begin with, comma separated." default:"127.0.0.1:9092" placeholder:"HOST:PORT"`
}

type clickhouseSettings struct {
	ClickhouseDSN string `name:"clickhouse-dsn" env:"TRIBUTARY_CLICKHOUSE_DSN" help:"ClickHouse, with the database: http://host:8123/tributary or clickhouse://host:9000/tributary." default:"http://127.0.0.1:8123/tributary" placeholder:"DSN"`
}

type workspaceSettings struct {
	Workspaces string `help:"File of workspaces: their Stripe accounts, attribution policies and metadata keys; without it there is one, default." type:"path" placeholder:"FILE"`
	EmailKey   string `help:"Key of the hashes of e-mail addresses, the same as the edge's; used by workspaces with email_fallback."`
}

func (s *workspaceSettings) read() (*workspace.File, error) {
	return workspace.Read(s.Workspaces, s.EmailKey)
}
