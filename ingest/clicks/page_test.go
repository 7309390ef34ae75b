package clicks

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tributary/schemas"
)

// Every command of API.md and of README.md is run against an edge, and answered as the page says.
// "…" stands for any text.
func TestCommandsOfPages(t *testing.T) {
	page := readPage(t, "../API.md") + readPage(t, "../../README.md")
	e := newEdge(t, func(c *Config) {
		c.Workspaces = NewDirectory([]schemas.Workspace{{ID: "default", SecretKeys: []string{"sk_…"}}})
	})
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```\n```json\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(blocks) != strings.Count(page, "```sh") || len(blocks) < 8 {
		t.Fatalf("%d commands with an answer of %d", len(blocks), strings.Count(page, "```sh"))
	}
	for _, block := range blocks {
		command := strings.ReplaceAll(block[1], "https://clicks.example.com", e.url)
		output, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "curl ", "curl -sS ",
			1)).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", block[1], err, output)
		}
		var got, want any
		if err := json.Unmarshal(output, &got); err != nil {
			t.Errorf("%s: %v\n%s", block[1], err, output)
			continue
		}
		if err := json.Unmarshal([]byte(block[2]), &want); err != nil {
			t.Fatalf("%s: %v", block[2], err)
		}
		if !alike(got, want) {
			t.Errorf("%sanswers\n%s\nthe page says\n%s", block[1], output, block[2])
		}
	}
}

// The pixels that the script's page gives to pages without scripts are page views of the page that
// shows them, with the referrer that AMP fills in.
func TestPixelsOfPages(t *testing.T) {
	e := newEdge(t, func(c *Config) {
		c.Workspaces = NewDirectory([]schemas.Workspace{{ID: "default", PublishableKeys: []string{"pk_…"}}})
	})
	const page, referrer = "https://shop.example/a?b=1&c=ü", "https://www.google.com/"
	pixels := regexp.MustCompile(`src="https://clicks\.example\.com(/v1/click\.gif[^"]*)"`).FindAllStringSubmatch(
		readPage(t, "script/README.md"), -1)
	if len(pixels) != 2 {
		t.Fatalf("%d pixels", len(pixels))
	}
	for i, want := range []string{referrer, ""} {
		path := strings.NewReplacer("SOURCE_URL", url.QueryEscape(page), "DOCUMENT_REFERRER", url.QueryEscape(referrer),
			"…", url.QueryEscape("…")).Replace(pixels[i][1])
		e.want(e.do("GET", path, "", "Referer: "+page), 200, "")
		if c := e.nextClick(); c.Url != page || c.Referrer != want || c.Trigger != "pageview" {
			t.Errorf("%s: %v", path, c)
		}
	}
}

// alike compares JSON; a wanted "…" is any text but the empty one.
func alike(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		object, _ := got.(map[string]any)
		if len(object) != len(want) {
			return false
		}
		for name, value := range want {
			if !alike(object[name], value) {
				return false
			}
		}
		return true
	case []any:
		list, _ := got.([]any)
		return slices.EqualFunc(list, want, alike)
	case string:
		text, ok := got.(string)
		return ok && (text == want || want == "…" && text != "")
	}
	return got == want
}

// API.md has every address, field and error code that the OpenAPI document has, which other tests
// compare with the code.
func TestAPIPageIsWhole(t *testing.T) {
	page, api := readPage(t, "../API.md"), readOpenAPI(t)
	for path := range api.Paths {
		if path != "/stripe/webhook" && !strings.Contains(page, path+"`") {
			t.Errorf("no address %s", path)
		}
	}
	for _, name := range []string{"Click", "Lead", "TrackClick", "TrackOpen", "TrackLead", "TrackSale"} {
		for field := range api.Components.Schemas[name].Properties {
			if !strings.Contains(page, "\n| `"+field+"` | ") {
				t.Errorf("%s: no field %s", name, field)
			}
		}
	}
	for _, f := range faults {
		row := fmt.Sprintf("\n| %d | `%s` | %s | %s |", f.status, f.code, f.message, f.hint)
		if f != errOptedOut && !strings.Contains(page, row) {
			t.Errorf("no row %s", row)
		}
	}
}

func readPage(t *testing.T, path string) string {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}
