package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// demoEarnings are the rules by which the demo's affiliates earn, so that the page's earnings show
// something. They name what loads others.
const demoEarnings = `[{"workspace": "default", "minimum_usd": "50.00", "rules": [
  {"name": "20 % of what a buyer pays in the first year", "percent": "20", "months": 12, "hold_days": 7}
]}]
`

// loadDemoEarnings puts the demo's rules in force when the data directory is new: later ones are
// the user's. A workspaces file has workspaces that this does not know.
func (s *supervisor) loadDemoEarnings(ctx context.Context) error {
	path := filepath.Join(s.Data, "demo-earnings.json")
	_, err := os.Lstat(path)
	switch {
	case s.Workspaces != "", err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look for the demo's earnings: %w", err)
	}
	if err := replaceFile(path, []byte(demoEarnings)); err != nil {
		return err
	}
	job := s.served("earnings", "processor", processorOps, 10*time.Second, "earnings", "rules", path)
	if err := job.complete(ctx, s.out); err != nil {
		return errors.Join(err, os.Remove(path)) // the next start tries again
	}
	return nil
}
