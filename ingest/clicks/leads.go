package clicks

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"

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
