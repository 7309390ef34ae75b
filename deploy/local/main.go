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

	"tributary/schemas/program"
)

// commands is the table of commands: the fields of each are its flags, its Run does the work.
type commands struct {
	Run        Run        `cmd:"" default:"withargs" help:"Run everything on this machine (the default)."`
	Kafka      Kafka      `cmd:"" help:"Run the embedded Kafka broker alone."`
	ClickHouse ClickHouse `cmd:"" name:"clickhouse" help:"Run the embedded ClickHouse engine alone, behind ClickHouse's HTTP interface."`

	Print program.VersionCommand `cmd:"" name:"version" help:"Print the version."`
	program.VersionFlag
}

const description = "The whole of Tributary on one machine. --log-level and --log-format of the programs are read " +
	"from the environment: TRIBUTARY_LOG_LEVEL, TRIBUTARY_LOG_FORMAT."

func main() {
	command, err := program.Parse(new(commands), "local", description, os.Stdout, os.Stderr, os.Args[1:])
	if err == nil && command != nil {
		err = command.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}
