package stripe

import (
	"encoding/json"
	"os"
	"reflect"
	"strconv"
	"testing"
)

// schemas/openapi.json knows every code that the webhook can give, with its status and its message,
// and no other.
func TestOpenAPIErrors(t *testing.T) {
	text, err := os.ReadFile("../../schemas/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]struct {
			Post struct{ Responses map[string]any }
		}
		Components struct {
			Schemas map[string]struct {
				Enum  []string
				Codes map[string]map[string]string `json:"x-codes"`
			}
		}
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	want := make(map[string]map[string]string)
	var codes []string
	for _, f := range faults {
		status := strconv.Itoa(f.status)
		if want[status] == nil {
			want[status] = make(map[string]string)
		}
		want[status][f.code] = f.message
		codes = append(codes, f.code)
	}
	schema, responses := document.Components.Schemas["WebhookErrorCode"], document.Paths[Path].Post.Responses
	if !reflect.DeepEqual(schema.Codes, want) || !reflect.DeepEqual(schema.Enum, codes) {
		t.Errorf("the document has\n%v\nthe webhook\n%v", schema.Codes, want)
	}
	for status := range want {
		if responses[status] == nil {
			t.Errorf("the document does not say that %s is answered", status)
		}
	}
	if len(responses) != len(want)+1 { // and 200
		t.Errorf("the document has the answers %v", responses)
	}
}
