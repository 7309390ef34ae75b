package clicks

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// openAPI is schemas/openapi.json, as far as the tests look at it.
type openAPI struct {
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Properties map[string]json.RawMessage   `json:"properties"`
			Enum       []string                     `json:"enum"`
			Codes      map[string]map[string]string `json:"x-codes"`
		} `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	Parameters []struct{ Name string } `json:"parameters"`
	Responses  map[string]any          `json:"responses"`
}

func readOpenAPI(t *testing.T) *openAPI {
	t.Helper()
	text, err := os.ReadFile("../../schemas/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	api := new(openAPI)
	if err := json.Unmarshal(text, api); err != nil {
		t.Fatal(err)
	}
	// Every reference leads somewhere.
	var whole any
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	walk(whole, func(reference string) {
		path, ok := strings.CutPrefix(reference, "#/")
		if !ok {
			if _, err := os.Stat("../../schemas/" + reference); err != nil {
				t.Errorf("%s: %v", reference, err)
			}
			return
		}
		at := whole
		for step := range strings.SplitSeq(path, "/") {
			object, _ := at.(map[string]any)
			if at = object[step]; at == nil {
				t.Errorf("%s leads nowhere", reference)
				return
			}
		}
	})
	return api
}

// walk calls found for every $ref.
func walk(value any, found func(string)) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if text, ok := inner.(string); ok && key == "$ref" {
				found(text)
			}
			walk(inner, found)
		}
	case []any:
		for _, inner := range v {
			walk(inner, found)
		}
	}
}

// The document knows every code that the edge can give, with its status and its message, and no
// other.
func TestOpenAPIErrors(t *testing.T) {
	api := readOpenAPI(t)
	want := make(map[string]map[string]string)
	var codes []string
	for _, f := range faults {
		if f == errOptedOut {
			continue // answered 200
		}
		status := strconv.Itoa(f.status)
		if want[status] == nil {
			want[status] = make(map[string]string)
		}
		want[status][f.code] = f.message
		codes = append(codes, f.code)
	}
	document := api.Components.Schemas["ErrorCode"]
	if !reflect.DeepEqual(document.Codes, want) {
		t.Errorf("the document has\n%v\nthe edge\n%v", document.Codes, want)
	}
	slices.Sort(codes)
	if listed := slices.Sorted(slices.Values(document.Enum)); !slices.Equal(listed, codes) {
		t.Errorf("the document lists\n%v\nthe edge\n%v", listed, codes)
	}
}

// The document has every field that the edge reads, and no other.
func TestOpenAPIFields(t *testing.T) {
	api := readOpenAPI(t)
	fields := func(schema string) []string {
		return slices.Sorted(maps.Keys(api.Components.Schemas[schema].Properties))
	}
	same := func(what string, document, code []string) {
		t.Helper()
		slices.Sort(code)
		if !slices.Equal(document, code) {
			t.Errorf("%s: the document has\n%v\nthe edge reads\n%v", what, document, code)
		}
	}
	clicks := slices.DeleteFunc(cases(t, "parse.go", "set"), func(name string) bool {
		return name == "domain" ||
			name == "deepLink"
	})
	same("Click", fields("Click"), clicks)
	var parameters []string
	for _, p := range api.Paths["/v1/click.gif"]["get"].Parameters {
		parameters = append(parameters, p.Name)
	}
	slices.Sort(parameters)
	same("click.gif", parameters, slices.Clone(clicks))
	leads := slices.Concat(cases(t, "lead_fields.go", "text"), cases(t, "lead_fields.go", "set"))
	both := slices.Concat(fields("Lead"), fields("TrackLead"))
	slices.Sort(both)
	same("Lead and TrackLead", slices.Compact(both), leads)
	var sale []string
	for i := range reflect.TypeFor[saleCall]().NumField() {
		sale = append(sale, reflect.TypeFor[saleCall]().Field(i).Tag.Get("json"))
	}
	same("TrackSale", fields("TrackSale"), sale)
	for _, name := range slices.Concat(fields("TrackClick"), fields("TrackOpen")) {
		if e := (&event{track: true}); !e.set(name, "", false) {
			t.Errorf("TrackClick and TrackOpen: the edge does not read %s", name)
		}
	}
}

// cases are the names for which a method's first switch, on name, has a case.
func cases(t *testing.T, file, method string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, declaration := range parsed.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || f.Name.Name != method {
			continue
		}
		for _, statement := range f.Body.List {
			chosen, ok := statement.(*ast.SwitchStmt)
			if !ok {
				continue
			}
			if tag, ok := chosen.Tag.(*ast.Ident); !ok || tag.Name != "name" {
				continue
			}
			for _, clause := range chosen.Body.List {
				for _, expression := range clause.(*ast.CaseClause).List {
					text, err := strconv.Unquote(expression.(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					names = append(names, text)
				}
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("%s: %s has no switch on name", file, method)
	}
	return names
}

// What the document says of addresses and methods is what the edge does: it knows each, and takes
// no other method there.
func TestOpenAPIRoutes(t *testing.T) {
	api := readOpenAPI(t)
	e := newEdge(t, nil)
	for path, operations := range api.Paths {
		if path == "/stripe/webhook" {
			continue // another program's
		}
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
			response := e.do(method, path, "")
			o, documented := operations[strings.ToLower(method)]
			_, status := o.Responses[strconv.Itoa(response.StatusCode)]
			switch {
			case !documented && method == "OPTIONS": // answered everywhere, and useful where a browser may send
			case !documented && response.StatusCode != http.StatusMethodNotAllowed:
				t.Errorf("%s %s is not in the document and is answered %d", method, path, response.StatusCode)
			case documented && !status:
				t.Errorf("%s %s is answered %d, of which the document says nothing", method, path, response.StatusCode)
			}
		}
	}
}
