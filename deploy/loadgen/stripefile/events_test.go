package stripefile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const paid = `{"id":"evt_1","object":"event","type":"invoice.paid","data":{"object":{"id":"in_1","object":"invoice"}}}`

func TestParse(t *testing.T) {
	f := func(text string, events int, refusal string) {
		t.Helper()
		e, r := parse("f", []byte(text))
		if len(e) != events || (refusal != "") != (len(r) == 1) {
			t.Fatalf("%s: %d events, refused %v", text, len(e), r)
		}
		if refusal != "" && !strings.Contains(r[0].Why.Error(), refusal) {
			t.Fatalf("%s: %v", text, r[0].Why)
		}
	}
	f(paid, 1, "")
	f(paid+"\n"+paid+"\n", 2, "")
	f(" [\n"+paid+",\n"+paid+"]", 2, "")
	f(`{"id":"in_1","object":"invoice"}`, 0, "a bare invoice")
	f(`[`+paid+`,{"id":"in_1","object":"invoice"}]`, 1, "a bare invoice")
	f(`{"object":"list","data":[`+paid+`]}`, 0, "data array")
	f(`{"resources":{}}`, 0, `no "object"`)
	f(`{"object":"event","id":"evt_1"}`, 0, "missing")
	f(paid+"\n{", 1, fmt.Sprintf("behind byte %d (hint: it is cut short", len(paid)))
	f(paid+"\n{,", 1, fmt.Sprintf("byte %d: invalid character ',' looking", len(paid)+3))
	f("\x1f\x8b", 0, "byte 1: invalid character '\\x1f' looking for beginning of value (hint: ")
	f(`3`, 0, "one event per value")
	f(``, 0, "empty")
	if e, _ := parse("f", []byte("["+paid+" ]")); string(e[0].Body) != paid {
		t.Fatalf("the bytes changed: %s", e[0].Body)
	}
}

func TestReadDirectory(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := Read(dir, nil); err == nil {
		t.Fatal("an empty directory was read")
	}
	for _, name := range []string{"b.json", "a.ndjson", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(paid), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, r, err := Read(dir, nil)
	if err != nil || len(e) != 2 || len(r) != 0 || !strings.Contains(e[0].From, "a.ndjson") {
		t.Fatalf("%v %v %v", e, r, err)
	}
	if e, _, err := Read("-", strings.NewReader(paid)); err != nil || len(e) != 1 {
		t.Fatalf("stdin: %v %v", e, err)
	}
}
