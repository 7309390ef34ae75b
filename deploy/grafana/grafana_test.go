// Package grafana_test makes the dashboards of Grafana and checks what they ask.
package grafana_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the dashboards")

// The uids of deploy/grafana/provisioning/datasources.
const (
	prometheusSource = "tributary-prometheus"
	clickhouseSource = "tributary-clickhouse"
)

type dashboard struct {
	UID, Title, Refresh, From string
	Variables                 []any
	Rows                      []row
}

type row struct {
	title  string
	panels []panel
}

type panel struct {
	title, kind, unit, description string
	source                         any
	targets                        []any
	columns                        []columns
}

// columns are how the columns of a panel's answer are shown whose whole names fit a regular
// expression.
type columns struct {
	names, unit string
	digits      int    // behind the decimal point
	head        string // in place of the column's name, if it is not empty
}

// target is a query of Prometheus and how its lines are named.
type target struct{ expr, legend string }

func timeseries(title, unit string, targets ...target) panel {
	return ofPrometheus(title, "timeseries", unit, targets)
}

func stat(title, unit string, targets ...target) panel {
	return ofPrometheus(title, "stat", unit, targets)
}

func ofPrometheus(title, kind, unit string, targets []target) panel {
	p := panel{title: title, kind: kind, unit: unit, source: object{"type": "prometheus", "uid": prometheusSource}}
	for i, t := range targets {
		p.targets = append(p.targets, object{
			"refId": string(rune('A' + i)), "expr": t.expr, "legendFormat": t.legend, "datasource": p.source,
		})
	}
	return p
}

type object map[string]any

// json is the dashboard as Grafana reads it
// (https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/view-dashboard-json-model).
func (d dashboard) json() ([]byte, error) {
	const width, height, stats = 8, 8, 6 // of 24 columns; a stat takes six
	var panels []object
	y, id := 0, 0
	for _, r := range d.Rows {
		id++
		panels = append(panels, object{"id": id, "type": "row", "title": r.title, "collapsed": false, "panels": []any{},
			"gridPos": object{"x": 0, "y": y, "w": 24, "h": 1}})
		y++
		x, deep := 0, 0
		for _, p := range r.panels {
			w, h := width, height
			switch p.kind {
			case "stat":
				w, h = stats, 4
			case "table":
				w = 12
			}
			if x+w > 24 {
				x, y, deep = 0, y+deep, 0
			}
			id++
			panels = append(panels, object{
				"id": id, "type": p.kind, "title": p.title, "description": p.description, "datasource": p.source,
				"targets":     p.targets,
				"fieldConfig": object{"defaults": object{"unit": p.unit}, "overrides": p.overrides()},
				"gridPos":     object{"x": x, "y": y, "w": w, "h": h},
			})
			x, deep = x+w, max(deep, h)
		}
		y += deep
	}
	variables := d.Variables
	if variables == nil {
		variables = []any{}
	}
	text := new(bytes.Buffer)
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	err := encoder.Encode(object{
		"uid": d.UID, "title": d.Title, "refresh": d.Refresh, "tags": []string{"tributary"}, "schemaVersion": 39,
		"timezone": "utc", "editable": true, "time": object{"from": d.From, "to": "now"},
		"templating": object{"list": variables}, "panels": panels,
	})
	return text.Bytes(), err
}

// overrides are the panel's columns as Grafana reads them.
func (p panel) overrides() []any {
	overrides := []any{}
	for _, c := range p.columns {
		overrides = append(overrides, object{
			"matcher":    object{"id": "byRegexp", "options": "/^(?:" + c.names + ")$/"},
			"properties": []any{object{"id": "unit", "value": c.unit}, object{"id": "decimals", "value": c.digits}},
		})
	}
	return overrides
}

// The files are what these tables say: go test ./deploy/grafana -update writes them.
func TestDashboards(t *testing.T) {
	for file, d := range map[string]dashboard{"dashboards/pipeline.json": pipeline, "dashboards/business.json": business} {
		want, err := d.json()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its table says (hint: go test ./deploy/grafana -update): %v", file, err)
		}
	}
}
