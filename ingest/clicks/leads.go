package clicks

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"tributary/schemas"
)

// maxMetadata is Dub's limit, in bytes of JSON; maxExternalID is ours, above Dub's 100.
const (
	maxMetadata   = 10_000
	maxEventName  = 255
	maxExternalID = 200
	maxQuantity   = 100
)

// leadID makes the same lead told twice one lead: a hash of workspace, external id and event name, the latter as Dub
// compares it, in lower case with dashes for spaces.
func leadID(workspace, externalID, eventName string) schemas.ClickID {
	name := strings.Join(strings.Fields(strings.ToLower(eventName)), "-")
	sum := sha256.Sum256([]byte(workspace + "\x00" + externalID + "\x00" + name))
	return schemas.ClickID(sum[:16])
}

// leadCall is a lead as /v1/leads (snake_case) and /track/lead (camelCase, as Dub's SDKs write it) tell it.
type leadCall struct {
	lead  schemas.Lead
	email string
	name  string // echoed to Dub's SDKs, not kept
}

// lead takes a lead from a backend: POST /v1/leads. No CORS: secret keys have no place in a browser.
func (s *Server) lead(ctx *fasthttp.RequestCtx) {
	if _, id, ok := s.storeLead(ctx); ok {
		answer := append([]byte(`{"lead_id":"`), id.AppendText(nil)...)
		ctx.Response.Header.SetContentType("application/json")
		ctx.Response.SetBody(append(answer, `"}`...))
	}
}

// trackLead takes a lead from Dub's or PiMMs' SDKs: POST /track/lead.
func (s *Server) trackLead(ctx *fasthttp.RequestCtx) {
	cors(ctx)
	call, id, ok := s.storeLead(ctx)
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

// storeLead authenticates, reads and stores a lead. If ok is false, the request has been answered.
func (s *Server) storeLead(ctx *fasthttp.RequestCtx) (call *leadCall, id schemas.ClickID, ok bool) {
	fail := func(f *fault) (*leadCall, schemas.ClickID, bool) {
		s.refuse(ctx, f)
		return nil, id, false
	}
	token := bearer(&ctx.Request.Header)
	if len(token) == 0 {
		return fail(errNoSecret)
	}
	workspace := s.workspaces.bySecret(token)
	if workspace == nil {
		return fail(errWrongSecret)
	}
	if !takesJSON(ctx) {
		return fail(errContentType)
	}
	if len(ctx.PostBody()) > s.cfg.MaxEventBytes {
		return fail(errBodySize)
	}
	v, err := fastjson.ParseBytes(ctx.PostBody()) // leads are few: no pooled memory, so nothing is shared with the request
	if err != nil {
		return fail(errBadJSON)
	}
	call, f := parseLead(v)
	if f != nil {
		return fail(f)
	}
	l := &call.lead
	id = leadID(workspace.ID, l.ExternalId, l.EventName)
	l.Workspace, l.LeadId, l.ReceivedAt, l.Vouched = workspace.ID, id[:], s.now().UnixMilli(), new(true)
	if call.email != "" {
		l.EmailHash = schemas.EmailHash(s.cfg.EmailKey, workspace.ID, call.email)
	}
	r, err := schemas.LeadRecord(l)
	if err != nil {
		s.log.Error("encode lead", "error", err)
		return fail(errInternal)
	}
	if err := s.publisher.Publish(context.Background(), r); err != nil {
		return fail(errUnavailable)
	}
	s.metrics.leads.Inc()
	return call, id, true
}

// parseLead reads both spellings. Its strings are copies.
func parseLead(v *fastjson.Value) (*leadCall, *fault) {
	o, err := v.Object()
	if err != nil {
		return nil, errBadJSON
	}
	call := &leadCall{}
	l := &call.lead
	l.Mode, l.Quantity = "async", 1
	var f *fault
	fail := func(g *fault) {
		if f == nil {
			f = g
		}
	}
	str := func(v *fastjson.Value, limit int) string {
		text := ""
		switch v.Type() {
		case fastjson.TypeString:
			text = string(v.GetStringBytes())
		case fastjson.TypeNumber: // ids of databases are often numbers
			text = v.String()
		case fastjson.TypeNull:
		default:
			fail(errBadField)
		}
		if len(text) > limit {
			fail(errTooLong)
		}
		return clean(text)
	}
	o.Visit(func(key []byte, v *fastjson.Value) {
		switch string(key) {
		case "click_id", "clickId":
			l.ClickRef = str(v, maxID)
		case "external_id", "customerExternalId", "externalId", "customerId":
			if id := str(v, maxExternalID); id != "" {
				l.ExternalId = id
			}
		case "event_name", "eventName":
			l.EventName = str(v, maxEventName)
		case "email", "customerEmail":
			call.email = str(v, 320) // RFC 5321 §4.5.3.1: 64 + @ + 255
		case "customerName":
			call.name = str(v, 1000)
		case "mode":
			switch m := str(v, maxID); m {
			case "":
			case "async", "wait", "deferred":
				l.Mode = m
			default:
				fail(errBadMode)
			}
		case "quantity", "eventQuantity":
			if v.Type() == fastjson.TypeNull {
				return
			}
			n, err := v.Uint()
			if err != nil || n < 1 || n > maxQuantity {
				fail(errBadQuantity)
				return
			}
			l.Quantity = uint32(n)
		case "metadata":
			if l.Metadata, err = metadata(v); err != nil {
				fail(errBadMetadata)
			}
		}
	})
	if f == nil && l.ExternalId == "" {
		f = errBadLead
	}
	if l.EventName == "" {
		l.EventName = "Sign up"
	}
	return call, f
}

// metadata reads an object: strings as they are, everything else as its JSON.
func metadata(v *fastjson.Value) (map[string]string, error) {
	if v.Type() == fastjson.TypeNull {
		return nil, nil
	}
	o, err := v.Object()
	if err != nil {
		return nil, err
	}
	m := make(map[string]string, o.Len())
	size := 0
	o.Visit(func(key []byte, v *fastjson.Value) {
		text := ""
		if v.Type() == fastjson.TypeString {
			text = string(v.GetStringBytes())
		} else {
			text = v.String()
		}
		size += len(key) + len(text)
		m[clean(string(key))] = clean(text)
	})
	if size > maxMetadata {
		return nil, errors.New("metadata is too large")
	}
	return m, nil
}
