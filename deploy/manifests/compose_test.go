package manifests

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// composed reads compose.yaml with overlays, as docker compose does, with what .env.example says.
func composed(t *testing.T, overlays ...string) *types.Project {
	t.Helper()
	files := []string{"../compose/compose.yaml"}
	for _, o := range overlays {
		files = append(files, "../compose/"+o)
	}
	options, err := cli.NewProjectOptions(files, cli.WithEnv([]string{"KAFKA_CLUSTER_ID=MkU3OEVBNTcwNTJENDM2Qk",
		"CLICKHOUSE_CLUSTER_SECRET=sesame"}),
		cli.WithInterpolation(true), cli.WithResolvedPaths(true), cli.WithConsistency(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatalf("%v: %v", files, err)
	}
	return project
}

// overlays returns every overlay, alone and all together.
func overlays(t *testing.T) [][]string {
	t.Helper()
	files, err := filepath.Glob("../compose/compose.*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d overlays, %v", len(files), err)
	}
	var all []string
	for _, f := range files {
		all = append(all, filepath.Base(f))
	}
	list := [][]string{nil, all}
	for _, f := range all {
		list = append(list, []string{f})
	}
	return list
}

// Each file and each combination is whole, and what it mounts from this repository is there.
func TestCompose(t *testing.T) {
	for _, o := range overlays(t) {
		project := composed(t, o...)
		for _, name := range slices.Sorted(maps.Keys(project.Services)) {
			s := project.Services[name]
			if s.Image == "" || strings.HasSuffix(s.Image, ":latest") && s.Build == nil {
				t.Errorf("%v: %s has the image %q, want one that is pinned", o, name, s.Image)
			}
			if s.Build != nil && !(s.ReadOnly && slices.Contains(s.CapDrop, "ALL")) {
				t.Errorf("%v: %s may write to its image or keeps capabilities", o, name)
			}
			for _, v := range s.Volumes {
				if v.Type == types.VolumeTypeBind {
					if _, err := os.Stat(v.Source); err != nil {
						t.Errorf("%v: %s mounts what is not there: %v", o, name, err)
					}
				}
			}
			if s.Restart == "no" && !awaited(project, name) {
				t.Errorf("%v: no service waits until %s has ended, so docker compose up --wait takes its end for a failure", o,
					name)
			}
			for _, p := range s.Ports {
				if p.HostIP != "127.0.0.1" {
					t.Errorf("%v: %s is published on %q, want 127.0.0.1 where nobody says otherwise", o, name, p.HostIP)
				}
			}
		}
	}
}

// awaited reports whether a service that goes on waits for the end of another.
func awaited(project *types.Project, name string) bool {
	for _, s := range project.Services {
		if d, ok := s.DependsOn[name]; ok && d.Condition == types.ServiceConditionCompletedSuccessfully && s.Restart != "no" {
			return true
		}
	}
	return false
}

// Every variable is explained in .env.example with its default, and there is no other.
func TestComposeVariables(t *testing.T) {
	files, err := filepath.Glob("../compose/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)(?::-([^}]*)|:\?[^}]*)?\}`).FindAllStringSubmatch(string(text),
			-1) {
			if old, ok := used[m[1]]; ok && old != m[2] {
				t.Errorf("%s has the defaults %q and %q", m[1], old, m[2])
			}
			used[m[1]] = m[2]
		}
	}
	text, err := os.ReadFile("../compose/.env.example")
	if err != nil {
		t.Fatal(err)
	}
	explained := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
		explained[m[1]] = m[2]
	}
	if !maps.Equal(used, explained) {
		t.Errorf("the files use %v\n.env.example has %v", used, explained)
	}
}
