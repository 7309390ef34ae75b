package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The command prints the reason of each agent, or counts them, by the built-in rules or by a
// file's.
func TestBots(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bots.csv")
	if err := os.WriteFile(file, []byte("kind,text\nmonitor,acme\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(c botsCommand, want string) {
		t.Helper()
		var out strings.Builder
		c.Agents = "-"
		err := c.run(strings.NewReader("Googlebot/2.1\r\nAcme Watch/2\n\n"), &out)
		if err != nil || out.String() != want {
			t.Errorf("%+v: %v\n%s\nwant\n%s", c, err, out.String(), want)
		}
	}
	f(botsCommand{}, "crawler:googlebot\tGooglebot/2.1\n-\tAcme Watch/2\nempty\t\n")
	f(botsCommand{Count: true}, "1\t-\n1\tcrawler:googlebot\n1\tempty\n2 of 3 agents are flagged, 66.667 %\n")
	f(botsCommand{botSettings: botSettings{Bots: file}}, "-\tGooglebot/2.1\nmonitor:acme\tAcme Watch/2\nempty\t\n")

	long := "Acme " + strings.Repeat("x", 100_000) // more than a bufio.Scanner takes
	var out strings.Builder
	command := botsCommand{Agents: "-", Count: true}
	if err := command.run(strings.NewReader(long+"\nGooglebot/2.1"), &out); err != nil ||
		!strings.HasSuffix(out.String(), "of 2 agents are flagged, 50.000 %\n") {
		t.Errorf("a long agent: %v\n%s", err, out.String())
	}

	var list strings.Builder
	err := (&botsCommand{List: true}).run(nil, &list)
	if err != nil || !strings.Contains(list.String(), "\ncrawler,googlebot\n") {
		t.Errorf("the list: %v\n%.200s", err, list.String())
	}
	if err := os.WriteFile(file, []byte("robot,acme\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = (&botSettings{Bots: file}).agents()
	if err == nil || !strings.Contains(err.Error(), "bots.csv: read bot rules: line 1") {
		t.Errorf("a wrong file: %v", err)
	}
}
