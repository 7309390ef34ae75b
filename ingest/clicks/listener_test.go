package clicks

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"tributary/schemas"
)

// newPair returns a certificate for 127.0.0.1 with the given serial number, valid between two times
// from now, and its key, both in PEM.
func newPair(serial int64, from, until time.Duration) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: now.Add(from), NotAfter: now.Add(until),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	if cert, err = x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private); err != nil {
		return nil, nil, err
	}
	if key, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), nil
}

// pairOf returns such a certificate after it has been written to files and read from there.
func pairOf(t *testing.T, serial int64, from, until time.Duration) *Certificate {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert, key, err := newPair(serial, from, until)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{certFile: cert, keyFile: key} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, files := range [][2]string{{certFile, ""}, {"", keyFile}, {keyFile, certFile}, {certFile, keyFile + ".none"},
		{certFile, dir}} {
		if _, err := ReadCertificate(files[0], files[1]); err == nil || !strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("a certificate is read from %q: %v", files, err)
		}
	}
	c, err := ReadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A certificate is renewed while the edge serves. What browsers refuse takes the place of no good
// one, but of another that they refuse.
func TestTLSAndRenewal(t *testing.T) {
	const past, future = -2 * time.Hour, 2 * time.Hour
	s := &sink{keep: true}
	e := &edge{t: t}
	current := pairOf(t, 1, past, future)
	e.serve(s, func(c *Config) { c.Certificate = current })
	serial := func() int64 {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DisableKeepAlives: true}, Timeout: limit}
		res, err := client.Post("https://"+e.addr+"/v1/click", "application/json", strings.NewReader(`{"link_id":"l"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("status %d", res.StatusCode)
		}
		return res.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Errorf("certificate %d", n)
	}
	for _, step := range []struct {
		serial      int64
		from, until time.Duration
		taken       bool
		warning     string // of the one in use afterwards
	}{
		{2, past, future, true, ""},
		{3, past, past / 2, false, ""},
		{4, future / 2, future, false, ""},
		{5, 10 * past, future / 4, true, "expires at"},
	} {
		err := current.Renew(pairOf(t, step.serial, step.from, step.until))
		if n := serial(); (err == nil) != step.taken || (n == step.serial) != step.taken {
			t.Errorf("certificate %d is in use behind %d, taken %t: %v", n, step.serial, step.taken, err)
		}
		warnings := current.Warnings(t.Context())
		if len(warnings) != min(len(step.warning), 1) || !strings.Contains(strings.Join(warnings, ""), step.warning) {
			t.Errorf("behind certificate %d: %q, want %q", step.serial, warnings, step.warning)
		}
	}
	expired := pairOf(t, 6, 2*past, past)
	if w := expired.Warnings(t.Context()); len(w) != 1 || !strings.Contains(w[0], "has expired") {
		t.Errorf("of an expired certificate: %q", w)
	}
	if err := expired.Renew(pairOf(t, 7, past, past/2)); err != nil {
		t.Errorf("an expired one in the place of another: %v", err)
	}
	var none *Certificate
	if err := errors.Join(none.Invalid(), none.Renew(nil)); err != nil || none.Warnings(t.Context()) != nil {
		t.Errorf("without a certificate: %v", err)
	}
}

// Whoever speaks TLS to the edge agrees on HTTP/1.1 and on a version that is not broken.
func TestTLSVersions(t *testing.T) {
	e := &edge{t: t}
	certificate := pairOf(t, 1, 0, time.Hour)
	e.serve(&sink{}, func(c *Config) { c.Certificate = certificate })
	for _, tt := range []struct {
		name   string
		client *tls.Config
		agreed string // on a protocol
		ok     bool
	}{
		{"no protocol named", &tls.Config{}, "", true},
		{"HTTP/2 or HTTP/1.1", &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, "http/1.1", true},
		{"HTTP/1.0", &tls.Config{NextProtos: []string{"http/1.0"}}, "http/1.0", true},
		{"HTTP/2 only", &tls.Config{NextProtos: []string{"h2"}}, "", false},
		{"another server's protocol", &tls.Config{NextProtos: []string{"smtp"}}, "", false},
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, "", true},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.client.InsecureSkipVerify = true
			c, err := tls.Dial("tcp", e.addr, tt.client)
			if (err == nil) != tt.ok {
				t.Fatalf("the handshake: %v", err)
			}
			if err != nil {
				return
			}
			defer c.Close()
			if got := c.ConnectionState().NegotiatedProtocol; got != tt.agreed {
				t.Errorf("agreed on %q, want %q", got, tt.agreed)
			}
		})
	}
}

// Who begins a handshake and does not end it is let go in time, however far he has come, and who
// sends more than any browser does, at once. Others are served meanwhile.
func TestTLSHandshakes(t *testing.T) {
	certificate := pairOf(t, 1, 0, time.Hour)
	var hello lockedBuffer // what a client sends first
	client := tls.Client(recorded{&hello}, &tls.Config{InsecureSkipVerify: true})
	_ = client.Handshake() // which nobody answers
	first := hello.String()
	large := "\x01\x01\x00\x00" + strings.Repeat("\x00", 1<<16-1) // in records of 16 KiB (RFC 8446 §4 and §5.1)
	var records strings.Builder
	for ; len(large) > 0; large = large[min(1<<14, len(large)):] {
		part := large[:min(1<<14, len(large))]
		records.WriteString("\x16\x03\x01" + string([]byte{byte(len(part) >> 8), byte(len(part))}) + part)
	}
	for _, tt := range []struct {
		name, sent string
		patience   time.Duration // of the edge
		closed     bool          // before its patience ends
	}{
		{"nothing", "", time.Second, false},
		{"a record's first byte", first[:1], time.Second, false},
		{"half of the first message", first[:len(first)/2], time.Second, false},
		{"the first message alone", first, time.Second, false},
		{"a message of 64 KiB without its last byte", records.String(), limit, true},
		{"a record that says 64 KiB", "\x16\x03\x01\xff\xff", limit, true},
		{"no TLS", "GET /t.js HTTP/1.1\r\nHost: e\r\n\r\n", limit, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &edge{t: t}
			e.serve(&sink{}, func(c *Config) { c.Certificate, c.ReadTimeout = certificate, tt.patience })
			c, err := net.Dial("tcp", e.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(limit))
			go func() { _, _ = io.WriteString(c, tt.sent) }() // which may be refused before its end
			// Its own first message does not count: it ends with the connection.
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
			// A large first message that is whole is taken: of 100 protocols, one is known.
			config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
			for i := range 100 {
				config.NextProtos = append(config.NextProtos, fmt.Sprintf("%050d", i))
			}
			honest, err := tls.Dial("tcp", e.addr, config)
			if err != nil {
				t.Fatalf("a handshake beside it: %v", err)
			}
			_ = honest.Close()
		})
	}
}

// Who sends a message of TLS behind the handshake that is larger than a record is let go at once.
// What is in records of any size is read.
func TestTLSMessages(t *testing.T) {
	certificate := pairOf(t, 1, 0, time.Hour)
	for _, answered := range []bool{false, true} {
		t.Run(fmt.Sprintf("after an answer: %v", answered), func(t *testing.T) {
			e := &edge{t: t}
			e.serve(&sink{}, func(c *Config) { c.Certificate, c.ReadTimeout, c.IdleTimeout = certificate, limit, limit })
			c, err := dialSealed(e.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.below.Close()
			_ = c.below.SetDeadline(time.Now().Add(limit / 4))
			if answered {
				c.write(23, []byte("OPTIONS /v1/click HTTP/1.1\r\nHost: e\r\n\r\n"))
				if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
					t.Fatal(err)
				}
			}
			go c.write(22, unended(1<<18))
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
		})
	}
	s := &sink{}
	e := &edge{t: t}
	e.serve(s, func(c *Config) { c.Certificate = certificate })
	c, err := dialSealed(e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.below.Close()
	_ = c.below.SetDeadline(time.Now().Add(limit))
	for range 8 {
		body := `{"link_id":"l","x":"` + strings.Repeat("x", 50_000) + `"}`
		c.write(23, fmt.Appendf(nil, "POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("status %d, %v", res.StatusCode, err)
		}
	}
	if n := s.count(); n != 8 {
		t.Errorf("%d clicks stored, want 8", n)
	}
}

// unended is a message of TLS of size bytes without its last one (RFC 8446 §4). As a certificate it
// may be larger than others.
func unended(size int) []byte {
	return append([]byte{11, byte((size - 4) >> 16), byte((size - 4) >> 8), byte(size - 4)}, make([]byte, size-5)...)
}

// sealed is the client's end of a connection whose handshake is done. It writes records of any type,
// which crypto/tls does not. Write must not be called.
type sealed struct {
	*tls.Conn
	below net.Conn
	aead  cipher.AEAD
	iv    []byte
	seq   uint64
}

// dialSealed makes a handshake of TLS 1.3 with the server at addr.
func dialSealed(addr string) (*sealed, error) {
	below, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return seal(below)
}

// seal makes a handshake of TLS 1.3 on a connection.
func seal(below net.Conn) (*sealed, error) {
	var keys lockedBuffer
	c := tls.Client(below, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, KeyLogWriter: &keys})
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	_, secret, _ := strings.Cut(keys.String(), "CLIENT_TRAFFIC_SECRET_0 ")
	traffic, err := hex.DecodeString(strings.Fields(secret)[1])
	if err != nil {
		return nil, err
	}
	s := &sealed{Conn: c, below: below}
	hash, keyBytes := sha256.New, 16
	switch c.ConnectionState().CipherSuite {
	case tls.TLS_AES_256_GCM_SHA384:
		hash, keyBytes = sha512.New384, 32
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		keyBytes = chacha20poly1305.KeySize
	}
	// RFC 8446 §7.1, HKDF-Expand-Label, and §7.3.
	expand := func(label string, length int) []byte {
		info := append([]byte{0, byte(length), byte(len(label) + 6)}, "tls13 "+label+"\x00"...)
		out, expandErr := hkdf.Expand(hash, traffic, string(info), length)
		err = errors.Join(err, expandErr)
		return out
	}
	key, iv := expand("key", keyBytes), expand("iv", 12)
	if s.iv = iv; err != nil {
		return nil, err
	}
	if c.ConnectionState().CipherSuite == tls.TLS_CHACHA20_POLY1305_SHA256 {
		s.aead, err = chacha20poly1305.New(key)
		return s, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	s.aead, err = cipher.NewGCM(block)
	return s, err
}

// write sends content in records of at most 16 KiB (RFC 8446 §5.2 and §5.3), until it is refused.
func (s *sealed) write(kind byte, content []byte) {
	for part := range slices.Chunk(content, 1<<14) {
		if _, err := s.below.Write(s.record(kind, part)); err != nil {
			return
		}
	}
}

// record is the next record, of at most 16 KiB.
func (s *sealed) record(kind byte, part []byte) []byte {
	nonce := slices.Clone(s.iv)
	for i, b := range binary.BigEndian.AppendUint64(nil, s.seq) {
		nonce[4+i] ^= b
	}
	s.seq++
	inner := append(slices.Clone(part), kind)
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(inner)+s.aead.Overhead()))
	return s.aead.Seal(head, nonce, inner, head)
}

// recorded is a connection that keeps what is written to it, and ends before it gives anything.
type recorded struct{ *lockedBuffer }

func (recorded) Read([]byte) (int, error)         { return 0, io.EOF }
func (recorded) Close() error                     { return nil }
func (recorded) LocalAddr() net.Addr              { return nil }
func (recorded) RemoteAddr() net.Addr             { return nil }
func (recorded) SetDeadline(time.Time) error      { return nil }
func (recorded) SetReadDeadline(time.Time) error  { return nil }
func (recorded) SetWriteDeadline(time.Time) error { return nil }

// A PROXY header that does not come, or not whole, keeps its connection no longer than a request
// would.
func TestProxyHeaderIsLate(t *testing.T) {
	const v2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11"
	for name, sent := range map[string]string{
		"nothing": "", "the first byte": "P", "half of version 1": "PROXY TCP4 203.0.113.9 ",
		"half of version 2": v2 + "\x00\x0c\xcb\x00", "version 2 that says 64 KiB": v2 + "\xff\xff\xcb\x00\x71\x09",
	} {
		t.Run(name, func(t *testing.T) {
			s := &sink{}
			e := &edge{t: t}
			e.serve(s, func(c *Config) {
				c.ProxyProtocol, c.ReadTimeout = true, time.Second
				c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			})
			if got := e.raw(sent, ""); got != "" || s.count() != 0 {
				t.Errorf("answers %q, %d clicks", got, s.count())
			}
		})
	}
}

// A balancer writes the visitor's address in front of the request; nobody else may.
func TestProxyProtocol(t *testing.T) {
	v2 := func(source netip.Addr) string {
		b := []byte("\r\n\r\n\x00\r\nQUIT\n\x21")
		a := source.AsSlice()
		b = append(b, byte(map[int]int{4: 0x11, 16: 0x21}[len(a)]))
		b = binary.BigEndian.AppendUint16(b, uint16(2*len(a)+4))
		return string(append(append(append(b, a...), a...), 0, 1, 0, 2))
	}
	for _, tt := range []struct {
		name, header, want string
		trusted            bool
		visitor            string // whose /24 or /48 is hashed
	}{
		{"version 1", "PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n", "200 +", true, "203.0.113.9"},
		{"version 1, IPv6", "PROXY TCP6 2001:db8::9 2001:db8::1 1 2\r\n", "200 +", true, "2001:db8::9"},
		{"version 2", v2(netip.MustParseAddr("203.0.113.9")), "200 +", true, "203.0.113.9"},
		{"version 2, IPv6", v2(netip.MustParseAddr("2001:db8::9")), "200 +", true, "2001:db8::9"},
		{"a health check of the balancer", "PROXY UNKNOWN\r\n", "200 +", true, "127.0.0.1"},
		{"no header", "", "", true, ""},
		{"a broken header", "PROXY TCP4 203.0.113.9\r\n", "", true, ""},
		{"a header in small letters", "proxy TCP4 203.0.113.9 192.0.2.1 1 2\r\n", "", true, ""},
		{"a port that is none", "PROXY TCP4 203.0.113.9 192.0.2.1 1 70000\r\n", "", true, ""},
		{"an IPv6 address called TCP4", "PROXY TCP4 2001:db8::9 192.0.2.1 1 2\r\n", "", true, ""},
		{"LF without CR", "PROXY TCP4 203.0.113.9 192.0.2.1 1 2\n", "", true, ""},
		{"a header that does not end", "PROXY TCP4 " + strings.Repeat("1", 1000), "", true, ""},
		{"another header behind it", v2(netip.MustParseAddr("203.0.113.9")) + "PROXY TCP4 6.6.6.6 192.0.2.1 1 2\r\n",
			"400", true, ""},
		{"version 2 with 4 KiB", v2Extended(1<<12 - 12), "200 +", true, "203.0.113.9"},
		{"version 2 with 64 KiB", v2Extended(1<<16 - 1 - 12), "", true, ""},
		{"version 2, for itself", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "200 +", true, "127.0.0.1"},
		{"version 2, unknown command",
			"\r\n\r\n\x00\r\nQUIT\n\x2f\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x00\x01\x00\x02",
			"", true, ""},
		{"version 2, unknown family", "\r\n\r\n\x00\r\nQUIT\n\x21\x41\x00\x00", "", true, ""},
		{"version 2, too short for its addresses", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x02\x00\x00", "", true, ""},
		{"version 3", "\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x00\x01\x00\x02", "", true, ""},
		{"from somebody who is no proxy", "PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n", "400", false, ""},
		{"none from somebody who is no proxy", "", "200 +", false, "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &sink{keep: true}
			e := &edge{t: t}
			e.serve(s, func(c *Config) {
				c.ProxyProtocol, c.ReadTimeout = true, limit
				c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
				if tt.trusted {
					c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			})
			// The header names the visitor, so what they write themselves counts for nothing.
			request := strings.Replace(honest, "Host: e", "Host: e\r\nX-Forwarded-For: 6.6.6.6", 1)
			if got := e.raw(tt.header+request, tt.want); got != tt.want {
				t.Fatalf("answers %q, want %q", got, tt.want)
			}
			if tt.visitor == "" {
				if s.count() != 0 {
					t.Error("a click was stored")
				}
				return
			}
			c, err := schemas.DecodeClick(s.all()[0])
			if err != nil {
				t.Fatal(err)
			}
			visitor := netip.MustParseAddr(tt.visitor)
			if tt.trusted && visitor.IsLoopback() { // the proxy itself: then X-Forwarded-For is its word
				visitor = netip.MustParseAddr("6.6.6.6")
			}
			want := e.server.identities.append(nil, nil, time.UnixMilli(c.ReceivedAt), visitor, "", "")
			if !bytes.Equal(c.IdentityHash, want) {
				t.Errorf("the click is not of %s", visitor)
			}
		})
	}
}

// v2Extended is a PROXY header of 203.0.113.9 with one extension, which has size bytes with its head
// (PROXY protocol, section 2.2.7).
func v2Extended(size int) string {
	b := []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11")
	b = binary.BigEndian.AppendUint16(b, uint16(12+size))
	b = append(b, 203, 0, 113, 9, 192, 0, 2, 1, 0, 1, 0, 2, 0xe0)
	b = binary.BigEndian.AppendUint16(b, uint16(size-3))
	return string(append(b, make([]byte, size-3)...))
}

// lockedBuffer is a log that a test reads while the edge writes it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A proxy that nobody configured makes all visitors one: that is said, once.
func TestForwardedWithoutTrust(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		var log lockedBuffer
		e := &edge{t: t}
		e.serve(&sink{}, func(c *Config) {
			c.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(&log, io.Discard), nil))
			if trusted {
				c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
		})
		for range 3 {
			e.want(e.do("POST", "/v1/click", `{"link_id":"l"}`, "X-Forwarded-For: 203.0.113.9"), 200, "")
		}
		if n := strings.Count(log.String(), "trusted-proxies"); n != 1 && !trusted || n != 0 && trusted {
			t.Errorf("trusted %v: warned %d times: %s", trusted, n, log.String())
		}
		if strings.Contains(log.String(), "203.0.113") {
			t.Error("a visitor's address is in the log")
		}
	}
}

// A stopping edge takes no new connection, and ends those it has with an answer.
func TestShutdown(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.LastRequests = limit })
	c, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	answers := bufio.NewReader(c)
	post := func() *http.Response {
		body := sampleClick(1)
		fmt.Fprintf(c, "POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		a, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, a.Body)
		return a
	}
	if a := post(); a.StatusCode != 200 || a.Close {
		t.Fatalf("status %d, closed %v", a.StatusCode, a.Close)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.server.Shutdown(t.Context()) }()
	for !e.server.stopping.Load() {
		time.Sleep(time.Millisecond)
	}
	if late, err := net.Dial("tcp", e.addr); err == nil {
		_ = late.Close()
		t.Error("a new connection is taken")
	}
	if a := post(); a.StatusCode != 200 || !a.Close {
		t.Errorf("status %d, closed %v, of the last request", a.StatusCode, a.Close)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
