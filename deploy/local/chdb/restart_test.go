package chdb_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tributary/deploy/local/chdb"
	"tributary/deploy/local/chdb/chdbtest"
)

// A role is what a child process of these tests does with an engine of its own.
const (
	roleVariable      = "CHDB_TEST_ROLE"
	directoryVariable = "CHDB_TEST_DIRECTORY"
)

func playRole(role string) int {
	if err := play(role); err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	return 0
}

func play(role string) error {
	library, err := chdb.Find()
	if err != nil {
		return err
	}
	var options []chdb.Option
	if role == "full disk" {
		options = append(options, chdb.WithMinFreeBytes(1<<62))
	}
	started := time.Now()
	engine, err := chdb.Open(library, os.Getenv(directoryVariable), options...)
	if err != nil {
		return err
	}
	fmt.Println("open took", time.Since(started).Round(time.Millisecond))
	ask := func(parameters, statement string) string {
		answer := httptest.NewRecorder()
		engine.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "http://127.0.0.1/?"+parameters,
			strings.NewReader(statement)))
		return answer.Body.String()
	}
	switch role {
	case "write and close", "write and die", "write and hold":
		fmt.Print(ask("", "CREATE DATABASE IF NOT EXISTS d"))
		fmt.Print(ask("database=d", "CREATE TABLE IF NOT EXISTS t (a UInt64) ENGINE=MergeTree ORDER BY a"))
		fmt.Print(ask("database=d", "INSERT INTO t SELECT number FROM numbers(1000)"))
		fmt.Print(ask("database=d", "INSERT INTO t FORMAT TSV\n1\n2\n"))
		switch role {
		case "write and die":
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		case "write and hold":
			fmt.Println("holding")
			time.Sleep(10 * time.Minute)
		}
	case "read":
		fmt.Print("rows ", ask("database=d", "SELECT count(), sum(a) FROM t"))
	case "reopen":
		if err := engine.Close(); err != nil {
			return err
		}
		if engine, err = chdb.Open(library, os.Getenv(directoryVariable)); err != nil {
			return err
		}
		fmt.Print("rows ", ask("database=d", "SELECT count(), sum(a) FROM t"))
	case "full disk":
		fmt.Print("insert ", ask("database=d", "INSERT INTO t VALUES (1)"))
		fmt.Print("select ", ask("database=d", "INSERT INTO t SELECT 1"))
		fmt.Print("rows ", ask("database=d", "SELECT count(), sum(a) FROM t"))
	case "busy":
		fmt.Print("busy: ", ask("", "SELECT 1"))
	}
	return engine.Close()
}

// child runs a role in a process of its own and returns what it printed.
func child(t *testing.T, role, dir string) (string, error) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), roleVariable+"="+role, directoryVariable+"="+dir)
	output, err := command.CombinedOutput()
	t.Logf("%s: %s", role, output)
	return string(output), err
}

func TestRestart(t *testing.T) {
	chdbtest.Address(t) // skips, or fails, when there is no library
	const want = "rows 1002\t499503\n"
	for _, role := range []string{"write and close", "write and die"} {
		t.Run(role, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if _, err := child(t, role, dir); err != nil && role == "write and close" {
				t.Fatal(err)
			}
			for _, reader := range []string{"read", "reopen"} {
				output, err := child(t, reader, dir)
				if err != nil || !strings.Contains(output, want) {
					t.Fatalf("%s: %v: %s", reader, err, output)
				}
			}
		})
	}
}

func TestFullDiskIsRefused(t *testing.T) {
	chdbtest.Address(t)
	dir := t.TempDir()
	if _, err := child(t, "write and close", dir); err != nil {
		t.Fatal(err)
	}
	output, err := child(t, "full disk", dir)
	if err != nil || strings.Count(output, "Code: 243. DB::Exception: Not enough space") != 2 ||
		!strings.Contains(output, "rows 1002\t") {
		t.Fatalf("%v: %s", err, output)
	}
}

// TestDirectoryInUse: two processes on one directory would destroy it.
func TestDirectoryInUse(t *testing.T) {
	chdbtest.Address(t)
	dir := t.TempDir()
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), roleVariable+"=write and hold", directoryVariable+"="+dir)
	output, err := holder.StdoutPipe()
	must(t, err)
	must(t, holder.Start())
	defer func() { _ = holder.Process.Kill(); _ = holder.Wait() }()
	buffer, seen := make([]byte, 1024), ""
	for !strings.Contains(seen, "holding") {
		n, err := output.Read(buffer)
		seen += string(buffer[:n])
		if err != nil {
			t.Fatalf("%v: %s", err, seen)
		}
	}
	if text, err := child(t, "busy", dir); err == nil || !strings.Contains(text, "in use by another process") {
		t.Fatalf("a second process opened the directory: %s", text)
	}
}
