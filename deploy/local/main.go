// Program local runs the whole of Tributary on one machine: the programs that run in production,
// each as a process of its own, and beside them one embedded Kafka broker and one embedded
// ClickHouse engine for those who have neither.
//
//	local [run]       everything, supervised
//	local kafka       the embedded Kafka broker alone
//	local clickhouse  the embedded ClickHouse engine alone
//
// The embedded engines are for laptops and tests. The programs get their addresses as they would
// get those of production.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

// commands are the commands: the fields of each are its flags, its Run does the work.
type commands struct {
	Run        Run        `cmd:"" default:"withargs" help:"Run everything on this machine (the default)."`
	Kafka      Kafka      `cmd:"" help:"Run the embedded Kafka broker alone."`
	ClickHouse ClickHouse `cmd:"" name:"clickhouse" help:"Run the embedded ClickHouse engine alone, behind ClickHouse's HTTP interface."`
}

func main() {
	var chosen commands
	parser := kong.Parse(&chosen,
		kong.Name("local"),
		kong.Description("The whole of Tributary on one machine. Every flag is also an environment variable: "+
			"TRIBUTARY_ and its name, dashes become underscores."),
		kong.DefaultEnvars("TRIBUTARY"))
	if err := parser.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}
