// Package prometheus_test checks the alerts.
package prometheus_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func promtool(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing (hint: apt-get install prometheus, or brew install prometheus)")
	}
	return path
}

// promtool checks the rules, and plays rules_test.yml and rules_days_test.yml.
func TestRules(t *testing.T) {
	for _, args := range [][]string{
		{"check", "rules", "rules.yml"}, {"test", "rules", "rules_test.yml", "rules_days_test.yml"},
		{"check", "config", "--syntax-only", "prometheus.yml"},
	} {
		if out, err := exec.CommandContext(t.Context(), promtool(t), args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// The queries of the dashboards' panels are ones that Prometheus can read.
func TestPanels(t *testing.T) {
	files, err := filepath.Glob("../grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d dashboards, %v", len(files), err)
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			Panels []struct {
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				if target.Expr != "" {
					expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
					rules = append(rules, rule{fmt.Sprintf("panel:%d", len(rules)), expr})
				}
			}
		}
	}
	if len(rules) == 0 {
		t.Fatal("no panel asks Prometheus")
	}
	// JSON is YAML.
	groups, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "panels", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(file, groups, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), promtool(t), "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, groups)
	}
}

var (
	metric = regexp.MustCompile(`\b(?:ingest|processor|tributary)_[a-z_]+`)
	// What begins with tributary is a role or a user in the guides.
	guideMetric = regexp.MustCompile(`\b(?:ingest|processor)_[a-z_]+`)
	suffix      = regexp.MustCompile(`_(?:bucket|sum|count)$`)
)

// Every metric that an alert, a panel or a guide names is one that a program has, and every metric
// whose help says that it is one to alert on has an alert.
func TestMetricsExist(t *testing.T) {
	var code strings.Builder
	for _, program := range []string{"../../ingest", "../../processor", "../../schemas"} {
		err := filepath.WalkDir(program, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			code.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(pattern string) string {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		var all strings.Builder
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
		return all.String()
	}
	rules, dashboards := read("rules.yml"), read("../grafana/dashboards/*.json")
	guides := guideMetric.FindAllString(read("../../*/*.md")+read("../../*/*/*.md")+read("../../README.md"), -1)
	for _, name := range append(metric.FindAllString(rules+dashboards, -1), guides...) {
		if !strings.Contains(code.String(), `"`+suffix.ReplaceAllString(name, "")+`"`) {
			t.Errorf("no program has %s", name)
		}
	}
	alerting := regexp.MustCompile(
		`"((?:ingest|processor|tributary)_[a-z_]+)",?\s*(?:Help:)?\s*(?:"[^"]*"\s*\+\s*)*"[^"]*Alert (?:on|when)`)
	for _, match := range alerting.FindAllStringSubmatch(code.String(), -1) {
		if !strings.Contains(rules, match[1]) {
			t.Errorf("the help of %s says to alert on it, and no rule does", match[1])
		}
	}
	if len(alerting.FindAllString(code.String(), -1)) < 5 {
		t.Error("the metrics to alert on are not found in the code")
	}
}

// The operator's guide says of every alert what to do, and of no other, and each is seen to fire.
func TestAlertsAreExplained(t *testing.T) {
	names := func(file, pattern string) []string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			list = append(list, m[1])
		}
		return list
	}
	alerts, explained := names("rules.yml", `alert: (\w+)`), names("../README.md", `(?m)^\| (Tributary\w+) \|`)
	if len(alerts) == 0 || !slices.Equal(alerts, explained) {
		t.Errorf("rules.yml has\n%v\ndeploy/README.md explains\n%v", alerts, explained)
	}
	const expected = `alertname: (\w+)\s+exp_alerts:`
	fired := append(names("rules_test.yml", expected), names("rules_days_test.yml", expected)...)
	for _, alert := range alerts {
		if !slices.Contains(fired, alert) {
			t.Errorf("no test has %s fire", alert)
		}
	}
}
