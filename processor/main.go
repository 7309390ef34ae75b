// Program processor joins clicks and sales from Kafka and loads them into ClickHouse.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"tributary/processor/clickhouse"
	"tributary/processor/reconcile"
	"tributary/schemas/program"
)

// commands is the table of commands; each has its file.
type commands struct {
	Run       runCommand             `cmd:"" help:"Consume clicks, leads and Stripe events; load attributed rows into ClickHouse."`
	Migrate   migrateCommand         `cmd:"" help:"Create or upgrade the tables, forward only."`
	Roles     rolesCommand           `cmd:"" help:"Print the statements that create ClickHouse's roles for the programs and for people."`
	Topics    topicsCommand          `cmd:"" help:"Create the Kafka topics that are missing, and check the settings of the others."`
	Catalogue catalogueCommand       `cmd:"" help:"Load affiliates, links and promotion codes from CSV, and credit what was booked without them."`
	Credit    creditCommand          `cmd:"" help:"Decide by hand who is credited with a sale, and say why; --undo takes it back."`
	Earnings  earningsCommand        `cmd:"" help:"Show what affiliates earn by the rules, close months, write statements."`
	Spend     spendCommand           `cmd:"" help:"Load from CSV what advertisements and affiliates cost."`
	Explain   explainCommand         `cmd:"" help:"Explain a sale, refund, customer or subscription: what Stripe reported, who is credited, and why."`
	Audit     auditCommand           `cmd:"" help:"Check that every record is stored and booked, from Kafka to the dashboards."`
	Reconcile reconcileCommand       `cmd:"" help:"Compare the ledger with Stripe's balance transactions."`
	Backfill  backfillCommand        `cmd:"" help:"Bring past money from Stripe's API into Kafka."`
	Replay    replayCommand          `cmd:"" help:"Book again: a range of time, dead letters, or everything in a shadow database."`
	Dashboard dashboardCommands      `cmd:"" help:"Serve the dashboard's page and API; make passwords, tokens and affiliates' links for it."`
	MCP       mcpCommand             `cmd:"" name:"mcp" help:"Answer the named questions to an assistant on standard input and output (Model Context Protocol)."`
	Erase     eraseCommand           `cmd:"" help:"Erase a person from every table; amounts and credits stay."`
	Bots      botsCommand            `cmd:"" help:"Show which rules flag user agents as bots."`
	FX        fxCommand              `cmd:"" name:"fx" help:"List the exchange rates, which of them are held back, and what has none."`
	Print     program.VersionCommand `cmd:"" name:"version" help:"Print the version."`
	program.Flags
}

func main() {
	if err := execute(program.Interruptible(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "processor:", err)
		os.Exit(exitStatus(err))
	}
}

// exitStatus is 2 where a comparison was made and did not find everything equal, and 1 where the
// command failed otherwise.
func exitStatus(err error) int {
	for _, unequal := range []error{reconcile.ErrDifferences, reconcile.ErrUnproven, errDifferences, errFindings} {
		if errors.Is(err, unequal) {
			return 2
		}
	}
	return 1
}

const description = "Joins clicks and sales by click, customer and subscription, converts every amount to USD, and " +
	"loads both into ClickHouse."

// execute runs the whole program without its signal handlers, so that a test can call it.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c commands
	command, err := program.Parse(&c, "processor", description, stdout, stderr, args)
	if command == nil {
		return err
	}
	command.BindTo(ctx, (*context.Context)(nil))
	log := c.Logger(stderr)
	err = clickhouse.WithHint(command.Run(log))
	// What statement a signal met is of no use, and a hint on where ClickHouse may be misleads. The
	// processor itself says what it could not finish.
	if ctx.Err() != nil && errors.Is(err, context.Canceled) && command.Command() != "run" {
		log.Debug("interrupted", "error", err)
		return errors.New("interrupted (hint: the same command may be executed again: it goes on, or begins anew)")
	}
	return err
}
