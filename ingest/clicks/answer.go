package clicks

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// fault is one reason to refuse an event or a request: what the sender is answered, and what is
// counted.
type fault struct {
	status  int
	code    string // stable; also the reason label of ingest_clicks_rejected_total
	message string
	hint    string
}

func (f *fault) Error() string { return f.message }

// Every fault of the edge. A hint says what to do, not what is wrong.
var (
	errBadJSON = &fault{400, "bad_json", "the body is not JSON of the expected shape",
		"one JSON object; /v1/clicks also takes an array, or one object a line"}
	errBadField = &fault{400, "bad_field", "a field has the wrong type",
		"fields are strings; properties is an object of strings"}
	errTooLong = &fault{400, "too_long", "a field is too long", "url 8192 bytes, ids 200, property values 500, event_name 255, email 320"}
	errNothing = &fault{400, "no_target", "neither url nor link_id is given", "give the page's url or the link's id"}
	errBadURL  = &fault{400, "bad_url", "url is not an http or https address",
		"other schemes can be listed in the workspace's schemes"}
	errBadTime = &fault{400, "bad_time", "event_time is not a time, or none that can be",
		"RFC 3339 such as 2026-11-20T15:04:05Z, or Unix milliseconds (13 digits; not seconds or microseconds)"}
	errBadTrigger    = &fault{400, "bad_trigger", "trigger is not known", "link, pageview, qr, deeplink or form"}
	errBadConsent    = &fault{400, "bad_consent", "consent is not known", "granted or denied"}
	errBadProperties = &fault{400, "bad_properties", "properties has too many entries or one that is not a string",
		"at most 16 strings"}
	errBadAddress = &fault{400, "bad_ip", "ip is not an IP address", "such as 203.0.113.7 or 2001:db8::1"}
	errBadCountry = &fault{400, "bad_country", "country is not two letters", "ISO 3166-1 alpha-2, such as DE"}
	errBadLink    = &fault{400, "bad_link", "domain or key is missing",
		`send {"domain":"go.example.com","key":"spring"}`}
	errBadDeepLink = &fault{400, "bad_deep_link", "deepLink is not an address with a host",
		`send {"deepLink":"https://go.example.com/spring"}`}
	errBadLead = &fault{400, "bad_lead", "external_id is missing",
		"the buyer's id in your own database; under /track it is customerExternalId"}
	errBadMode     = &fault{400, "bad_mode", "mode is not known", "async, wait or deferred"}
	errBadQuantity = &fault{400, "bad_quantity", "quantity is out of range", "an integer from 1 to 100"}
	errBadMetadata = &fault{400, "bad_metadata", "metadata is not an object of at most 10000 bytes",
		"move large values into your own database"}
	errBadRequest = &fault{400, "bad_request", "the request is not valid HTTP", "see RFC 9112"}
	errFraming    = &fault{400, "bad_framing", "the request can be cut in two ways",
		"Content-Length or Transfer-Encoding, not both; CR LF after every header; names without spaces (RFC 9112)"}

	errNoSecret = &fault{401, "no_secret_key", "this needs a secret key",
		"send Authorization: Bearer sk_…; see --secret-key or the workspaces file"}
	errWrongSecret = &fault{401, "unknown_secret_key", "the Authorization header holds no known key",
		"compare it with secret_keys in the workspaces file; clicks may come without, as a browser sends them"}
	errNoKey = &fault{401, "no_key", "key is missing, and no workspace lists the page's hostname",
		"send the workspace's publishable key as \"key\""}
	errUnknownKey = &fault{401, "unknown_key", "the publishable key is not known",
		"compare it with publishable_keys in the workspaces file"}
	errHost = &fault{403, "host_not_allowed", "this site may not send for the workspace",
		"add its hostname to the workspace's hostnames"}

	errNotFound = &fault{404, "not_found", "there is nothing at this address",
		"POST /v1/click, /v1/clicks, /v1/leads, /v1/movements or what is under /track; GET /v1/click.gif or /t.js"}
	errMethod      = &fault{405, "method_not_allowed", "this address does not take that method", "see the Allow header"}
	errTimeout     = &fault{408, "timeout", "the request took too long to arrive", "send it in one go"}
	errBodySize    = &fault{413, "too_large", "the body is too large", "64 KiB for one event, 1 MiB for a batch"}
	errBatchSize   = &fault{413, "too_many_events", "the batch has too many events", "at most 1000"}
	errNotStorable = &fault{413, "not_storable", "Kafka does not take this event's record",
		"send less in it; the operator may raise max.message.bytes of the topic"}
	errContentType = &fault{415, "bad_content_type", "the content type is not taken",
		"-H 'Content-Type: application/json', uncompressed; text/plain is taken too"}
	errRate = &fault{429, "rate_limited", "too many events of this workspace or address",
		"wait as long as Retry-After says"}
	errHeaderSize = &fault{431, "headers_too_large", "the headers are too large",
		"16 KiB, 200 lines, 100 parameters; are there old cookies?"}
	errInternal = &fault{500, "internal", "the edge made a mistake", "it has been logged"}
	errBusy     = &fault{503, "busy", "too many large bodies are being read",
		"repeat it after Retry-After; smaller batches are read at once"}
	errUnavailable = &fault{503, "unavailable", "the event cannot be stored now",
		"repeat it after Retry-After with the same click_id"}

	// Not a mistake of the sender: the visitor asked not to be counted.
	errOptedOut = &fault{200, "opted_out", "", ""}
)

var faults = []*fault{errBadJSON, errBadField, errTooLong, errNothing, errBadURL, errBadTime,
	errBadTrigger, errBadConsent,
	errBadProperties, errBadAddress, errBadCountry, errBadLink, errBadLead, errBadMode, errBadQuantity,
	errBadMetadata, errBadRequest,
	errFraming, errNoSecret, errWrongSecret, errNoKey, errUnknownKey, errHost, errNotFound, errMethod,
	errTimeout, errBodySize,
	errBatchSize, errNotStorable, errContentType, errRate, errHeaderSize, errInternal, errBusy, errUnavailable,
	errBadDeepLink,
	errUnknownField, errRepeatedField, errBadMovement, errBadMovementField, errNotUnicode, errMovementKind, errMovementID,
	errMovementParent, errMovementAmount,
	errMovementTax, errMovementCurrency, errMovementTime, errMovementProduct,
	errOptedOut}

// bodies is the answer's JSON, made once per fault.
var bodies = func() map[*fault][]byte {
	m := make(map[*fault][]byte, len(faults))
	for _, f := range faults {
		var answer struct {
			Error struct {
				Code    string `json:"code"`
				Message string `json:"message"`
				Hint    string `json:"hint"`
			} `json:"error"`
		}
		answer.Error.Code, answer.Error.Message, answer.Error.Hint = f.code, f.message, f.hint
		m[f], _ = json.Marshal(answer) // strings only: it cannot fail
	}
	return m
}()

// errorHeader names the fault's code. A script cannot read the answer to a beacon, and a picture
// shows no JSON; the browser's network panel shows this header for both.
const errorHeader = "Tributary-Error"

// refuse answers with f and counts it.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, f *fault) {
	s.metrics.rejected[f.code].Inc()
	ctx.Response.SetStatusCode(f.status)
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.Header.Set(errorHeader, f.code)
	// a script may read them
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlExposeHeaders, "Retry-After, "+errorHeader)
	body := bodies[f]
	if isTrack(ctx.URI().PathOriginal()) {
		body = trackBodies[f]
	}
	ctx.Response.SetBodyRaw(body)
	switch f {
	case errUnavailable, errBusy:
		setRetryAfter(ctx, s.cfg.RetryAfter)
	case errFraming, errHeaderSize:
		ctx.SetConnectionClose() // what follows on this connection may be the hidden request
	}
}

func setRetryAfter(ctx *fasthttp.RequestCtx, d time.Duration) {
	ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(int((d+time.Second-1)/time.Second)))
}

// cors lets any site's script read what is the same for all of them.
func cors(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set(fasthttp.HeaderAccessControlAllowOrigin, "*")
}

// beaconCORS lets any site's script send and read, whatever its credentials mode:
// navigator.sendBeacon always sends with credentials, and then the browser refuses "*" (Fetch
// standard, CORS check), so the site's own Origin is repeated. That gives nothing away: the edge
// reads no cookies, and whether a site may send for a workspace is judged with its event.
func beaconCORS(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.SetCanonical(varyName, originName)
	origin := ctx.Request.Header.PeekBytes(originName)
	if len(origin) == 0 {
		h.SetCanonical(allowOriginName, []byte("*"))
		return
	}
	h.SetCanonical(allowOriginName, origin)
	h.SetCanonical(allowCredentialsName, []byte("true"))
}

// Names of headers that every answer carries, as fasthttp keeps them.
var (
	originName           = []byte(fasthttp.HeaderOrigin)
	varyName             = []byte(fasthttp.HeaderVary)
	allowOriginName      = []byte(fasthttp.HeaderAccessControlAllowOrigin)
	allowCredentialsName = []byte(fasthttp.HeaderAccessControlAllowCredentials)
)

// preflight answers OPTIONS (Fetch standard, CORS-preflight). Whatever headers the site's tools add
// to its requests are allowed, since none but Content-Type and Authorization mean anything here.
// Browsers keep the answer as long as they will: Chromium two hours, Firefox a day.
func preflight(ctx *fasthttp.RequestCtx, methods string) {
	beaconCORS(ctx)
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderVary, "Origin, Access-Control-Request-Headers")
	h.Set(fasthttp.HeaderAccessControlAllowMethods, methods)
	if asked := ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestHeaders); len(asked) > 0 && len(asked) <= 1024 {
		h.SetBytesV(fasthttp.HeaderAccessControlAllowHeaders, asked)
	} else {
		h.Set(fasthttp.HeaderAccessControlAllowHeaders, "Content-Type, Authorization")
	}
	h.Set(fasthttp.HeaderAccessControlMaxAge, "86400")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

// refuseRequest refuses a request that no endpoint has seen. e is empty if there is none for it.
func (s *Server) refuseRequest(ctx *fasthttp.RequestCtx, e *endpoint, f *fault) {
	if s.refuse(ctx, f); f == errFraming {
		return
	}
	if f == errBadRequest || !isKnown(ctx.Method()) {
		ctx.SetConnectionClose()
	}
	if f == errMethod {
		allow := "GET, HEAD, POST, OPTIONS"
		if e.serve != nil {
			allow = e.allow()
		}
		ctx.Response.Header.Set(fasthttp.HeaderAllow, allow)
	}
	beaconCORS(ctx)
}

// unreadable answers requests that fasthttp could not read. It closes their connections.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	var headers *fasthttp.ErrSmallBuffer
	var network net.Error
	beaconCORS(ctx)
	switch {
	case errors.As(err, &headers):
		s.refuse(ctx, errHeaderSize)
		s.drain(ctx)
	case errors.As(err, &network) && network.Timeout():
		s.refuse(ctx, errTimeout)
	default:
		s.refuse(ctx, errBadRequest)
	}
}

// drain reads on for a moment before a refusal. A connection that is closed with unread bytes is
// reset, and then the sender sees a broken pipe instead of the reason.
func (s *Server) drain(ctx *fasthttp.RequestCtx) {
	c := ctx.Conn()
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	_, _ = io.CopyBuffer(onlyWriter{io.Discard}, io.LimitReader(c, 16<<20), make([]byte, 4<<10))
}

// onlyWriter hides that io.Discard reads by itself, in 8 KiB pieces that it keeps.
type onlyWriter struct{ io.Writer }
