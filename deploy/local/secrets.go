package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// secrets are generated for a data directory and kept in it, so that a command that one run printed
// works in the next.
type secrets struct {
	StripeWebhookSecret        string `json:"stripe_webhook_secret"`
	SecretKey                  string `json:"secret_key"`
	EmailKey                   string `json:"email_key"`
	ClickHousePassword         string `json:"clickhouse_password"`          // of the programs
	ClickHouseReadOnlyPassword string `json:"clickhouse_readonly_password"` // of people
}

// keepSecrets reads the secrets of the data directory, and generates and stores those that are
// missing.
func keepSecrets(dir string) (secrets, error) {
	path := filepath.Join(dir, "secrets.json")
	var kept secrets
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return secrets{}, fmt.Errorf("read secrets: %w %s", err, dataHint)
	default:
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields() // what this does not know, it would lose when it writes the file
		if err := decoder.Decode(&kept); err != nil {
			return secrets{}, fmt.Errorf("read secrets of %s: %w (hint: if it is of a local run, delete it to have new "+
				"ones generated; else choose another --data)", path, err)
		}
	}
	before := kept
	for secret, prefix := range map[*string]string{
		&kept.StripeWebhookSecret: "whsec_", &kept.SecretKey: "sk_", &kept.EmailKey: "",
		&kept.ClickHousePassword: "", &kept.ClickHouseReadOnlyPassword: "",
	} {
		if *secret == "" {
			*secret = prefix + rand.Text()
		}
	}
	if kept == before {
		return kept, nil
	}
	text, err = json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return secrets{}, fmt.Errorf("write secrets: %w", err)
	}
	return kept, replaceFile(path, append(text, '\n'))
}

// ownEntries are what a run keeps in its data directory; lost+found is in every file system's first.
var ownEntries = []string{"secrets.json", "kafka", "clickhouse", "clickhouse-server", "spool", "demo-rates.csv",
	"demo-earnings.json", "lost+found"}

const dataHint = "(hint: --data names a directory that this user may write to)"

// openDataDir makes the data directory. What lies in it (Stripe's bodies, secrets, clicks) is for
// its owner alone: 0700, files 0600, those of the child processes too, who inherit the umask. Of a
// directory that holds anything else, which stranger names, the mode stays: others may need to read
// that.
func openDataDir(dir string) (stranger string, err error) {
	syscall.Umask(0o077)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make data directory: %w %s", err, dataHint)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("read data directory: %w %s", err, dataHint)
	}
	for _, entry := range entries {
		if !slices.ContainsFunc(ownEntries, func(own string) bool {
			return entry.Name() == own || strings.HasPrefix(entry.Name(), "."+own+"-") // as replaceFile begins it
		}) {
			return entry.Name(), nil
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return "", fmt.Errorf("close data directory to other users: %w (hint: --data names a directory that "+
			"belongs to this user)", err)
	}
	return "", nil
}

// claimDataDir makes the data directory and keeps a second run out of it until the file is closed
// or the process ends, however it ends. A directory of other files is refused, because whoever
// begins anew is told to delete it. Beside what an earlier run has left, other files may lie.
func claimDataDir(dir string) (*os.File, error) {
	stranger, err := openDataDir(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "secrets.json")); err != nil && stranger != "" {
		return nil, fmt.Errorf("the data directory %s holds files that no local run has made, such as %s "+
			"(hint: --data names a directory that is empty or does not exist yet)", dir, stranger)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w %s", err, dataHint)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data directory %s: %w (hint: another local run may use it: stop that, "+
			"or give this one --data and addresses of its own)", dir, err), f.Close())
	}
	return f, nil
}

// replaceFile writes a file (0600) under another name and renames it, so that a reader sees the old
// or the new one whole.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w %s", path, err, dataHint)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
