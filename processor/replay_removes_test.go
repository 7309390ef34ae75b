package main

import (
	"testing"

	"tributary/processor/replay"
	"tributary/sql"
)

// What an earlier rebuild has left is continued, removed or refused. Another version's rules stand
// for a program of before or after an upgrade.
func TestRemoves(t *testing.T) {
	const own, other = sql.LedgerRules, sql.LedgerRules - 1
	for _, c := range []struct {
		name     string
		command  replayRebuildCommand
		progress replay.Progress
		removes  bool
		refused  bool
	}{
		{name: "there was none", command: replayRebuildCommand{Exchange: true}},
		{name: "continue", command: replayRebuildCommand{Exchange: true}, progress: replay.Progress{Rules: own}},
		{name: "continue an exchange", command: replayRebuildCommand{Exchange: true},
			progress: replay.Progress{Rules: own, Exchanging: true}},
		{name: "compare half exchanged tables", progress: replay.Progress{Rules: own, Exchanging: true}, refused: true},
		{name: "drop half exchanged tables", command: replayRebuildCommand{Drop: true},
			progress: replay.Progress{Rules: own, Exchanging: true}, refused: true},
		{name: "drop those of other rules, before all are booked again", command: replayRebuildCommand{Drop: true},
			progress: replay.Progress{Rules: other, Exchanging: true}, removes: true},
		{name: "drop", command: replayRebuildCommand{Drop: true}, progress: replay.Progress{Rules: own}, removes: true},
		{name: "drop the old tables", command: replayRebuildCommand{Drop: true},
			progress: replay.Progress{Rules: own, Exchanging: true, Exchanged: true}, removes: true},
		{name: "again without drop", command: replayRebuildCommand{Exchange: true},
			progress: replay.Progress{Rules: own, Exchanging: true, Exchanged: true}, refused: true},
		{name: "continue with other rules", command: replayRebuildCommand{Exchange: true},
			progress: replay.Progress{Rules: other}, refused: true},
		{name: "the local run after an upgrade", command: replayRebuildCommand{Exchange: true, IfOlder: true},
			progress: replay.Progress{Rules: other, Exchanging: true}, removes: true},
		{name: "the local run after two upgrades", command: replayRebuildCommand{Exchange: true, IfOlder: true},
			progress: replay.Progress{Rules: other, Exchanging: true, Exchanged: true}, removes: true},
		{name: "the local run, interrupted", command: replayRebuildCommand{Exchange: true, IfOlder: true},
			progress: replay.Progress{Rules: own, Exchanging: true}},
	} {
		removes, err := c.command.removes(c.progress, "tributary_replay")
		if removes != c.removes || (err != nil) != c.refused {
			t.Errorf("%s: removes %t, %v", c.name, removes, err)
		}
	}
}
