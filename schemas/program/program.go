// Package program is what the programs have in common at the command line and towards operators:
// help, version, logs, /metrics, /healthz, /readyz, profiles, and files that are read again while a
// program runs.
package program

import (
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// Flags are understood by every command. A program's table of commands embeds them.
type Flags struct {
	LogLevel  string      `default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"Log this and what is worse: ${enum}."`
	LogFormat string      `default:"text" enum:"text,json" placeholder:"FORMAT" help:"Log lines as ${enum}."`
	Version   versionFlag `name:"version" env:"-" help:"Print the version and stop."`
}

// Logger returns a logger that writes to w as the flags say.
func (f *Flags) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // one of the enum, or empty in tests: info
	options := &slog.HandlerOptions{Level: level}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// Parse reads args into the table of commands. It returns nil without an error when it has answered
// --help or --version itself.
func Parse(commands any, name, description string, stdout, stderr io.Writer, args []string) (*kong.Context, error) {
	answered := false
	parser, err := kong.New(commands,
		kong.Name(name),
		kong.Description(description+"\n\nEvery flag is also read from the environment: --ops-addr is TRIBUTARY_OPS_ADDR. "+
			"Every local user sees the flags of a running program in ps: give secrets by …-file or by the environment.\n\n"+
			"Exit status: 0 done, 1 failed, 2 what was checked differs."),
		kong.DefaultEnvars("TRIBUTARY"),
		kong.ValueFormatter(withDefault),
		kong.Vars{"version": name + " " + version()},
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { answered = true }),
	)
	if err != nil {
		return nil, fmt.Errorf("describe commands: %w", err)
	}
	command, err := parser.Parse(args)
	switch {
	case answered:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w (hint: %s --help)", err, name)
	}
	return command, nil
}

// withDefault shows the default of a flag whose placeholder hides it.
func withDefault(v *kong.Value) string {
	text := kong.DefaultHelpValueFormatter(v)
	if v.Flag != nil && v.HasDefault && v.Default != "" && v.Flag.PlaceHolder != "" {
		text += " Default: " + v.Default + "."
	}
	return text
}

type versionFlag bool

// BeforeReset answers --version before anything else of the command line is looked at.
func (versionFlag) BeforeReset(app *kong.Kong, vars kong.Vars) error {
	fmt.Fprintln(app.Stdout, vars["version"])
	app.Exit(0)
	return nil
}

// VersionCommand prints the same as --version.
type VersionCommand struct{}

// Run prints the module version, the commit that the program was built from, and the version of Go.
func (VersionCommand) Run(app *kong.Kong, vars kong.Vars) error {
	_, err := fmt.Fprintln(app.Stdout, vars["version"])
	return err
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of no known build"
	}
	text := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			text += " " + s.Value
		}
	}
	return text + " " + info.GoVersion
}
