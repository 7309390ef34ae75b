// Package stripefile reads Stripe events from files, as Stripe's command line and dashboard export
// them.
//
// One event per file, a JSON array of events, or one event per line (NDJSON); the bytes of each
// event are kept as they stand in the file.
package stripefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"tributary/schemas"
)

// Event is one event to deliver.
type Event struct {
	ID, Type string
	From     string // file, and number of the value in it
	Body     []byte
}

// Refusal is one value that is not an event.
type Refusal struct {
	From string
	Why  error
}

const format = "one event per value, as `stripe events retrieve` prints it"

// Read reads a file, a directory's *.json, *.jsonl and *.ndjson files in the order of their names,
// or - for in. Values that are not events are answered as refusals; an error means that something
// could not be read at all.
func Read(path string, in io.Reader) ([]Event, []Refusal, error) {
	if path == "-" {
		b, err := io.ReadAll(in)
		if err != nil {
			return nil, nil, fmt.Errorf("read events from stdin: %w", err)
		}
		events, refused := parse("-", b)
		return events, refused, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read events: %w (hint: - reads from stdin)", err)
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = inDirectory(path); err != nil {
			return nil, nil, err
		}
	}
	var events []Event
	var refused []Refusal
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, nil, fmt.Errorf("read events: %w", err)
		}
		e, r := parse(f, b)
		events, refused = append(events, e...), append(refused, r...)
	}
	return events, refused, nil
}

func inDirectory(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && slices.Contains([]string{".json", ".jsonl", ".ndjson"}, filepath.Ext(path)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("list events: no .json, .jsonl or .ndjson file in %s (hint: name the file itself)", dir)
	}
	return files, nil
}

// parse reads all values of one file. What follows a broken value cannot be read and counts as part
// of it.
func parse(from string, b []byte) ([]Event, []Refusal) {
	var events []Event
	var refused []Refusal
	number := 0
	take := func(value json.RawMessage) {
		number++
		name := fmt.Sprintf("%s #%d", from, number)
		e, err := event(value)
		if err != nil {
			refused = append(refused, Refusal{name, err})
			return
		}
		e.From = name
		events = append(events, e)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	for {
		var value json.RawMessage
		err := d.Decode(&value)
		if errors.Is(err, io.EOF) {
			if number == 0 {
				refused = append(refused, Refusal{from, errors.New("read event: the file is empty (hint: " + format + ")")})
			}
			return events, refused
		}
		if err != nil {
			refused = append(refused, Refusal{
				fmt.Sprintf("%s #%d", from, number+1), fmt.Errorf("read event: %w", schemas.JSONFault(d, 0, err)),
			})
			return events, refused
		}
		var many []json.RawMessage
		if value[0] == '[' && json.Unmarshal(value, &many) == nil {
			for _, v := range many {
				take(v)
			}
			continue
		}
		take(value)
	}
}

// event takes a value that calls itself an event.
func event(value json.RawMessage) (Event, error) {
	var e struct {
		ID, Object, Type string
		Data             json.RawMessage
	}
	if err := json.Unmarshal(value, &e); err != nil {
		return Event{}, fmt.Errorf("read event: %w (hint: %s)", err, format)
	}
	var data struct{ Object json.RawMessage }
	switch {
	case e.Object == "list":
		return Event{}, errors.New("read event: this is a page of a list (hint: send its data array)")
	case e.Object == "":
		return Event{}, errors.New(`read event: no "object" in it (hint: an event has "object": "event", "id", "type" and "data")`)
	case e.Object != "event":
		return Event{}, fmt.Errorf("read event: a bare %s, not an event (hint: put it under data.object of an event whose "+
			"type says what happened to it)", e.Object)
	case e.ID == "" || e.Type == "" || json.Unmarshal(e.Data, &data) != nil || len(data.Object) == 0:
		return Event{}, errors.New("read event: id, type or data.object is missing (hint: " + format + ")")
	}
	return Event{ID: e.ID, Type: e.Type, Body: value}, nil
}
