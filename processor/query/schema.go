package query

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"tributary/sql"
)

// Schema is a JSON Schema (https://json-schema.org/draft/2020-12) of what questions need.
type Schema struct {
	Type        string             `json:"type"`
	Description string             `json:"description,omitempty"`
	Format      string             `json:"format,omitempty"`
	Default     any                `json:"default,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Items       *Schema            `json:"items,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false, or the schema of further properties
}

// ParameterSchema returns the schema of a question's parameters, for callers of some workspaces.
// forOne says that the server decides the affiliate.
func ParameterSchema(q sql.Question, workspaces []string, forOne bool) *Schema {
	s := &Schema{Type: "object", Properties: make(map[string]*Schema), Additional: false}
	for _, p := range q.Parameters {
		if forOne && p.Name == affiliateParameter {
			continue
		}
		one := schemaOf(p.Type)
		one.Description = p.Meaning
		if one.Items != nil {
			one.Items.Enum = p.Values
		} else {
			one.Enum = p.Values
		}
		switch {
		case p.Name == "workspace":
			one.Enum = workspaces
		case p.Optional:
			one.Default = p.Default
			if one.Type != "string" && json.Valid([]byte(p.Default)) {
				one.Default = json.RawMessage(p.Default)
			}
		default:
			s.Required = append(s.Required, p.Name)
		}
		s.Properties[p.Name] = one
	}
	return s
}

func schemaOf(kind string) *Schema {
	if element, isList := elementType(kind); isList {
		return &Schema{Type: "array", Items: schemaOf(element)}
	}
	zero := 0
	if kind == filterType {
		return &Schema{Type: "object", Additional: &Schema{Type: "array", Items: &Schema{Type: "string"}}}
	}
	switch kind = bareType(kind); {
	case strings.HasPrefix(kind, "UInt"):
		return &Schema{Type: "integer", Minimum: &zero}
	case strings.HasPrefix(kind, "Int"):
		return &Schema{Type: "integer"}
	case strings.HasPrefix(kind, "Float"):
		return &Schema{Type: "number"}
	case kind == "Bool":
		return &Schema{Type: "boolean"}
	case kind == "Date":
		return &Schema{Type: "string", Format: "date"}
	case strings.HasPrefix(kind, "DateTime"):
		return &Schema{Type: "string", Format: "date-time"}
	}
	return &Schema{Type: "string"}
}

var errArguments = badParameter("Give an object, such as {\"from\":\"2026-01-01T00:00:00Z\"}.",
	"The arguments are not one JSON object of texts, numbers, booleans, and lists and objects of them.")

// Arguments reads a question's parameters from a JSON object.
func Arguments(data []byte) (map[string][]string, error) {
	given := make(map[string][]string)
	if len(bytes.TrimSpace(data)) == 0 {
		return given, nil
	}
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // no number passes through a float
	if err := decoder.Decode(&object); err != nil {
		return nil, errArguments
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errArguments
	}
	for name, value := range object {
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		if value == nil {
			continue // as if it were left out
		}
		if filter, ok := value.(map[string]any); ok {
			text, err := json.Marshal(filter)
			if err != nil {
				return nil, errArguments
			}
			given[name] = []string{string(text)}
			continue
		}
		for _, element := range list {
			text, err := argument(element)
			if err != nil {
				return nil, err
			}
			given[name] = append(given[name], text)
		}
		if isList && len(list) == 0 {
			given[name] = []string{"[]"}
		}
	}
	return given, nil
}

func argument(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		if v {
			return "true", nil
		}
		return "false", nil
	}
	return "", errArguments
}
