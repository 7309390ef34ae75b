package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/erase"
	"tributary/processor/fx"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/processor/stripeapi"
	"tributary/processor/workspace"
	"tributary/schemas"
)

// kafkaSettings are the flags of commands that use Kafka.
type kafkaSettings struct {
	Kafka schemas.Kafka `embed:""`
}

// connection checks the flags.
func (s *kafkaSettings) connection() (schemas.KafkaConnection, error) {
	return s.Kafka.Connection("tributary-processor")
}

// topics returns a reader of Kafka without a consumer group, whose lines of the log say what it reads
// for. deadLetter sets aside what cannot be read.
func (s *kafkaSettings) topics(reads string, deadLetter consume.DeadLetter, log *slog.Logger,
) (*replay.Topics, error) {
	c, err := s.connection()
	if err != nil {
		return nil, err
	}
	return &replay.Topics{Seeds: c.Seeds, Opts: c.Options(), DeadLetter: deadLetter, Log: log.With("for", reads)}, nil
}

// stripeAPISettings are the flags of the commands that ask Stripe for what an event leaves out.
type stripeAPISettings struct {
	StripeAPIKey     string `name:"stripe-api-key" help:"Restricted key with read access to events and to the objects that they name; a live one, a test one, or both, separated by a comma. Better in a file."`
	StripeAPIKeyFile string `name:"stripe-api-key-file" help:"File that holds --stripe-api-key." type:"path" placeholder:"FILE"`
	StripeAPIBase    string `name:"stripe-api-base" help:"Where Stripe's API is." default:"https://api.stripe.com" placeholder:"URL"`
}

// client returns what asks Stripe, nil without a key.
func (s *stripeAPISettings) client() (*stripeapi.Client, error) {
	return stripeClient("stripe api key", s.StripeAPIKey, s.StripeAPIKeyFile, s.StripeAPIBase)
}

// stripeClient returns a client with the keys of a flag or its file, nil without any. It waits as
// long as a person does; who waits longer says so.
func stripeClient(name, value, file, base string) (*stripeapi.Client, error) {
	text, err := schemas.Secret(name, value, file)
	if err != nil {
		return nil, err
	}
	keys, err := stripeapi.ParseKeys(text)
	if err != nil || keys.Empty() {
		return nil, err
	}
	if err := stripeapi.CheckBase(base); err != nil {
		return nil, err
	}
	return &stripeapi.Client{
		Base: strings.TrimSuffix(base, "/"), Keys: keys, HTTP: &http.Client{}, Patience: 3 * time.Minute, Log: slog.Default(),
	}, nil
}

// workspacesFile is the flag of commands that need the workspaces file.
type workspacesFile struct {
	Workspaces string `help:"JSON array of workspaces, the same file as the edge's; processor run reads it again on change and on SIGHUP. Without it there is one workspace, \"default\", for all Stripe accounts." type:"path" placeholder:"FILE"`
}

// oneWorkspace is the flag of commands that work in one workspace.
type oneWorkspace struct {
	Workspace string `help:"Workspace to work in; without it the only one of --workspaces, or \"default\"." placeholder:"ID"`
}

// choose decides which workspace it is, or returns why it can be none of the file's.
func (s *oneWorkspace) choose(file *workspacesFile) error {
	read, err := workspace.ReadPolicies(file.Workspaces)
	if err != nil {
		return err
	}
	s.Workspace, err = read.Choose(s.Workspace)
	return err
}

// workspaceSettings are the flags of commands that need the file and the key of the hashes.
type workspaceSettings struct {
	workspacesFile
	EmailKey     string `help:"Key of the hashes of e-mail addresses, at least 16 bytes, the same as the edge's; workspaces with email_fallback need it. Better in a file."`
	EmailKeyFile string `help:"File that holds --email-key." type:"path" placeholder:"FILE"`
}

// read reads the workspaces file.
func (s *workspaceSettings) read() (*workspace.File, error) {
	key, err := schemas.Secret("email key", s.EmailKey, s.EmailKeyFile)
	if err != nil {
		_, faults := workspace.ReadPolicies(s.Workspaces)
		return nil, errors.Join(err, faults)
	}
	return workspace.Read(s.Workspaces, key)
}

// rateSettings are what conversions depend on besides the stored rates: every command that books
// must be given the same.
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

// bookingSettings are what rows depend on besides the records: every command that reads records and
// books must be given the same.
type bookingSettings struct {
	ledgerSettings
	botSettings
}

// ledgerSettings are what entries of the ledger depend on besides what is stored: every command that
// books must be given the same.
type ledgerSettings struct {
	workspaceSettings
	rateSettings
	Settle time.Duration `hidden:"" help:"Without effect: no payment is held any more. The flag will be removed."`
}

// deprecated warns of flags that are accepted and have no effect.
func (s *ledgerSettings) deprecated(log *slog.Logger) {
	if s.Settle != 0 {
		log.Warn("--settle has no effect: no payment is held any more (hint: leave the flag out; it will be removed)")
	}
}

// recomputer makes a Recomputer that reads and writes target, with the rates that store has.
func (s *ledgerSettings) recomputer(ctx context.Context, store *clickhouse.Store, target recompute.Store,
	now func() time.Time, log *slog.Logger,
) (*recompute.Recomputer, error) {
	s.deprecated(log)
	workspaces, err := s.read()
	if err != nil {
		return nil, err
	}
	rates, err := s.storedRates(ctx, store, log)
	if err != nil {
		return nil, err
	}
	return recompute.New(recompute.Config{
		Store: target, Rates: rates, Policies: workspaces.Policies, Released: workspaces.Released, Now: now, Log: log,
	}), nil
}

// replicaSettings say how far replicas of ClickHouse may lag.
type replicaSettings struct {
	ReplicaLag time.Duration `name:"replica-lag" help:"Longest time until a row that one replica of ClickHouse has acknowledged is on all others, while they run. Sales and leads that have changed are recomputed once more after twice this time, and a command waits for that. Without effect on tables that are not replicated; 0: not recomputed again." default:"30s"`
}

// maxReplicaLag keeps what a processor asks for in case of a loss, which is due after twice the lag
// and two minutes, below the longest wait of a request (clickhouse.Deferred).
const maxReplicaLag = 6 * time.Hour

// useReplicaLag tells a Recomputer of the lag, if the tables are replicated.
func (s *replicaSettings) useReplicaLag(ctx context.Context, store *clickhouse.Store, r *recompute.Recomputer) error {
	replicated, err := store.Replicated(ctx)
	if err != nil {
		return fmt.Errorf("read whether the tables are replicated: %w", err)
	}
	if replicated {
		r.ReplicaLag(s.ReplicaLag)
	}
	return nil
}

// bookLive calls do, which books in the live tables for long, looks again at what it touched, and
// learns who is erased meanwhile.
func (s *replicaSettings) bookLive(ctx context.Context, store *clickhouse.Store, h *replay.Handlers,
	do func(context.Context) error) error {
	r := h.Recomputer
	if err := s.useReplicaLag(ctx, store, r); err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	looking, stop := context.WithCancel(gctx)
	group.Go(func() error { return r.LookAgain(looking) })
	group.Go(func() error { return h.Payments.Erased.Run(looking, store) })
	group.Go(func() error { defer stop(); return do(gctx) })
	if err := group.Wait(); err != nil {
		return err
	}
	return r.Finish(ctx)
}

// batchRecords is how many records a replay handles at once, and rebuildRecords how many a rebuild
// does: more than half of what a batch of 2,000 events costs ClickHouse is the price of its
// statements, whatever they hold.
const (
	batchRecords   = 2000
	rebuildRecords = 5000
)

// handlers makes the consumers' handlers, which read and write target, with the rates and the
// erased names that store has.
func (s *bookingSettings) handlers(ctx context.Context, store *clickhouse.Store, target recompute.Store,
	now func() time.Time, log *slog.Logger,
) (*replay.Handlers, error) {
	workspaces, err := s.read()
	if err != nil {
		return nil, err
	}
	recomputer, err := s.recomputer(ctx, store, target, now, log)
	if err != nil {
		return nil, err
	}
	agents, err := s.agents()
	if err != nil {
		return nil, err
	}
	erased := &erase.List{Keys: workspaces.Keys}
	if err := erased.Load(ctx, store); err != nil {
		return nil, fmt.Errorf("read erased names: %w", err)
	}
	return &replay.Handlers{
		Recomputer: recomputer,
		Clicks:     &consume.Clicks{Store: target, Recomputer: recomputer, Erased: erased, Agents: agents},
		Payments: &consume.Payments{
			Store: target, Recomputer: recomputer, Workspace: workspaces.OfEvent, Keys: workspaces.Keys,
			Erased: erased, Events: consume.NewEventsMetric(), ThinFetched: true,
		},
	}, nil
}

// parsePeriod parses --since and --until. A period that holds nothing is an error: of nothing each
// command would say that all is well.
func parsePeriod(since, until string) (from, to time.Time, err error) {
	from, err = parseTime("since", since)
	to, err2 := parseTime("until", until)
	switch {
	case err != nil || err2 != nil:
		err = errors.Join(err, err2)
	case from.After(time.Now()):
		err = fmt.Errorf("--since: %s is in the future (hint: times are UTC)", since)
	case until != "" && !from.Before(to):
		err = fmt.Errorf("--until: %s is not after --since %s (hint: a day begins at 00:00 UTC)", until, since)
	}
	return from, to, err
}

// parseTime parses a day or a time, UTC; an empty text is the zero time.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--%s: %q is not a time (hint: give one like 2026-03-31 or 2026-03-31T15:04)", flag,
		text)
}
