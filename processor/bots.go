package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"tributary/processor/enrich"
	"tributary/schemas"
	"tributary/schemas/program"
)

// botSettings are the flags of commands that tell machines from people.
type botSettings struct {
	Bots string `help:"Rules that flag bots by their user agents, instead of the built-in ones (processor bots --list). processor run reads the file again on change and on SIGHUP." type:"existingfile" placeholder:"FILE"`
}

// rules returns the rules of the file, or the built-in ones.
func (s *botSettings) rules() (*enrich.BotRules, error) {
	if s.Bots == "" {
		return enrich.BuiltinBotRules(), nil
	}
	file, err := schemas.OpenFile(s.Bots)
	if err != nil {
		return nil, fmt.Errorf("open bot rules: %w (hint: --bots)", err)
	}
	defer file.Close()
	rules, err := enrich.ReadBotRules(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Bots, err)
	}
	return rules, nil
}

// agents returns a reader of user agents with the rules.
func (s *botSettings) agents() (*enrich.Agents, error) {
	rules, err := s.rules()
	if err != nil {
		return nil, err
	}
	return enrich.NewAgents(rules), nil
}

// botsCommand tries the rules on a list of user agents.
type botsCommand struct {
	botSettings
	Agents string `arg:"" optional:"" default:"-" help:"File with one user agent in each line; - for stdin (the default)." placeholder:"FILE"`
	Count  bool   `help:"Print how many agents each rule flags instead of each agent."`
	List   bool   `help:"Print the built-in rules."`
}

// Help is shown under --help.
func (c *botsCommand) Help() string {
	return `Each agent is printed after the rule that flags it, as the column bot_reason has it, or after "-". Two kinds of
clicks are never flagged, whatever the rules say: one that a backend sent without an agent, and one with
the trigger "deeplink" from an HTTP library.`
}

func (c *botsCommand) Run(_ *slog.Logger) error { return c.run(os.Stdin, os.Stdout) }

func (c *botsCommand) run(in io.Reader, out io.Writer) error {
	w := bufio.NewWriter(out)
	if c.List {
		fmt.Fprint(w, enrich.BuiltinBotsFile())
		return w.Flush()
	}
	rules, err := c.rules()
	if err != nil {
		return err
	}
	if c.Agents != "-" {
		file, err := os.Open(c.Agents)
		if err != nil {
			return fmt.Errorf("open agents: %w (hint: - reads from stdin)", err)
		}
		defer file.Close()
		in = file
	}
	agents, flagged, counts := 0, 0, make(map[string]int)
	lines, readErr := bufio.NewReader(in), error(nil) // not a Scanner: an agent may have any length
	for readErr == nil {
		var agent string
		if agent, readErr = lines.ReadString('\n'); agent == "" {
			break
		}
		agents++
		agent = strings.TrimSuffix(strings.TrimSuffix(agent, "\n"), "\r")
		reason := rules.Reason(agent)
		if reason == "" {
			reason = "-"
		} else {
			flagged++
		}
		if c.Count {
			counts[reason]++
			continue
		}
		fmt.Fprintf(w, "%s\t%s\n", reason, program.Printable(agent))
	}
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "%d\t%s\n", counts[reason], reason)
	}
	if c.Count {
		share := 100 * float64(flagged) / float64(max(agents, 1))
		fmt.Fprintf(w, "%d of %d agents are flagged, %.3f %%\n", flagged, agents, share)
	}
	if !errors.Is(readErr, io.EOF) {
		return errors.Join(fmt.Errorf("read agents: %w", readErr), w.Flush())
	}
	return w.Flush()
}
