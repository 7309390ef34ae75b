package query

import (
	"net/http"
	"slices"
	"strings"
)

// Format is how ClickHouse writes an answer.
type Format struct {
	Name       string // as format=… names it
	MediaType  string
	clickHouse string
}

// Formats that an answer can have. In JSON every decimal and every integer of 64 bits or more is a
// string, because most readers of JSON would round it.
var Formats = []Format{
	{"json", "application/json", "JSON"},
	{"ndjson", "application/x-ndjson", "JSONEachRow"},
	{"csv", "text/csv; charset=utf-8", "CSVWithNames"},
	{"parquet", "application/vnd.apache.parquet", "Parquet"},
	{"arrow", "application/vnd.apache.arrow.stream", "ArrowStream"},
}

// JSON is the format of who asks for none.
var JSON = Formats[0]

// ChooseFormat returns the format that a request asks for: by its name, else by the Accept header.
func ChooseFormat(name, accept string) (Format, error) {
	if name != "" {
		if i := slices.IndexFunc(Formats, func(f Format) bool { return f.Name == name }); i >= 0 {
			return Formats[i], nil
		}
		return Format{}, &Fault{http.StatusBadRequest, "bad_format", "There is no such format.",
			"Use format=json, ndjson, csv, parquet or arrow."}
	}
	// The first media type that is known counts. Weights are not read: who cares gives a format.
	for offered := range strings.SplitSeq(accept, ",") {
		kind, _, _ := strings.Cut(offered, ";")
		for _, f := range Formats {
			known, _, _ := strings.Cut(f.MediaType, ";")
			if strings.EqualFold(strings.TrimSpace(kind), known) {
				return f, nil
			}
		}
	}
	return JSON, nil
}
