package schemas

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// strictFile is a JSON file that people write. encoding/json alone would take a misspelt field for
// no field, the second of two equal keys for the only one, null for an empty list, and would stop
// at the first fault.
type strictFile struct {
	name   string
	data   []byte
	places map[string]int  // path, such as [0].hostnames[1] → where its value begins
	wrong  map[string]bool // paths of values of a wrong type: there is nothing more to say about them
	faults []fileFault
}

// fileFault is one fault and the byte that it is about, so that faults are reported in the file's
// order.
type fileFault struct {
	offset     int
	path, text string
}

// maxFaults are written out: more of one file are of one kind.
const maxFaults = 100

// jsonValue is one value of the file.
type jsonValue struct {
	offset   int
	token    json.Token // json.Delim for objects and lists
	members  []jsonMember
	elements []*jsonValue
}

type jsonMember struct {
	name   string
	offset int
	value  *jsonValue
}

// fault reports what is wrong with the value at path, or, when it is not there, with what it is
// missing from.
func (f *strictFile) fault(path, format string, args ...any) {
	if f.wrong[path] {
		return
	}
	offset, known := f.places[path]
	for parent := path; !known && parent != ""; {
		parent = parent[:max(0, strings.LastIndexAny(parent, ".["))]
		offset, known = f.places[parent]
	}
	f.faultAt(offset, path, format, args...)
}

func (f *strictFile) faultAt(offset int, path, format string, args ...any) {
	f.faults = append(f.faults, fileFault{min(offset, len(f.data)), path, fmt.Sprintf(format, args...)})
}

// has reports whether the file gives the value at path.
func (f *strictFile) has(path string) bool {
	_, ok := f.places[path]
	return ok
}

// err joins the faults in the order of the file; nil without any.
func (f *strictFile) err() error {
	slices.SortStableFunc(f.faults, func(a, b fileFault) int { return cmp.Compare(a.offset, b.offset) })
	var errs []error
	for _, fault := range f.faults[:min(len(f.faults), maxFaults)] {
		before := f.data[:fault.offset]
		line := 1 + bytes.Count(before, []byte("\n"))
		column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		if fault.path != "" {
			fault.path += ": "
		}
		errs = append(errs, fmt.Errorf("%s:%d:%d: %s%s", f.name, line, column, fault.path, fault.text))
	}
	if more := len(f.faults) - maxFaults; more > 0 {
		errs = append(errs, fmt.Errorf("%s: there are %d more faults (hint: mend these first)", f.name, more))
	}
	return errors.Join(errs...)
}

// decode reads the file into what target points to. It reports whether the text is JSON at all;
// faults of single values are kept in f, and those values are left empty.
func (f *strictFile) decode(target any) bool {
	f.places, f.wrong = make(map[string]int), make(map[string]bool)
	if bytes.HasPrefix(f.data, []byte("\ufeff")) {
		f.faultAt(0, "", "the file begins with a byte order mark (hint: save it as UTF-8 without one)")
		return false
	}
	if !utf8.Valid(f.data) {
		f.faultAt(invalidUTF8(f.data), "", "this byte is not UTF-8 (hint: save the file as UTF-8)")
		return false
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(f.data, new(json.RawMessage)); errors.As(err, &syntax) {
		offset := max(0, int(syntax.Offset)-1)
		if syntax.Error() == "unexpected end of JSON input" {
			offset = len(f.data)
		}
		f.faultAt(offset, "", "%s (hint: %s)", syntax, f.syntaxHint(offset))
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(f.data))
	decoder.UseNumber()
	root, err := f.value(decoder, "")
	if err != nil { // not reached: the syntax is known to be right
		f.faultAt(0, "", "%v (hint: a JSON array)", err)
		return false
	}
	f.assign(root, reflect.ValueOf(target).Elem(), "")
	return true
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}

// syntaxHint says what people most often got wrong where JSON ends to be JSON.
func (f *strictFile) syntaxHint(offset int) string {
	before := bytes.TrimRight(f.data[:min(offset, len(f.data))], " \t\r\n")
	rest := f.data[min(offset, len(f.data)):]
	switch {
	case len(bytes.TrimSpace(f.data)) == 0:
		return "the file is empty; it holds a JSON array of objects"
	case len(rest) == 0:
		return "a closing ] or } is missing"
	case bytes.HasSuffix(before, []byte(",")) && (rest[0] == ']' || rest[0] == '}'):
		return "no comma after the last element"
	case rest[0] == '/' || rest[0] == '#':
		return "JSON has no comments"
	case rest[0] == '\'':
		return `strings stand in double quotes`
	case json.Valid(before):
		return "nothing may follow the array"
	}
	return "a comma, a quotation mark or a bracket is missing or too many"
}

// value reads one value and remembers where it and its parts begin.
func (f *strictFile) value(d *json.Decoder, path string) (*jsonValue, error) {
	offset := f.next(d)
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	f.places[path] = offset
	v := &jsonValue{offset: offset, token: token}
	switch token {
	case json.Delim('{'):
		return v, f.object(d, v, path)
	case json.Delim('['):
		for d.More() {
			element, err := f.value(d, path+"["+strconv.Itoa(len(v.elements))+"]")
			if err != nil {
				return nil, err
			}
			v.elements = append(v.elements, element)
		}
		_, err = d.Token()
	}
	return v, err
}

func (f *strictFile) object(d *json.Decoder, v *jsonValue, path string) error {
	seen := make(map[string]bool)
	for d.More() {
		offset := f.next(d)
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string) // JSON has no other keys
		below := strings.TrimPrefix(path+"."+name, ".")
		if seen[name] {
			f.faultAt(offset, below, "this key is given twice (hint: keep one)")
		}
		seen[name] = true
		value, err := f.value(d, below)
		if err != nil {
			return err
		}
		v.members = append(v.members, jsonMember{name, offset, value})
	}
	_, err := d.Token()
	return err
}

// next is where the decoder's next token begins.
func (f *strictFile) next(d *json.Decoder) int {
	offset := int(d.InputOffset())
	for offset < len(f.data) && bytes.IndexByte([]byte(" \t\r\n,:"), f.data[offset]) >= 0 {
		offset++
	}
	return offset
}

// assign stores v in target, and reports every value of another type and every unknown field below
// it.
func (f *strictFile) assign(v *jsonValue, target reflect.Value, path string) {
	switch target.Kind() {
	case reflect.Pointer:
		target.Set(reflect.New(target.Type().Elem()))
		f.assign(v, target.Elem(), path)
	case reflect.Slice:
		if f.wants(v, path, v.token == json.Delim('['), "a list") {
			target.Set(reflect.MakeSlice(target.Type(), len(v.elements), len(v.elements)))
			for i, element := range v.elements {
				f.assign(element, target.Index(i), path+"["+strconv.Itoa(i)+"]")
			}
		}
	case reflect.Struct:
		if f.wants(v, path, v.token == json.Delim('{'), "an object") {
			f.assignFields(v, target, path)
		}
	case reflect.Map: // of strings
		if f.wants(v, path, v.token == json.Delim('{'), "an object") {
			target.Set(reflect.MakeMap(target.Type()))
			for _, m := range v.members {
				value := reflect.New(target.Type().Elem()).Elem()
				f.assign(m.value, value, path+"."+m.name)
				target.SetMapIndex(reflect.ValueOf(m.name), value)
			}
		}
	case reflect.String:
		text, ok := v.token.(string)
		f.wants(v, path, ok, "a string")
		target.SetString(text)
	case reflect.Bool:
		yes, ok := v.token.(bool)
		f.wants(v, path, ok, "true or false, without quotation marks")
		target.SetBool(yes)
	case reflect.Int:
		number, _ := v.token.(json.Number)
		n, err := strconv.Atoi(number.String())
		f.wants(v, path, err == nil, "a whole number, without quotation marks")
		target.SetInt(int64(n))
	case reflect.Float64:
		number, _ := v.token.(json.Number)
		x, err := number.Float64()
		f.wants(v, path, err == nil, "a number, without quotation marks")
		target.SetFloat(x)
	}
}

func (f *strictFile) assignFields(v *jsonValue, target reflect.Value, path string) {
	fields := make(map[string]reflect.Value)
	var names []string
	for i := range target.NumField() {
		name := target.Type().Field(i).Tag.Get("json")
		fields[name] = target.Field(i)
		names = append(names, name)
	}
	for _, m := range v.members {
		below := strings.TrimPrefix(path+"."+m.name, ".")
		field, ok := fields[m.name]
		if !ok {
			f.faultAt(m.offset, below, "there is no such field (hint: one of %s)", strings.Join(names, ", "))
			continue
		}
		f.assign(m.value, field, below)
	}
}

// wants reports whether ok, and if not, which kind of value belongs at path.
func (f *strictFile) wants(v *jsonValue, path string, ok bool, kind string) bool {
	switch {
	case ok:
		return true
	case v.token == nil:
		f.faultAt(v.offset, path, "null is no value (hint: %s, or leave the field out)", kind)
	default:
		f.faultAt(v.offset, path, "this value has the wrong type (hint: %s)", kind)
	}
	f.wrong[path] = true
	return false
}
