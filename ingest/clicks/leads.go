package clicks

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"tributary/schemas"
)

// maxMetadata is Dub's limit, in bytes of JSON; maxExternalID is ours, above Dub's 100.
const (
	maxMetadata   = 10_000
	maxEventName  = 255
	maxExternalID = 200
	maxQuantity   = 100
	maxEmail      = 320 // RFC 5321 §4.5.3.1: 64 + @ + 255
)

// leadID makes the same lead sent twice one lead: a hash of workspace, external id and event name,
// the latter as Dub compares it, in lower case with dashes for spaces. source is what else the lead
// is known by: empty for a backend's own leads. The first row under an id stays, so what a page
// sends has ids of its own and cannot take the place of what a backend will send.
func leadID(workspace, externalID, eventName, source string) schemas.ClickID {
	name := strings.Join(strings.Fields(strings.ToLower(eventName)), "-")
	text := workspace + "\x00" + externalID + "\x00" + name
	if source != "" {
		text += "\x00" + source
	}
	sum := sha256.Sum256([]byte(text))
	return schemas.ClickID(sum[:16])
}

// fromPage is the source of leads that a browser sent.
const fromPage = "page"

// leadCall is a lead as /v1/leads (snake_case) and /track/lead (camelCase, as Dub's SDKs write it)
// have it.
type leadCall struct {
	lead  schemas.Lead
	email string
	name  string    // echoed to Dub's SDKs, not kept
	older [2]string // the buyer's id under the names that older SDKs give it, the newer name first
}

// lead takes a lead from a backend: POST /v1/leads. No CORS: secret keys have no place in a
// browser.
func (s *Server) lead(ctx *fasthttp.RequestCtx) {
	if _, id, ok := s.storeLead(ctx, false); ok {
		answer := append([]byte(`{"lead_id":"`), id.AppendText(nil)...)
		ctx.Response.Header.SetContentType("application/json")
		ctx.Response.SetBody(append(answer, `"}`...))
	}
}

// trackLead takes a lead from Dub's or PiMMs' SDKs: POST /track/lead.
func (s *Server) trackLead(ctx *fasthttp.RequestCtx) { s.answerLead(ctx, false) }

// trackClientLead takes a lead from Dub's script or its SDKs for phones: POST /track/lead/client.
// It comes with a publishable key, so anybody may have written it, and the record says so.
func (s *Server) trackClientLead(ctx *fasthttp.RequestCtx) { s.answerLead(ctx, true) }

func (s *Server) answerLead(ctx *fasthttp.RequestCtx, public bool) {
	beaconCORS(ctx)
	call, id, ok := s.storeLead(ctx, public)
	if !ok {
		return
	}
	type customer struct {
		Name       *string `json:"name"`
		Email      *string `json:"email"`
		Avatar     *string `json:"avatar"`
		ExternalID *string `json:"externalId"`
	}
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	answer, err := json.Marshal(struct {
		Click    map[string]string `json:"click"`
		Link     *struct{}         `json:"link"` // Dub allows null
		Customer customer          `json:"customer"`
		LeadID   string            `json:"lead_id"`
	}{
		Click:    map[string]string{"id": call.lead.ClickRef},
		Customer: customer{Name: optional(call.name), Email: optional(call.email), ExternalID: &call.lead.ExternalId},
		LeadID:   id.String(),
	})
	if err != nil {
		s.log.Error("encode lead answer", "error", err)
		s.refuse(ctx, errInternal)
		return
	}
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.SetBody(answer)
}

// storeLead authenticates, reads and stores a lead; public says that a publishable key will do. If
// ok is false, the request has been answered.
func (s *Server) storeLead(ctx *fasthttp.RequestCtx, public bool) (call *leadCall, id schemas.ClickID, ok bool) {
	w := s.acquire()
	defer s.release(w) // a lead's strings are copies: nothing of it lies in w
	f := s.readCall(ctx, w, public)
	if f == nil {
		call, f = parseLead(&w.json, w.body)
	}
	if f == nil {
		source := ""
		if !w.from.secret {
			source = fromPage
		}
		id, f = s.publishLead(&w.from, call, source)
	}
	if f != nil {
		s.refuse(ctx, f)
		return nil, id, false
	}
	return call, id, true
}

// publishLead stores a lead under the id that source makes (leadID). An address that a page sends
// proves nothing, and is not even hashed.
func (s *Server) publishLead(from *sender, call *leadCall, source string) (schemas.ClickID, *fault) {
	l := &call.lead
	id := leadID(from.workspace.ID, l.ExternalId, l.EventName, source)
	l.Workspace, l.LeadId, l.ReceivedAt = from.workspace.ID, id[:], s.now().UnixMilli()
	l.Vouched, l.ClickRef = new(from.secret), schemas.BareClickID(l.ClickRef)
	switch {
	case !from.secret:
		l.OccurredAt = 0
	case l.OccurredAt > s.now().Add(maxAhead).UnixMilli():
		return id, errBadTime // an import can be corrected, so nothing of it is changed silently
	}
	if from.secret && call.email != "" && len(s.cfg.EmailKey) > 0 {
		l.EmailHash = schemas.EmailHash(s.cfg.EmailKey, l.Workspace, call.email)
	}
	r, err := schemas.LeadRecord(l)
	if err != nil {
		s.log.Error("encode lead", "error", err)
		return id, errInternal
	}
	if _, err := s.publisher.Publish(context.Background(), r); err != nil {
		return id, unstored(err)
	}
	s.metrics.leads.Inc()
	return id, nil
}

// readCall judges the key of a lead, a sale or a movement, and only then reads the body into
// w.body. It takes a secret key; if public is set, a publishable one as well.
func (s *Server) readCall(ctx *fasthttp.RequestCtx, w *work, public bool) *fault {
	var f *fault
	if public {
		f = s.identifyCaller(ctx, &w.from)
	} else {
		f = s.identifyBackend(ctx, &w.from)
	}
	if f != nil {
		return f
	}
	return s.readBody(ctx, w, s.cfg.MaxEventBytes)
}

// identifyBackend finds the workspace whose secret key the request has.
func (s *Server) identifyBackend(ctx *fasthttp.RequestCtx, from *sender) *fault {
	if token, _ := bearer(&ctx.Request.Header); len(token) == 0 {
		return errNoSecret
	}
	f := checkHead(ctx, s.cfg.MaxEventBytes)
	if f == nil {
		f = s.identify(ctx, from)
	}
	if f == nil && !from.secret {
		f = errWrongSecret // a publishable key, say
	}
	return f
}

// identifyCaller finds the workspace whose secret or publishable key the request has.
func (s *Server) identifyCaller(ctx *fasthttp.RequestCtx, from *sender) *fault {
	f := checkHead(ctx, s.cfg.MaxEventBytes)
	if f == nil {
		f = s.identify(ctx, from)
	}
	if f == nil && !from.secret {
		f = s.admit(ctx, from, "", false)
	}
	return f
}

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
	call.lead.ClickRef = filled(call.lead.ClickRef)
	call.lead.ExternalId = cmp.Or(filled(call.lead.ExternalId), filled(call.older[0]), filled(call.older[1]))
	if f == nil {
		f = checkPerson(call.lead.ExternalId)
	}
	if call.lead.EventName == "" {
		call.lead.EventName = "Sign up"
	}
	return call, f
}

// checkPerson returns why an id cannot be a person's. All texts that cannot be read look alike: two
// people would be one.
func checkPerson(externalID string) *fault {
	switch {
	case externalID == "":
		return errBadLead
	case strings.ContainsRune(externalID, utf8.RuneError):
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
	case "click_id", "clickId":
		return &c.lead.ClickRef, maxID
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
