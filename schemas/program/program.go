// Package program is what the programs have in common at the command line and towards operators:
// help, version, logs, /metrics, /healthz, /readyz, profiles, and files that are read again while a
// program runs.
package program

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// Flags are understood by every command of a program that runs for long. Its table of commands
// embeds them.
type Flags struct {
	LogLevel  string `default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"Log messages of this level and of more severe ones: ${enum}."`
	LogFormat string `default:"text" enum:"text,json" placeholder:"FORMAT" help:"Format of the log: ${enum}."`
	VersionFlag
}

// VersionFlag is --version.
type VersionFlag struct {
	Version versionFlag `name:"version" env:"-" help:"Print the version and stop."`
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
		kong.Description(description+"\n\nA flag can also be given by the environment variable that is named with it: "+
			"--ops-addr by TRIBUTARY_OPS_ADDR, for every command that has this flag. A variable with the names of program "+
			"and command, such as TRIBUTARY_INGEST_CLICKS_OPS_ADDR of ingest clicks, is for that command only, and "+
			"takes precedence. "+
			"An empty variable counts as not set; a misspelt one is an error. "+
			"Every local user sees the flags of a running program in ps: give secrets by a …-file flag or by the "+
			"environment.\n\n"+
			"Exit status: 0 done, 1 failed, 2 what was checked differs."),
		kong.DefaultEnvars(prefix),
		kong.PostBuild(func(k *kong.Kong) error {
			ownVariables(k.Model.Node, prefix, name)
			return unsetEmpty(k.Model.Node)
		}),
		kong.ValueFormatter(withDefault),
		kong.Vars{"version": name + " " + version()},
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { answered = true }),
	)
	if err != nil {
		return nil, fmt.Errorf("describe commands: %w", err)
	}
	command, err := parser.Parse(args)
	if err == nil && !answered {
		err = errors.Join(checkFiles(command), checkVariables(command))
	}
	switch {
	case answered:
		return nil, nil
	case err != nil && strings.Contains(err.Error(), "(hint: "):
		return nil, err
	case err != nil:
		return nil, misread(err, name, args)
	}
	return command, nil
}

// misread returns the error of a line that kong could not read, with the command whose help shows
// how to write it. Of a group with a default command, such as "processor dashboard", kong takes an
// unknown word for an argument of the default.
func misread(err error, name string, args []string) error {
	text, command, expected := err.Error(), name, ""
	var failed *kong.ParseError
	if errors.As(err, &failed) && failed.Context != nil && failed.Context.Selected() != nil {
		selected := failed.Context.Selected()
		command = selected.FullPath()
		group := selected.Parent
		if group != nil && group.DefaultCmd == selected && strings.HasPrefix(text, "unexpected argument ") &&
			!slices.Contains(args, selected.Name) {
			command = group.FullPath()
			var names []string
			for _, c := range group.Children {
				if !c.Hidden {
					names = append(names, strconv.Quote(c.Name))
				}
			}
			if len(names) > 1 {
				expected = ", expected one of " + strings.Join(names, ", ")
			}
		}
	}
	text = strings.Replace(text, `but got "EOL" (<EOL>)`, "but none is given", 1)
	return fmt.Errorf("%s%s (hint: %s --help)", text, expected, command)
}

// checkFiles refuses a flag whose file or directory is the empty text, such as a shell's variable
// that is not set: without its workspaces an edge would take clicks from everybody, and without its
// spool lose them.
func checkFiles(command *kong.Context) error {
	for _, given := range command.Path {
		if f := given.Flag; f != nil && (f.PlaceHolder == "FILE" || f.PlaceHolder == "DIR") && f.Target.String() == "" {
			return fmt.Errorf("--%s: its value is empty (hint: leave the flag out, or is a variable not set?)", f.Name)
		}
	}
	return nil
}

// ownVariables gives each flag of node, and of the commands below it, a variable of the command's
// own in front of those that it has: several programs on one host share one environment, and
// commands have flags of one name and different meaning. A flag without a variable gets none.
func ownVariables(node *kong.Node, path ...string) {
	for _, flag := range node.Flags {
		if len(flag.Envs) > 0 {
			name := strings.ToUpper(strings.ReplaceAll(strings.Join(append(path[:len(path):len(path)], flag.Name), "_"), "-",
				"_"))
			flag.Envs = append([]string{name}, flag.Envs...)
			flag.Tag.Envs = flag.Envs
		}
	}
	for _, command := range node.Children {
		ownVariables(command, append(path[:len(path):len(path)], command.Name)...)
	}
}

// unsetEmpty removes the variables of flags that are set to nothing, as files of environments have
// them for what is not wanted. kong would take them for values.
func unsetEmpty(node *kong.Node) error {
	for _, flag := range node.Flags {
		for _, name := range flag.Envs {
			if value, set := os.LookupEnv(name); set && value == "" {
				if err := os.Unsetenv(name); err != nil {
					return err
				}
			}
		}
	}
	for _, command := range node.Children {
		if err := unsetEmpty(command); err != nil {
			return err
		}
	}
	return nil
}

// withDefault shows the default of a flag whose placeholder hides it, and the shortest of its
// variables.
func withDefault(v *kong.Value) string {
	shown, tag := *v, *v.Tag
	if n := len(tag.Envs); n > 0 {
		tag.Envs = tag.Envs[n-1:]
	}
	shown.Tag = &tag
	text := kong.DefaultHelpValueFormatter(&shown)
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

// commit is the commit of builds outside a checkout, as of an image's source: the linker sets it,
// -ldflags "-X tributary/schemas/program.commit=…".
var commit string

// build returns the module's version and the commit that the program was built from, as far as they
// are known.
func build() (version, revision string) {
	revision = commit
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", cmp.Or(revision, "unknown")
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return cmp.Or(info.Main.Version, "unknown"), cmp.Or(revision, "unknown")
}

func version() string {
	module, revision := build()
	return module + " " + revision + " " + runtime.Version()
}
