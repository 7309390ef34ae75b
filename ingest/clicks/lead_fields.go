package clicks

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"strings"

	"tributary/schemas"
)

// parseLead reads both spellings. Its strings are copies.
func parseLead(j *scanner, body []byte) (*leadCall, *fault) {
	j.reset(withoutBOM(body))
	if !j.open('{') {
		return nil, errBadJSON
	}
	call := &leadCall{}
	call.lead.Mode, call.lead.Quantity = "async", 1
	var f *fault
	for first := true; ; first = false {
		more, err := j.more('}', first)
		if err != nil {
			return nil, errBadJSON
		}
		if !more {
			break
		}
		name, err := j.name()
		if err != nil {
			return nil, errBadJSON
		}
		v, err := j.value()
		if err != nil {
			return nil, errBadJSON
		}
		if g := call.set(j, name, v); f == nil {
			f = g
		}
	}
	if !j.end() {
		return nil, errBadJSON
	}
	call.lead.ExternalId = cmp.Or(filled(call.lead.ExternalId), filled(call.older[0]), filled(call.older[1]))
	if f == nil {
		f = checkPerson(call.lead.ExternalId, call.email)
	}
	if call.lead.EventName == "" {
		call.lead.EventName = "Sign up"
	}
	return call, f
}

// checkPerson returns why a person cannot be known by these. All texts that cannot be read look
// alike: two people would be one.
func checkPerson(externalID, email string) *fault {
	switch {
	case externalID == "":
		return errBadLead
	case !isUnicode(externalID), !isUnicode(email):
		return errNotUnicode
	}
	return nil
}

// set takes one field. Those that it does not know are ignored.
func (c *leadCall) set(j *scanner, name string, v value) *fault {
	if to, limit := c.text(name); to != nil {
		return leadText(to, v, limit)
	}
	switch name {
	case "click_id", "clickId":
		f := leadText(&c.lead.ClickRef, v, math.MaxInt)
		c.lead.ClickRef = clickRef(c.lead.ClickRef)
		return f
	case "event_time", "eventTime":
		return c.setTime(v)
	case "mode":
		return c.setMode(v)
	case "quantity", "eventQuantity":
		return c.setQuantity(v)
	case "metadata":
		m, ok := metadata(j, v)
		if !ok {
			return errBadMetadata
		}
		c.lead.Metadata = m
	}
	return nil
}

// text returns where the text of a field is kept, and its limit in bytes; nil if the field is none
// that holds a text as it is.
func (c *leadCall) text(name string) (to *string, limit int) {
	switch name {
	case "external_id", "customerExternalId":
		return &c.lead.ExternalId, maxExternalID
	case "externalId":
		return &c.older[0], maxExternalID
	case "customerId":
		return &c.older[1], maxExternalID
	case "event_name", "eventName":
		return &c.lead.EventName, maxEventName
	case "email", "customerEmail":
		return &c.email, maxEmail
	case "customerName":
		return &c.name, 1000
	}
	return nil, 0
}

func (c *leadCall) setTime(v value) *fault {
	text := ""
	if f := leadText(&text, v, maxID); f != nil || text == "" {
		return f
	}
	at, ok := parseTime(text, v.kind == kindNumber)
	if !ok {
		return errBadTime
	}
	c.lead.OccurredAt = at
	return nil
}

func (c *leadCall) setMode(v value) *fault {
	mode := ""
	if f := leadText(&mode, v, maxID); f != nil {
		return f
	}
	switch mode {
	case "":
	case "async", "wait", "deferred":
		c.lead.Mode = mode
	default:
		return errBadMode
	}
	return nil
}

func (c *leadCall) setQuantity(v value) *fault {
	if v.kind == kindNull {
		return nil
	}
	n, err := whole(strings.TrimSpace(v.text))
	if v.kind != kindNumber && v.kind != kindString || err != nil || n < 1 || n > maxQuantity {
		return errBadQuantity
	}
	c.lead.Quantity = uint32(n)
	return nil
}

// filled returns an id, or "" for one that its sender failed to fill in.
func filled(id string) string {
	if schemas.IsUnfilled(id) {
		return ""
	}
	return id
}

// leadText copies a string of at most limit bytes, without the space around it. Numbers are taken
// too: ids of databases often are.
func leadText(to *string, v value, limit int) *fault {
	text := strings.TrimSpace(v.text)
	switch v.kind {
	case kindString:
	case kindNumber:
		text = plainNumber(text)
	case kindNull:
		return nil
	default:
		return errBadField
	}
	if len(text) > limit {
		return errTooLong
	}
	*to = strings.Clone(text)
	return nil
}

// metadata reads an object: strings as they are, everything else as its JSON. It reports whether v
// is an object of at most maxMetadata bytes.
func metadata(j *scanner, v value) (map[string]string, bool) {
	switch v.kind {
	case kindNull:
		return nil, true
	case kindObject:
	default:
		return nil, false
	}
	after := j.pos
	defer func() { j.pos = after }()
	j.pos = v.from + 1
	m := make(map[string]string)
	size := 0
	for first := true; ; first = false {
		more, err := j.more('}', first)
		if err != nil || !more {
			return m, err == nil
		}
		name, _ := j.name()
		v, _ := j.value()
		text := strings.Clone(v.text)
		if v.kind == kindArray || v.kind == kindObject {
			var compact bytes.Buffer
			_ = json.Compact(&compact, []byte(v.text)) // the scanner has found it to be JSON
			text = clean(compact.String())             // within its strings may be anything
		}
		if size += len(name) + len(text); size > maxMetadata {
			return nil, false
		}
		m[strings.Clone(name)] = text
	}
}
