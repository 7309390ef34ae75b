package clicks

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// decode makes of a text what encoding/json makes of it with UseNumber: the scanner's values, one
// inside another.
func decode(s *scanner) (any, error) {
	v, err := s.value()
	if err != nil {
		return nil, err
	}
	// Strings share the scanner's memory, which grows while the tree is built.
	text := strings.Clone(v.text)
	after := s.pos
	defer func() { s.pos = after }()
	switch v.kind {
	case kindNull:
		return nil, nil
	case kindBool:
		return text == "true", nil
	case kindNumber:
		return json.Number(text), nil
	case kindString:
		return text, nil
	case kindArray:
		list := []any{}
		s.pos = v.from + 1
		for first := true; ; first = false {
			more, err := s.more(']', first)
			if err != nil || !more {
				return list, err
			}
			element, err := decode(s)
			if err != nil {
				return nil, err
			}
			list = append(list, element)
		}
	default:
		object := map[string]any{}
		s.pos = v.from + 1
		for first := true; ; first = false {
			more, err := s.more('}', first)
			if err != nil || !more {
				return object, err
			}
			name, err := s.name()
			if err != nil {
				return nil, err
			}
			name = strings.Clone(name)
			if object[name], err = decode(s); err != nil {
				return nil, err
			}
		}
	}
}

// depth is how deep brackets stand in one another, strings left out.
func depth(text []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}

// compare reports where the scanner and encoding/json disagree about a text.
func compare(t *testing.T, text []byte) {
	t.Helper()
	if depth(text) > maxDepth || len(text) > maxText {
		return
	}
	var want any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	wantErr := d.Decode(&want)
	if !json.Valid(text) {
		wantErr = errJSON // Decode reads one value and leaves the rest
	}
	var s scanner
	s.reset(text)
	got, err := decode(&s)
	if err == nil && !s.end() {
		err = errJSON
	}
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q: %v, encoding/json says %v", text, err, wantErr)
	}
	if err != nil {
		return
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if !bytes.Equal(a, b) {
		t.Fatalf("%q: %s, encoding/json reads %s", text, a, b)
	}
	// What is skipped is checked as strictly as what is read.
	s.reset(text)
	if err := s.skip(); err != nil || !s.end() {
		t.Fatalf("%q: skip says %v", text, err)
	}
}

var jsonTexts = []string{
	``, ` `, `null`, `true`, `false`, `nul`, `truex`, `"`, `""`, `"a`, `"a\`, `"a\u12`, `"\ud83d\ude00"`, `"\ud83d"`,
	`"\ud83dx"`, `"\ud83d\u0041"`, `"\ud83d\ud83d\ude00"`,
	`"\ude00"`, `"\uD83D\uDE00\/\b\f\n\r\t\"\\"`, `"\x"`, `"\u00g0"`, "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\xff\xfe\"",
	"\"\xe2\x82\"", "\"\xed\xa0\x80\"", "\"\xf0\x9f\x98\x80\"", "\"\u2028\"",
	`0`, `-0`, `-`, `01`, `1.`, `.5`, `1.5e`, `1e+`, `1E-7`, `1e400`, `-12.50e+03`, `+1`, `0x1`, `NaN`,
	`Infinity`, `1_000`,
	`[]`, `[`, `[,]`, `[1,]`, `[1 2]`, `[1,2`, `[[],[{}]]`, `[}`, `{]`, `{}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`,
	`{"a":1 "b":2}`, `{a:1}`, `{'a':1}`, `{"a":1}}`, `{"a":1}x`,
	`{"a":1,"a":2}`, `{"\u0061":[true,null,{"b":"c"}]}`, "\ufeff{}", " \t\r\n{ \"a\" : [ 1 , 2 ] } \n", "\v{}",
	`{"a":"\u2028"}`, `[1]/*x*/`, `"\u0000"`,
}

func TestScannerAgreesWithEncodingJSON(t *testing.T) {
	for _, text := range jsonTexts {
		compare(t, []byte(text))
	}
	for _, n := range []int{maxDepth - 1, maxDepth} {
		compare(t, []byte(strings.Repeat("[", n)+strings.Repeat("]", n)))
		compare(t, []byte(strings.Repeat(`{"a":`, n)+"1"+strings.Repeat("}", n)))
		compare(t, []byte(strings.Repeat("[", n)))
	}
}

func TestScannerDepth(t *testing.T) {
	for text, want := range map[string]bool{
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth):               true,
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1):           false,
		strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1): false,
		strings.Repeat("[", 1<<20): false,
	} {
		var s scanner
		s.reset([]byte(text))
		if err := s.skip(); (err == nil) != want {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
}

// Of a string that is longer than any field the beginning is enough; what stands behind it is still
// read.
func TestScannerLongStrings(t *testing.T) {
	for _, unit := range []string{"x", `\n`, "\xff", `\ud83d\ude00`, "é"} {
		text := `"a` + strings.Repeat(unit, 100_000) + `\t"`
		var want string
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		var s scanner
		s.reset([]byte(text))
		v, err := s.value()
		if err != nil || !s.end() || len(v.text) <= maxText || !strings.HasPrefix(want, v.text) {
			t.Errorf("%q…: %d bytes, %v", text[:10], len(v.text), err)
		}
		if cap(s.text) > 4*maxText {
			t.Errorf("%q…: %d bytes were taken", text[:10], cap(s.text))
		}
		for _, broken := range []string{text[:len(text)-1], strings.TrimSuffix(text, `"`) + "\x01\"",
			strings.TrimSuffix(text, `"`) + `\x"`} {
			s.reset([]byte(broken))
			if _, err := s.value(); err == nil {
				t.Errorf("…%q is taken", broken[len(broken)-5:])
			}
		}
	}
}

func FuzzScanner(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add([]byte(text))
	}
	f.Add([]byte(sampleBatch(1, 3)))
	f.Fuzz(compare)
}
