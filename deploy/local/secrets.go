package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// secrets are those of the local run. What was made once is kept in the data directory, so that a command that was
// printed by one run works in the next.
type secrets struct {
	StripeWebhookSecret string `json:"stripe_webhook_secret"`
	SecretKey           string `json:"secret_key"`
}

// keepSecrets reads the secrets of the data directory, and makes and writes those that are missing.
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
			return secrets{}, fmt.Errorf("read secrets of %s: %w (delete the file to have new ones made)", path, err)
		}
	}
	before := kept
	if kept.StripeWebhookSecret == "" {
		kept.StripeWebhookSecret = "whsec_" + rand.Text()
	}
	if kept.SecretKey == "" {
		kept.SecretKey = "sk_" + rand.Text()
	}
	if kept == before {
		return kept, nil
	}
	text, err = json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return secrets{}, fmt.Errorf("write secrets: %w", err)
	}
	return kept, replaceFile(path, append(text, '\n'), 0o600)
}

// replaceFile writes a file under another name and renames it, so that a reader sees the old or the new one whole.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
