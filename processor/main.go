// Program processor joins clicks and sales from Kafka and loads them into ClickHouse.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"tributary/processor/reconcile"
)

// commands is the table from word to work; each word has its file.
type commands struct {
	Run       runCommand       `cmd:"" help:"Consume clicks, leads and Stripe events; load attributed rows into ClickHouse."`
	Migrate   migrateCommand   `cmd:"" help:"Create or upgrade the tables, forward only."`
	Topics    topicsCommand    `cmd:"" help:"Create the Kafka topics that are missing."`
	Catalogue catalogueCommand `cmd:"" help:"Load affiliates, links and promotion codes from CSV, and credit what was booked without them."`
	Credit    creditCommand    `cmd:"" help:"Decide by hand who is credited with a sale, with a reason; undoable."`
	Explain   explainCommand   `cmd:"" help:"Tell the story of a sale, refund, customer or subscription: what was heard, who is credited, and why."`
	Audit     auditCommand     `cmd:"" help:"Check every link from Kafka to the dashboards."`
	Reconcile reconcileCommand `cmd:"" help:"Compare the ledger with Stripe's balance transactions."`
	Replay    replayCommand    `cmd:"" help:"Book again: a stretch of time, dead letters, or everything beside the live tables."`
	Dashboard dashboardCommand `cmd:"" help:"Serve the dashboard's page, on loopback only: it has no login."`
	Erase     eraseCommand     `cmd:"" help:"Make a person's records unlinkable in every table; the money stays."`
	FX        fxCommand        `cmd:"" name:"fx" help:"Tell which exchange rates there are, which are held back, and what has none."`
	Version   versionCommand   `cmd:"" help:"Say which version this is."`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "processor:", err)
		if errors.Is(err, reconcile.ErrDifferences) || errors.Is(err, errDifferences) || errors.Is(err, errFlaws) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks to stop in order; releasing the handler then lets a second one end the program at once.
	context.AfterFunc(ctx, stop)
	return execute(ctx, args, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// execute is the whole program but for signals, so that a test can run it.
func execute(ctx context.Context, args []string, log *slog.Logger) error {
	var words commands
	parser, err := kong.New(&words, kong.Name("processor"), kong.DefaultEnvars("TRIBUTARY"), kong.UsageOnError(),
		kong.Description("Joins clicks and sales by click, customer and subscription, converts every amount to USD, and loads both into ClickHouse.\n\nEvery flag is also read from the environment: --kafka-seeds is TRIBUTARY_KAFKA_SEEDS."))
	if err != nil {
		return err
	}
	word, err := parser.Parse(args)
	if err != nil {
		return err
	}
	word.BindTo(ctx, (*context.Context)(nil))
	return word.Run(log)
}
