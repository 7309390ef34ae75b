package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
		return secrets{}, fmt.Errorf("read secrets: %w", err)
	default:
		if err := json.Unmarshal(text, &kept); err != nil {
			return secrets{}, fmt.Errorf("read secrets of %s: %w (hint: delete the file to have new ones generated)",
				path, err)
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

// openDataDir makes the data directory. What lies in it (Stripe's bodies, secrets, clicks) is for
// its owner alone: 0700, files 0600, those of the child processes too, who inherit the umask. The
// mode of an existing directory is changed only if an earlier run has made it.
func openDataDir(dir string) error {
	syscall.Umask(0o077)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w (hint: --data names a directory that this user may write to)", err)
	}
	switch _, err := os.Stat(filepath.Join(dir, "secrets.json")); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look for secrets: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("close data directory to other users: %w", err)
	}
	return nil
}

// replaceFile writes a file (0600) under another name and renames it, so that a reader sees the old
// or the new one whole.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
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
