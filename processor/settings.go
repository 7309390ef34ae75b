package main

import (
	"context"
	"fmt"
	"log/slog"

	"tributary/processor/fx"
	"tributary/processor/workspace"
)

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

// rateSettings are what conversions depend on beside the stored rates: every command that books must be
// given the same.
type rateSettings struct {
	FXSource    []string `name:"fx-source" env:"TRIBUTARY_FX_SOURCE" help:"Exchange rates: ecb:FILE|URL, oxr:FILE|DIR|URL, file:PATH (CSV with columns date,currency,usd or valid_from,valid_to,currency,usd) or pegs (built-in fixed rates, last where not named); repeatable, most preferred first." sep:"," placeholder:"SOURCE"`
	UGXExponent int      `name:"ugx-exponent" help:"Minor units of the Ugandan shilling: Stripe's documents say both 2 and 0." enum:"0,2" default:"2"`
}

func (s *rateSettings) fxSources() ([]fx.Source, error) { return fx.ParseSources(s.FXSource) }

// storedRates returns a table of the rates that are stored; the sources only give their order.
func (s *rateSettings) storedRates(ctx context.Context, store fx.Store, log *slog.Logger) (*fx.Live, error) {
	sources, err := s.fxSources()
	if err != nil {
		return nil, err
	}
	rates := fx.NewLive(store, sources, fx.StripeExponents().WithUGX(s.UGXExponent), log, nil)
	if err := rates.LoadStored(ctx); err != nil {
		return nil, fmt.Errorf("read exchange rates: %w", err)
	}
	return rates, nil
}
