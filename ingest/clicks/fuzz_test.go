package clicks

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"tributary/schemas"
)

// sink is a Kafka that takes everything at once: for what is measured or fuzzed without the
// network.
type sink struct {
	keep bool // copies of the records, for those who look at them: the handler uses their memory again

	mu    sync.Mutex // guards what follows
	last  []*kgo.Record
	kept  []*kgo.Record
	total int
}

func (s *sink) Publish(_ context.Context, records ...*kgo.Record) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total += len(records)
	if !s.keep {
		return false, nil
	}
	s.last = s.last[:0]
	for _, r := range records {
		r := *r
		r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
		s.last, s.kept = append(s.last, &r), append(s.kept, &r)
	}
	return false, nil
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

func (s *sink) all() []*kgo.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept
}

func newBareServer(t testing.TB, p Publisher) *Server {
	t.Helper()
	c := Default()
	c.Logger = slog.New(slog.DiscardHandler)
	c.now = time.Now // not all requests of tests come through fasthttp's server, which notes the time
	s, err := New(c, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkClick is what must hold for every click that the edge accepts.
func checkClick(r *kgo.Record) error {
	c, err := schemas.DecodeClick(r)
	if err != nil {
		return err
	}
	id := schemas.ClickID(c.ClickId)
	if back, ok := schemas.ParseClickID(id.String()); !ok || back != id {
		return errors.New("the click id is no UUIDv7: " + id.String())
	}
	if c.Url == "" && c.LinkId == "" || c.Workspace == "" || c.Trigger == "" {
		return errors.New("a required field is empty")
	}
	if c.ClickedAt < c.ReceivedAt-maxAge.Milliseconds() || c.ClickedAt > c.ReceivedAt+maxAhead.Milliseconds() {
		return errors.New("clicked_at is outside the tolerance")
	}
	for _, s := range []string{c.ForeignId, c.ProgramId, c.AffiliateId, c.LinkId, c.VisitorId, c.Url,
		c.Referrer, c.UserAgent} {
		if !utf8.ValidString(s) || len(s) > maxURL*3 {
			return errors.New("a string is no UTF-8 or too long")
		}
	}
	if len(c.Properties) > maxProperties {
		return errors.New("too many properties")
	}
	return nil
}

func FuzzClick(f *testing.F) {
	for _, s := range []string{
		`{"url":"https://a.example/?utm_source=x","click_id":"01936d2e-0000-7000-8000-000000000000","event_time":1795200000000}`,
		`{"link_id":"l","properties":{"a":"b","c":1.5,"d":true,"e":null},"consent":"denied","trigger":"qr"}`,
		`{"link_id":"\ud800","click_id":"\u0000","url":"http://\u00e9/"}`,
		`{"event_time":"2026-11-20T00:00:00Z","link_id":"x"}`,
		`{"event_time":1e300,"link_id":"x"}`, `{"event_time":-9223372036854775808,"link_id":"x"}`,
		"{\"link_id\":\"\xff\xfe\"}", `[]`, `null`, `{`, ``,
	} {
		f.Add([]byte(s))
	}
	p := &sink{keep: true}
	s := newBareServer(f, p)
	f.Fuzz(func(t *testing.T, body []byte) {
		var ctx fasthttp.RequestCtx
		var req fasthttp.Request
		req.Header.SetMethod("POST")
		req.SetRequestURI("/v1/click")
		req.SetBody(body)
		ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1)}, nil)
		p.last, p.kept = nil, nil
		s.handle(&ctx)
		switch status := ctx.Response.StatusCode(); {
		case status == 200 && len(p.last) == 1:
			if err := checkClick(p.last[0]); err != nil {
				t.Error(err)
			}
		case status >= 400 && status < 500 && len(p.last) == 0:
		default:
			t.Errorf("status %d with %d records", status, len(p.last))
		}
	})
}

func FuzzBatch(f *testing.F) {
	for _, s := range []string{`[{"link_id":"a"},{"url":"x"},3]`, "{\"link_id\":\"a\"}\n{\"link_id\":", `[`, "\n\n",
		`[[]]`, `{"key":"k","link_id":"a"}`} {
		f.Add([]byte(s))
	}
	p := &sink{keep: true}
	s := newBareServer(f, p)
	f.Fuzz(func(t *testing.T, body []byte) {
		var ctx fasthttp.RequestCtx
		var req fasthttp.Request
		req.Header.SetMethod("POST")
		req.SetRequestURI("/v1/clicks")
		req.SetBody(body)
		ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1)}, nil)
		p.last, p.kept = nil, nil
		s.handle(&ctx)
		if ctx.Response.StatusCode() >= 500 {
			t.Fatalf("status %d", ctx.Response.StatusCode())
		}
		if ctx.Response.StatusCode() != 200 {
			return
		}
		var answer struct{ Accepted int }
		if err := json.Unmarshal(ctx.Response.Body(), &answer); err != nil {
			t.Fatalf("the answer is no JSON: %s", ctx.Response.Body())
		}
		if answer.Accepted != len(p.last) {
			t.Errorf("%d accepted, %d stored", answer.Accepted, len(p.last))
		}
		for _, r := range p.last {
			if err := checkClick(r); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzPixel(f *testing.F) {
	f.Add("url=https%3A%2F%2Fa.example%2F&properties=%7B%22a%22%3A1%7D")
	f.Add("link_id=%ff&event_time=1&properties={")
	p := &sink{keep: true}
	s := newBareServer(f, p)
	f.Fuzz(func(t *testing.T, query string) {
		var ctx fasthttp.RequestCtx
		var req fasthttp.Request
		req.SetRequestURI("/v1/click.gif")
		req.URI().SetQueryString(query)
		ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1)}, nil)
		p.last, p.kept = nil, nil
		s.handle(&ctx)
		if ctx.Response.StatusCode() >= 500 {
			t.Fatalf("status %d", ctx.Response.StatusCode())
		}
		for _, r := range p.last {
			if err := checkClick(r); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzLead(f *testing.F) {
	f.Add([]byte(`{"external_id":"u","quantity":3,"metadata":{"a":{"b":[1]}}}`))
	f.Add([]byte(`{"customerExternalId":1e9,"eventName":"\ud800","eventQuantity":1.5}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		call, bad := parseLead(new(scanner), body)
		if bad != nil {
			return
		}
		l := &call.lead
		if l.ExternalId == "" || l.EventName == "" || l.Quantity < 1 || l.Quantity > maxQuantity ||
			!utf8.ValidString(l.ExternalId) {
			t.Errorf("accepted %v", l)
		}
		id := leadID("w", l.ExternalId, l.EventName, "")
		l.LeadId = id[:]
		r, err := schemas.LeadRecord(l)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := schemas.DecodeLead(r); err != nil {
			t.Error(err)
		}
	})
}

func FuzzFraming(f *testing.F) {
	f.Add([]byte("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"))
	f.Add([]byte("content-length:3\ntransfer-encoding:chunked"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var h fasthttp.RequestHeader
		if h.Read(bufio.NewReader(io.MultiReader(strings.NewReader("POST /v1/click HTTP/1.1\r\n"),
			bytes.NewReader(raw)))) != nil {
			return
		}
		if checkFraming(&h) != nil {
			return
		}
		lines := h.RawHeaders()
		if bytes.Count(lines, []byte("\n")) != bytes.Count(lines, []byte("\r\n")) ||
			bytes.Count(lines, []byte("\r\n\r\n")) > 1 {
			t.Errorf("%q has more than one reading", lines)
		}
	})
}

// The panic of one request is that request's own.
func TestPanic(t *testing.T) {
	s := newBareServer(t, panicking{})
	var ctx fasthttp.RequestCtx
	var req fasthttp.Request
	req.Header.SetMethod("POST")
	req.SetRequestURI("/v1/click")
	req.SetBodyString(`{"link_id":"l"}`)
	ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1)}, nil)
	s.handle(&ctx)
	if ctx.Response.StatusCode() != 500 || !ctx.Response.ConnectionClose() {
		t.Errorf("status %d", ctx.Response.StatusCode())
	}
}

type panicking struct{}

func (panicking) Publish(context.Context, ...*kgo.Record) (bool, error) { panic("a test's panic") }

func TestSetTime(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 30, 0, 0, time.UTC)
	for _, value := range []string{"1795177800000", "1795177800000.75", "1.7951778e12", " 1795177800000 ",
		"2026-11-20T12:30:00Z", "2026-11-20T12:30:00.000000Z", "2026-11-20t12:30:00z",
		"2026-11-20 12:30:00Z", "2026-11-20T13:30:00+01:00", "2026-11-20T12:30:00-00:00", "2026-11-20T06:30:00.0-06:00"} {
		e := newEvent()
		if e.setTime(value, true); e.fault != nil || e.at != at.UnixMilli() || !e.timed {
			t.Errorf("%s: %d, fault %v", value, e.at, e.fault)
		}
	}
	for _, value := range []string{"1795177800", "0", "-1", "1000", "99999999999", "100000000000001", "1795177800000000",
		"9223372036854775808", "1e300", "1e3", "NaN", "0x1p40",
		"2026-11-20", "2026-11-20T12:30Z", "2026-11-20T12:30:00", "2026-11-20T12:30:00+0100", "2026-11-20T12:30:00+01",
		"2026-11-20T12:30:00,5Z", "2026-11-20T9:30:00Z",
		"2026-11-20T12:30:00+24:00", "2026-02-30T12:30:00Z", "2026-13-01T12:30:00Z", "2026-11-20T24:00:00Z",
		"1970-01-01T00:00:01Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z",
		"20261120T123000Z", "yesterday", "2026-11-20T12:30:00 Z", "1795177800000ms"} {
		e := newEvent()
		if e.setTime(value, true); e.fault != errBadTime || e.timed {
			t.Errorf("%s: %d, fault %v", value, e.at, e.fault)
		}
	}
}
