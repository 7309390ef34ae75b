package publish

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/ingest/publish/spool"
)

// said is a log that a test reads while it is written.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), what)
}

// forbid takes the right to change the directory from this process, as a disk does that can only be
// read. What it returns gives it back.
func forbid(t *testing.T, dir string) (allow func()) {
	t.Helper()
	const nobody = 65534
	root := os.Geteuid() == 0 // who may change every directory
	if root {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range append(files, dir) {
			if err := os.Chown(path, nobody, -1); err != nil {
				t.Fatal(err)
			}
		}
		for above := filepath.Dir(dir); above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
			if err := os.Chmod(above, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if root {
		if err := syscall.Seteuid(nobody); err != nil {
			t.Fatal(err)
		}
	}
	return sync.OnceFunc(func() {
		if root {
			if err := syscall.Seteuid(0); err != nil {
				t.Error(err)
			}
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Error(err)
		}
	})
}

// What is delivered and cannot be deleted is not sent again and again, and is deleted when it can
// be.
func TestDeliveredCannotBeDeleted(t *testing.T) {
	c := cluster(t)
	fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	dir, log := t.TempDir(), &said{}
	cfg := spooling(dir, c.ListenAddrs()...)
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	p := start(t, cfg)
	const records = 20
	for i := range records {
		if err := put(t.Context(), p, record(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	allow := forbid(t, dir)
	defer allow()
	fault.Remove()
	eventually(t, "all records drained, and no segment deleted in three attempts", func() bool {
		return log.count("delete a spool segment") >= 3 && testutil.ToFloat64(p.metrics.spoolDrained) >= records
	})
	if n := testutil.ToFloat64(p.metrics.spoolDrained); n != records {
		t.Errorf("%v records drained, want %d", n, records)
	}
	allow()
	waitDrained(t, p)
	storedAtLeast(t, c.ListenAddrs()[0], records)
}

// What is delivered of a segment that cannot be rewritten is not sent again and again, and what is
// left of it is delivered when Kafka takes it.
func TestDeliveredCannotBeRewritten(t *testing.T) {
	dir, log := t.TempDir(), &said{}
	s, err := spool.Open(spool.Config{Dir: dir, MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	const each = 20
	for i := range each {
		lead, click := record(fmt.Sprint("lead", i)), record(fmt.Sprint("click", i))
		lead.Topic = "leads.v1"
		if err := s.Append(t.Context(), appendEntry(nil, lead), appendEntry(nil, click)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c := cluster(t)
	fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	cfg := spooling(dir, c.ListenAddrs()...)
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	p := start(t, cfg)
	allow := forbid(t, dir)
	defer allow()
	fault.Remove()
	eventually(t, "the segment could not be rewritten three times", func() bool {
		return log.count("rewrite a spool segment") >= 3
	})
	if n := testutil.ToFloat64(p.metrics.spoolDrained); n != each {
		t.Errorf("%v records drained, want %d", n, each)
	}
	allow()
	if err := c.CreateTopic("leads.v1", 1, nil); err != nil {
		t.Fatal(err)
	}
	waitDrained(t, p)
	if n := testutil.ToFloat64(p.metrics.spoolDrained); n != 2*each {
		t.Errorf("%v records drained, want %d", n, 2*each)
	}
}
