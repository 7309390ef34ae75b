package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"tributary/processor/consume"
	"tributary/processor/fx"
	"tributary/processor/replay"
	"tributary/processor/workspace"
	"tributary/schemas"
)

// kafkaSettings and clickhouseSettings are the flags that several commands share.
type kafkaSettings struct {
	Kafka schemas.Kafka `embed:""`
}

// connection checks the flags.
func (s *kafkaSettings) connection() (schemas.KafkaConnection, error) {
	return s.Kafka.Connection("tributary-processor")
}

// topics reads Kafka without a consumer group. deadLetter sets aside what cannot be read.
func (s *kafkaSettings) topics(deadLetter consume.DeadLetter, log *slog.Logger) (*replay.Topics, error) {
	c, err := s.connection()
	if err != nil {
		return nil, err
	}
	return &replay.Topics{Seeds: c.Seeds, Opts: c.Options(), DeadLetter: deadLetter, Log: log}, nil
}

type clickhouseSettings struct {
	ClickhouseDSN string `name:"clickhouse-dsn" env:"TRIBUTARY_CLICKHOUSE_DSN" help:"ClickHouse, with the database: http://host:8123/tributary or clickhouse://host:9000/tributary." default:"http://127.0.0.1:8123/tributary" placeholder:"DSN"`
}

type workspaceSettings struct {
	Workspaces   string `help:"JSON array of workspaces, the edge's too; processor run reads it again on change and on SIGHUP. Without it there is one, \"default\", of all Stripe accounts." type:"path" placeholder:"FILE"`
	EmailKey     string `help:"Key of the hashes of e-mail addresses, at least 16 bytes, the same as the edge's; workspaces with email_fallback need it. Better in a file."`
	EmailKeyFile string `help:"File that holds --email-key." type:"path" placeholder:"FILE"`
}

// read reads what booking needs of the workspaces.
func (s *workspaceSettings) read() (*workspace.File, error) {
	key, err := schemas.Secret("email key", s.EmailKey, s.EmailKeyFile)
	if err != nil {
		_, faults := workspace.ReadPolicies(s.Workspaces)
		return nil, errors.Join(err, faults)
	}
	return workspace.Read(s.Workspaces, key)
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
