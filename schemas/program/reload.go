package program

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Reloader reads configuration files again when one of them changes, on SIGHUP, and each minute
// while they cannot be read. What cannot be read changes nothing: the program goes on with what it
// has, and says so in its log, its metrics and /readyz.
type Reloader struct {
	files   []string
	reload  func() error
	log     *slog.Logger
	every   time.Duration
	again   time.Duration
	hangup  chan os.Signal
	result  *prometheus.CounterVec
	failing prometheus.Gauge

	mu   sync.Mutex    // Run alone writes, and reads without it
	seen []os.FileInfo // of files, nil for one that is not there
	err  error         // of the last reload
	last time.Time     // when that was
}

// watchEvery is how often the files are looked at. A key that is withdrawn is refused after this
// time at the latest.
const watchEvery = 2 * time.Second

// tryAgain is how long after a failed reload the next one is tried without a change of a file. A
// certificate becomes valid, a file that could not be read is given to its user, a disk comes back:
// nothing of that is seen on the file itself.
const tryAgain = time.Minute

// NewReloader remembers how the files are now, and keeps SIGHUP from ending the process. Empty
// names are left out. reload reads the files, checks them, and replaces what was read before, or
// returns why not.
func NewReloader(files []string, reload func() error, log *slog.Logger, registry *prometheus.Registry) *Reloader {
	r := &Reloader{reload: reload, log: log, every: watchEvery, again: tryAgain, hangup: make(chan os.Signal, 1),
		result: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tributary_reloads_total", Help: "Times that the configuration files were read again."}, []string{"result"}),
		failing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tributary_reload_failed",
			Help: "1 while the configuration files cannot be read and older ones are in force. Alert on 1."}),
	}
	for _, file := range files {
		if file != "" {
			r.files = append(r.files, file)
		}
	}
	for _, result := range []string{"done", "failed"} {
		r.result.WithLabelValues(result) // shown before it happens
	}
	registry.MustRegister(r.result, r.failing)
	r.seen = r.look()
	signal.Notify(r.hangup, syscall.SIGHUP)
	return r
}

// lastFailed is why a reload happens without a change of a file.
const lastFailed = "the last one failed"

// Run watches until ctx ends. SIGHUP goes on being ignored, since a program that stops in order
// must not be killed by it.
func (r *Reloader) Run(ctx context.Context) error {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.hangup:
			r.read("SIGHUP")
		case <-tick.C:
			switch {
			case r.changed():
				r.read("a file changed")
			case r.err != nil && time.Since(r.last) >= r.again:
				r.read(lastFailed)
			}
		}
	}
}

// read reloads once. The files are looked at before: one that changes while it is read is read
// again.
func (r *Reloader) read(why string) {
	seen := r.look()
	err := r.reload()
	r.mu.Lock()
	known := err != nil && r.err != nil && err.Error() == r.err.Error()
	r.seen, r.err, r.last = seen, err, time.Now()
	r.mu.Unlock()
	if err != nil {
		r.result.WithLabelValues("failed").Inc()
		r.failing.Set(1)
		if known && why == lastFailed {
			return // the log has it, and so does /readyz
		}
		r.log.Error("keep the old configuration: the new one is not good", "why", why, "error", err)
		return
	}
	r.result.WithLabelValues("done").Inc()
	r.failing.Set(0)
	r.log.Info("read the configuration again", "why", why)
}

func (r *Reloader) look() []os.FileInfo {
	seen := make([]os.FileInfo, len(r.files))
	for i, file := range r.files {
		seen[i], _ = os.Stat(file) // reload will say what is wrong with it
	}
	return seen
}

// changed reports whether a file was written, replaced or taken away.
func (r *Reloader) changed() bool {
	for i, now := range r.look() {
		before := r.seen[i]
		switch {
		case now == nil || before == nil:
			if now != before {
				return true
			}
		case !os.SameFile(now, before) || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()):
			return true
		}
	}
	return false
}

// Warnings returns why the last reload failed, for /readyz; nothing after a good one.
func (r *Reloader) Warnings(context.Context) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		return nil
	}
	return []string{fmt.Sprintf("an older configuration is in force: %v", r.err)}
}
