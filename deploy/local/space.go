package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// capDemo ends the demo when the data directory holds more than the run may take for it. What
// people send themselves is not refused for that: the engines refuse it when the disk itself is
// nearly full.
func (s *supervisor) capDemo(ctx context.Context, demo *child) {
	ticker := time.NewTicker(s.lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-demo.ended:
			return
		case <-ticker.C:
		}
		if held := held(s.Data); held > int64(s.MaxDataMiB)<<20 {
			s.out.say("%s holds %d MiB: the demo stops here (hint: --max-data-mib allows more; delete the "+
				"directory to begin anew)",
				s.Data, held>>20)
			demo.stop(ctx.Done())
			return
		}
	}
}

// held returns the bytes of the files below a directory. What is deleted meanwhile is not counted.
func held(directory string) (bytes int64) {
	_ = filepath.WalkDir(directory, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
