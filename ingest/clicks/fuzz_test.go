package clicks

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"tributary/schemas"
)

// sink is a Kafka that takes everything at once: for what is measured or fuzzed without the network.
type sink struct{ last []*kgo.Record }

func (s *sink) Publish(_ context.Context, r ...*kgo.Record) error {
	s.last = append(s.last[:0], r...)
	return nil
}

func newBareServer(t testing.TB, p Publisher) *Server {
	t.Helper()
	c := Default()
	c.Logger = slog.New(slog.DiscardHandler)
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
	for _, s := range []string{c.ForeignId, c.ProgramId, c.AffiliateId, c.LinkId, c.VisitorId, c.Url, c.Referrer, c.UserAgent} {
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
		`{"link_id":"\ud800","click_id":"\u0000","url":"http://\u00e9/"}`, `{"event_time":"2026-11-20T00:00:00Z","link_id":"x"}`,
		`{"event_time":1e300,"link_id":"x"}`, `{"event_time":-9223372036854775808,"link_id":"x"}`, "{\"link_id\":\"\xff\xfe\"}", `[]`, `null`, `{`, ``,
	} {
		f.Add([]byte(s))
	}
	p := &sink{}
	s := newBareServer(f, p)
	f.Fuzz(func(t *testing.T, body []byte) {
		var ctx fasthttp.RequestCtx
		var req fasthttp.Request
		req.Header.SetMethod("POST")
		req.SetRequestURI("/v1/click")
		req.SetBody(body)
		ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1)}, nil)
		p.last = p.last[:0]
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
	for _, s := range []string{`[{"link_id":"a"},{"url":"x"},3]`, "{\"link_id\":\"a\"}\n{\"link_id\":", `[`, "\n\n", `[[]]`, `{"key":"k","link_id":"a"}`} {
		f.Add([]byte(s))
	}
	p := &sink{}
	s := newBareServer(f, p)
	f.Fuzz(func(t *testing.T, body []byte) {
		var ctx fasthttp.RequestCtx
		var req fasthttp.Request
		req.Header.SetMethod("POST")
		req.SetRequestURI("/v1/clicks")
		req.SetBody(body)
		ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1)}, nil)
		p.last = p.last[:0]
		s.handle(&ctx)
		if ctx.Response.StatusCode() >= 500 {
			t.Fatalf("status %d", ctx.Response.StatusCode())
		}
		if ctx.Response.StatusCode() != 200 {
			return
		}
		v, err := fastjson.ParseBytes(ctx.Response.Body())
		if err != nil {
			t.Fatalf("the answer is no JSON: %s", ctx.Response.Body())
		}
		if v.GetInt("accepted") != len(p.last) {
			t.Errorf("%d accepted, %d stored", v.GetInt("accepted"), len(p.last))
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
	p := &sink{}
	s := newBareServer(f, p)
	f.Fuzz(func(t *testing.T, query string) {
		var ctx fasthttp.RequestCtx
		var req fasthttp.Request
		req.SetRequestURI("/v1/click.gif")
		req.URI().SetQueryString(query)
		ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1)}, nil)
		p.last = p.last[:0]
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
		v, err := fastjson.ParseBytes(body)
		if err != nil {
			return
		}
		call, bad := parseLead(v)
		if bad != nil {
			return
		}
		l := &call.lead
		if l.ExternalId == "" || l.EventName == "" || l.Quantity < 1 || l.Quantity > maxQuantity || !utf8.ValidString(l.ExternalId) {
			t.Errorf("accepted %v", l)
		}
		id := leadID("w", l.ExternalId, l.EventName)
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
	f.Fuzz(func(t *testing.T, raw []byte) { ambiguous(raw) })
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

func (panicking) Publish(context.Context, ...*kgo.Record) error { panic("a test's panic") }

func TestSetTime(t *testing.T) {
	for value, want := range map[string]int64{"1795200000000": 1795200000000, "2026-11-20T00:00:00Z": time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).UnixMilli()} {
		e := newEvent()
		if e.setTime(value, true); e.fault != nil || e.at != want || !e.timed || e.seconds {
			t.Errorf("%s: %d, fault %v", value, e.at, e.fault)
		}
	}
	e := newEvent()
	if e.setTime("1795200000", true); !e.seconds {
		t.Error("seconds were taken for milliseconds")
	}
}
