package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"sort"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// operations serves for the whole run what each program serves for itself.
//
//	/metrics      the metrics of all programs, distinguished by the label process
//	/healthz      200: the supervisor runs
//	/readyz       200 once everything started and while every program is ready; else 503 with the reasons
//	/processes    the programs: name, pid, restarts
//	/debug/pprof  the supervisor's own, without cmdline, which may hold secrets
func (s *supervisor) operations() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.serveMetrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.HandleFunc("GET /processes", s.serveProcesses)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func (s *supervisor) snapshot() (children []*child, started bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.children, s.started
}

func (s *supervisor) serveReady(w http.ResponseWriter, r *http.Request) {
	children, started := s.snapshot()
	errs := make([]error, len(children))
	var asking sync.WaitGroup
	for i, c := range children {
		asking.Go(func() { errs[i] = c.ready(r.Context()) })
	}
	asking.Wait()
	ready := started
	lines := make([]string, len(children))
	for i, c := range children {
		lines[i] = c.name + ": ready"
		if errs[i] != nil {
			ready = false
			lines[i] = fmt.Sprintf("%s: not ready: %v", c.name, errs[i])
		}
	}
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if !started {
		fmt.Fprintln(w, "still starting")
	}
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
}

// processState is one line of /processes.
type processState struct {
	Name     string `json:"name"`
	PID      int    `json:"pid"` // 0 while it is down
	Restarts int    `json:"restarts"`
}

func (s *supervisor) serveProcesses(w http.ResponseWriter, _ *http.Request) {
	children, _ := s.snapshot()
	states := make([]processState, 0, len(children))
	for _, c := range children {
		pid, restarts := c.pid()
		states = append(states, processState{c.name, pid, restarts})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(states) // a client that went away needs no answer
}

// scrape asks a program for its metrics.
func scrape(ctx context.Context, addr string) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("ask for metrics: %w", err)
	}
	request.Header.Set("Accept", "text/plain;version=0.0.4")
	response, err := probes.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read metrics of %s: %w", addr, err)
	}
	return families, nil
}

func (s *supervisor) serveMetrics(w http.ResponseWriter, r *http.Request) {
	children, _ := s.snapshot()
	type answer struct {
		process  string
		families map[string]*dto.MetricFamily
	}
	answers := make([]answer, len(children))
	var asking sync.WaitGroup
	for i, c := range children {
		if c.opsAddr == "" {
			continue
		}
		asking.Go(func() {
			// A program that is down is missing here and says so in local_process_up.
			families, err := scrape(r.Context(), c.opsAddr)
			if err == nil {
				answers[i] = answer{c.name, families}
			}
		})
	}
	asking.Wait()

	merged := make(map[string]*dto.MetricFamily)
	for _, a := range answers {
		for _, family := range a.families {
			merge(merged, family, a.process)
		}
	}
	own, _ := prometheus.DefaultGatherer.Gather() // what could be gathered is returned beside the error
	for _, family := range own {
		merge(merged, family, "local")
	}
	for _, family := range s.ownFamilies(children) {
		merged[family.GetName()] = family
	}

	names := make([]string, 0, len(merged))
	for name := range merged {
		names = append(names, name)
	}
	sort.Strings(names)
	w.Header().Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	for _, name := range names {
		if _, err := expfmt.MetricFamilyToText(w, merged[name]); err != nil {
			return // the client went away
		}
	}
}

// merge adds a program's metric family to those of the others, each metric with the label process.
// If two programs use one name for different types, the first one's is kept.
func merge(all map[string]*dto.MetricFamily, family *dto.MetricFamily, process string) {
	label := "process"
	for _, m := range family.Metric {
		m.Label = append(m.Label, &dto.LabelPair{Name: &label, Value: &process})
	}
	known, ok := all[family.GetName()]
	if !ok {
		all[family.GetName()] = family
		return
	}
	if known.GetType() == family.GetType() {
		known.Metric = append(known.Metric, family.Metric...)
	}
}

// ownFamilies are the supervisor's metrics of its children.
func (s *supervisor) ownFamilies(children []*child) []*dto.MetricFamily {
	pointer := func(s string) *string { return &s }
	up := &dto.MetricFamily{
		Name: pointer("local_process_up"), Help: pointer("1 while the program runs, 0 between its end and its restart."),
		Type: dto.MetricType_GAUGE.Enum(),
	}
	restarts := &dto.MetricFamily{
		Name: pointer("local_process_restarts_total"), Help: pointer("Ends of the program that nobody asked for."),
		Type: dto.MetricType_COUNTER.Enum(),
	}
	for _, c := range children {
		pid, count := c.pid()
		running, restarted := 0.0, float64(count)
		if pid != 0 {
			running = 1
		}
		labels := []*dto.LabelPair{{Name: pointer("process"), Value: pointer(c.name)}}
		up.Metric = append(up.Metric, &dto.Metric{Label: labels, Gauge: &dto.Gauge{Value: &running}})
		restarts.Metric = append(restarts.Metric, &dto.Metric{Label: labels, Counter: &dto.Counter{Value: &restarted}})
	}
	return []*dto.MetricFamily{up, restarts}
}
