package clicks

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/schemas"
)

// limit is longer than a loaded machine takes for anything here.
const limit = 3 * time.Minute

// raw writes bytes to the edge as they are and returns the status of every answer until the edge
// closes the connection. Where as many answers as are wanted are to leave it open, another request
// follows them: its answer, 204, is the next one and is returned as "+".
func (e *edge) raw(text, want string) string {
	e.t.Helper()
	c, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(limit))
	written := make(chan struct{})
	go func() { // the edge may answer before it has taken all of it
		_, _ = io.WriteString(c, text)
		close(written)
	}()
	r := bufio.NewReader(c)
	var statuses []string
	last := -1 // which answer belongs to the request behind the others
	for {
		if strings.HasSuffix(want, "+") && len(statuses) == strings.Count(want, " ") {
			last = len(statuses)
			<-written
			_, _ = io.WriteString(c, "OPTIONS /v1/click HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n")
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return strings.Join(statuses, " ")
		}
		_, _ = io.Copy(io.Discard, res.Body)
		status := strconv.Itoa(res.StatusCode)
		if len(statuses) == last && status == "204" {
			status = "+"
		}
		statuses = append(statuses, status)
	}
}

// probes is what senders tried against the edge to make it see another request than a proxy in
// front of it, and what each must be answered. All answers to one probe are listed; "+" says that
// the connection stays open behind them. hidden is a click that must never be stored; honest is one
// that must.
const (
	hidden = "POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}"
	honest = "POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"honest\"}"
	post   = "POST /v1/click HTTP/1.1\r\nHost: e\r\n"
	body   = "{\"link_id\":\"honest\"}" // 20 bytes

	inChunks = post + "Transfer-Encoding: chunked\r\n\r\n"
)

var probes = []struct{ name, text, want string }{
	// One request, one answer.
	{"pipelined", honest + honest, "200 200 +"},
	{"pipelined behind a refusal", post + "Content-Length: 1\r\n\r\n{" + honest, "400 200 +"},
	{"pipelined, of many kinds", honest +
		"OPTIONS /v1/click HTTP/1.1\r\nHost: e\r\n\r\n" + post + "\r\n" + honest + inChunks + chunk(body) + "0\r\n\r\n",
		"200 204 400 200 200"},

	// Nothing behind a chunked body is taken for a request.
	{"chunked", inChunks + chunk(body) + "0\r\n\r\n" + hidden, "200"},
	{"chunked, small chunks and an extension", inChunks + "1;a=b\r\n{\r\n13\r\n" + body[1:] + "\r\n0\r\n\r\n", "200"},
	{"chunked, another case", post + "transfer-encoding:\tChunked \r\n\r\n" + chunk(body) + "0\r\n\r\n" + hidden, "200"},
	{"chunked, two zeros", inChunks + chunk(body) + "00\r\n\r\n" + hidden, "200"},
	{"a quoted extension", inChunks + "14;a=\"b;c\" \r\n" + body + "\r\n0;d\r\n\r\n" + hidden, "200"},
	{"an extension of 100 kB", inChunks + "14;" + strings.Repeat("a", 100000) + "\r\n" + body + "\r\n0\r\n\r\n", "200"},
	{"an extension of 1 MB", inChunks + "14;" + strings.Repeat("a", 1000000) + "\r\n" + body + "\r\n0\r\n\r\n", "413"},
	{"extensions of 1 MB together", inChunks + strings.Repeat("1;"+strings.Repeat("a", 50000)+"\r\n \r\n", 20) +
		chunk(body) + "0\r\n\r\n", "413"},
	{"an extension of 1 MB behind the last chunk", inChunks + chunk(body) + "0;" + strings.Repeat("a", 1000000) +
		"\r\n\r\n", "413"},
	{"zeros of 1 MB before a chunk size", inChunks + strings.Repeat("0", 1000000) + "14\r\n" + body +
		"\r\n0\r\n\r\n", "400"},
	{"a lead without a key, an extension of 1 MB", "POST /v1/leads HTTP/1.1\r\nHost: e\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n14;" + strings.Repeat("a", 1000000), "401"},
	{"a zero byte in an extension", inChunks + "14;a\x00b\r\n" + body + "\r\n0\r\n\r\n" + hidden, "200"},
	{"a trailer", inChunks + chunk(body) + "0\r\nX-Y: z\r\n\r\n" + hidden, "200"},
	{"two LF in a trailer", inChunks + chunk(body) + "0\r\nX: y\n\n" + hidden + "\r\n\r\n", "200"},
	{"a trailer's name with a space", inChunks + chunk(body) + "0\r\nX y: z\r\n\r\n" + hidden, "200"},
	{"a folded trailer", inChunks + chunk(body) + "0\r\nX: y\r\n z\r\n\r\n" + hidden, "200"},
	{"HTTP/1.0", "POST /v1/click HTTP/1.0\r\nContent-Length: 20\r\n\r\n" + body, "200"},
	{"HTTP/1.0, kept alive", "POST /v1/click HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 20\r\n\r\n" +
		body + honest, "200 200 +"},
	{"absolute address", "POST http://e/v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n" + body, "200 +"},
	{"close in capitals and in a list", post + "Connection: x, CLOSE\r\n" + sized(body) + hidden, "200"},
	{"close, and then not", post + "Connection: close\r\nConnection: keep-alive\r\n" + sized(body) + hidden, "200"},
	{"closed, which is not close", post + "Connection: closed, x\r\n" + sized(body) + honest, "200 200 +"},
	{"empty lines before a request", "\r\n\r\n" + honest, "200 +"},

	// Two lengths.
	{"Content-Length with Transfer-Encoding", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
		hidden, "400"},
	{"the other way round, other case", post + "transfer-encoding: chunked\r\nCONTENT-LENGTH: 4\r\n\r\n0\r\n\r\n" + hidden,
		"400"},
	{"Transfer-Encoding: identity", post + "Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"on a GET", "GET /t.js HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
		hidden, "400"},
	{"two Content-Lengths", post + "Content-Length: 0\r\nContent-Length: 9\r\n\r\n" + hidden, "400"},
	{"two equal Content-Lengths", post + "Content-Length: 20\r\nContent-Length: 20\r\n\r\n" + hidden, "400"},
	{"a list of lengths", post + "Content-Length: 0, 20\r\n\r\n" + hidden, "400"},
	{"a signed length", post + "Content-Length: +0\r\n\r\n" + hidden, "400"},
	{"a negative length", post + "Content-Length: -1\r\n\r\n" + hidden, "400"},
	{"a hexadecimal length", post + "Content-Length: 0x0\r\n\r\n" + hidden, "400"},
	{"a length that overflows", post + "Content-Length: 18446744073709551616\r\n\r\n" + hidden, "400"},
	{"an empty length", post + "Content-Length: \r\n\r\n" + hidden, "400"},
	{"Transfer-Encoding of HTTP/1.0",
		"POST /v1/click HTTP/1.0\r\nHost: e\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
			hidden, "400"},

	{"a list of equal lengths", post + "Content-Length: 20, 20\r\n\r\n" + hidden, "400"},
	{"a length with letters behind it", post + "Content-Length: 0abc\r\n\r\n" + hidden, "400"},
	{"a length with a space in it", post + "Content-Length: 0 0\r\n\r\n" + hidden, "400"},
	{"a length with a fraction", post + "Content-Length: 0.0\r\n\r\n" + hidden, "400"},
	{"a length behind a vertical tab", post + "Content-Length:\v0\r\n\r\n" + hidden, "400"},
	{"a length behind a no-break space", post + "Content-Length:\xa00\r\n\r\n" + hidden, "400"},
	{"a quoted length", post + "Content-Length: \"0\"\r\n\r\n" + hidden, "400"},
	{"a length with an exponent", post + "Content-Length: 0e0\r\n\r\n" + hidden, "400"},
	{"a length with an underscore", post + "Content-Length: 0_0\r\n\r\n" + hidden, "400"},
	{"a zero byte behind a length", post + "Content-Length: 0\x00\r\n\r\n" + hidden, "400"},
	{"a length in other digits", post + "Content-Length: \u0660\r\n\r\n" + hidden, "400"},
	{"the least length that overflows", post + "Content-Length: 9223372036854775808\r\n\r\n" + hidden, "400"},
	{"space around a length", post + "Content-Length: \t 20 \t\r\n\r\n" + body, "200 +"},
	{"a length with an underscore in its name", post + "Content_Length: 75\r\n" + sized(body) + honest, "200 200 +"},
	{"a negative length on a GET", "GET /t.js HTTP/1.1\r\nHost: e\r\nContent-Length: -1\r\n\r\n" + hidden, "400"},
	{"a list of lengths on OPTIONS", "OPTIONS /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 0, 5\r\n\r\n" + hidden,
		"400"},
	{"a length behind zeros", post + "Content-Length: 0020\r\n\r\n" + body, "200 +"},
	{"the largest length", post + "Content-Length: 9223372036854775807\r\n\r\n" + hidden, "408"},

	// An encoding that somebody may not take for chunked.
	{"xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"a list of encodings", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"identity alone", post + "Transfer-Encoding: identity\r\n\r\n" + hidden, "400"},
	{"identity on a GET", "GET /t.js HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: identity\r\n\r\n" + hidden, "400"},
	{"no encoding named", post + "Transfer-Encoding: \r\n\r\n" + hidden, "400"},
	{"a comma behind chunked", post + "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"chunked with a parameter", post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"a comma before chunked", post + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"chunked twice in a line", post + "Transfer-Encoding: chunked chunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"a form feed", post + "Transfer-Encoding: \fchunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"a no-break space", post + "Transfer-Encoding: chunked\xa0\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"the sign of kelvin", post + "Transfer-Encoding: chun\u212aed\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"an encoding with an underscore in its name", post + "Transfer_Encoding: chunked\r\n" + sized(body) + honest,
		"200 200 +"},
	{"an encoding that a HEAD does not need", "HEAD /t.js HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: xchunked\r\n\r\n" +
		hidden, "400"},
	{"chunked first", post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"chunked twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"quoted", post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"a vertical tab", post + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"a zero byte", post + "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"space before the colon", post + "Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"obsolete line folding", post + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},

	// Lines.
	{"two LF in a header's value", "POST /v1/click HTTP/1.1\r\nHost: e\r\nX: y\n\n" + hidden + "\r\n\r\n", "400"},
	{"LF without CR", "POST /v1/click HTTP/1.1\nHost: e\nContent-Length: 20\n\n" + body + "\r\n\r\n", "400"},
	// A request line, and the empty lines before it, may end in LF alone (RFC 9112 §2.2): for whoever
	// takes that for no end, a target holds an LF, and nobody passes that on.
	{"LF behind the request line", "POST /v1/click HTTP/1.1\nHost: e\r\n" + sized(body) + honest, "200 200 +"},
	{"LF before a request", "\n" + honest + "\n" + honest, "200 200 +"},
	{"CR before a request", "\r" + hidden, "400"},
	{"a space before a request", " " + hidden, "400"},
	{"CR in the request line", "POST /v1/click\r HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "400"},
	{"two CR behind the request line", "POST /v1/click HTTP/1.1\r\r\nHost: e\r\n" + sized(hidden), "400"},
	{"two CR behind a header", post + "X: y\r\r\n" + sized(hidden), "400"},
	{"a folded line of spaces", post + "X: y\r\n   \r\n" + sized(hidden), "400"},
	{"DEL in a header", post + "X: a\x7fb\r\n" + sized(hidden), "400"},
	{"LF without CR, once", post + "X: y\nContent-Length: 20\r\n\r\n" + body, "400"},
	{"LF without CR at the end of the headers", post + "Content-Length: 0\r\n\n" + hidden, "400"},
	{"CR without LF", post + "X: y\rContent-Length: 20\r\n\r\n" + hidden, "400"},
	{"a folded line", post + "X: y\r\n z\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a first header that is folded", "POST /v1/click HTTP/1.1\r\n Host: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a name with a space", post + "Content Length: 20\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a name with a bracket", post + "X(y): z\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a header without a name", post + ": y\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a header without a colon", post + "y\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},

	// Chunks.
	{"a chunk size with 0x", post + "Transfer-Encoding: chunked\r\n\r\n0x14\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"a signed chunk size", post + "Transfer-Encoding: chunked\r\n\r\n+14\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"a chunk size that overflows", post + "Transfer-Encoding: chunked\r\n\r\n100000000000000014\r\n" + body +
		"\r\n0\r\n\r\n" + hidden, "400"},
	{"LF behind a chunk size", post + "Transfer-Encoding: chunked\r\n\r\n14\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"LF in a chunk extension", post + "Transfer-Encoding: chunked\r\n\r\n14;a\nb\r\n" + body + "\r\n0\r\n\r\n" + hidden,
		"400"},
	{"a chunk longer than its size", post + "Transfer-Encoding: chunked\r\n\r\n13\r\n" + body + "\r\n0\r\n\r\n" + hidden,
		"400"},
	{"LF behind a chunk", post + "Transfer-Encoding: chunked\r\n\r\n14\r\n" + body + "\n0\r\n\r\n" + hidden, "400"},
	{"no end behind the last chunk", inChunks + chunk(body) + "0\r\n", "408"},
	{"no end behind a trailer", inChunks + chunk(body) + "0\r\nX: y\r\n", "408"},
	{"a length as a trailer", post + "Transfer-Encoding: chunked\r\n\r\n14\r\n" + body +
		"\r\n0\r\nContent-Length: 9\r\n\r\n" + hidden, "400"},

	{"an encoding as a trailer", inChunks + chunk(body) + "0\r\nTransfer-Encoding: chunked\r\n\r\n" + hidden, "400"},
	{"a host as a trailer", inChunks + chunk(body) + "0\r\nHost: f\r\n\r\n" + hidden, "400"},
	{"a trailer without a colon", inChunks + chunk(body) + "0\r\nabc\r\n\r\n" + hidden, "400"},
	{"CR in a trailer", inChunks + chunk(body) + "0\r\nX: y\rz\r\n\r\n" + hidden, "400"},
	{"a zero byte in a trailer", inChunks + chunk(body) + "0\r\nX: y\x00z\r\n\r\n" + hidden, "400"},
	{"a trailer of 100 kB", inChunks + chunk(body) + "0\r\nX: " + strings.Repeat("y", 100000) + "\r\n\r\n" + hidden,
		"400"},
	{"20,000 trailers", inChunks + chunk(body) + "0\r\n" + strings.Repeat("X: y\r\n", 20000) + "\r\n" + hidden, "400"},
	{"a line end in a quoted extension", inChunks + "14;a=\"b\r\nc\"\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"CR in a chunk extension", inChunks + "14;a\rb\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"two CR behind a chunk size", inChunks + "14\r\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"a zero byte behind a chunk size", inChunks + "14\x00\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"no line end behind a chunk", inChunks + "14\r\n" + body + "0\r\n\r\n" + hidden, "400"},
	{"CR behind a chunk", inChunks + "14\r\n" + body + "\r0\r\n\r\n" + hidden, "400"},
	{"a chunk size of 27 digits", inChunks + strings.Repeat("0", 25) + "14\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"LF behind the last chunk", inChunks + chunk(body) + "0\n\r\n" + hidden, "400"},
	{"a negative last chunk", inChunks + chunk(body) + "-0\r\n\r\n" + hidden, "400"},
	{"an address of the visitor as a trailer", inChunks + chunk(body) + "0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n" + hidden,
		"400"},
	{"a key as a trailer", inChunks + chunk(body) + "0\r\nAuthorization: Bearer x\r\n\r\n" + hidden, "400"},
	{"no chunk size", inChunks + "\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"a chunk size behind a space", inChunks + " 14\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"a chunk size with a letter behind it", inChunks + "14x\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"a chunk size with an underscore", inChunks + "1_4\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"a negative chunk size", inChunks + "-1\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"the largest chunk size", inChunks + "7fffffffffffffff\r\n" + body, "400"},
	{"a chunk of a gigabyte that does not come", inChunks + "40000000\r\n" + body, "408"},
	{"no last chunk", inChunks + chunk(body), "408"},
	{"no line end behind the last chunk", inChunks + chunk(body) + "0\r\nGARBAGE", "408"},

	// Bodies where none is expected are not executed.
	{"GET with a body", "GET /t.js HTTP/1.1\r\nHost: e\r\nContent-Length: " + strconv.Itoa(len(hidden)) + "\r\n\r\n" +
		hidden + honest, "200 200 +"},
	{"GET with a chunked body", "GET /t.js HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(hidden) +
		"0\r\n\r\n" + hidden, "200"},
	{"GET with a large body", "GET /t.js HTTP/1.1\r\nHost: e\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat(hidden,
		100000/len(hidden)+1), "200"},
	{"OPTIONS with a body", "OPTIONS /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: " + strconv.Itoa(len(hidden)) +
		"\r\n\r\n" + hidden + honest, "204 200 +"},
	{"POST to nowhere with a large body", "POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 5000\r\n\r\n" +
		strings.Repeat(hidden, 5000/len(hidden)+1), "404"},
	{"a lead without a key, with a large body", "POST /v1/leads HTTP/1.1\r\nHost: e\r\nContent-Length: 5000\r\n\r\n" +
		strings.Repeat(hidden, 5000/len(hidden)+1), "401"},
	{"another content type with a large body", post + "Content-Type: x/y\r\nContent-Length: 5000\r\n\r\n" +
		strings.Repeat(hidden, 5000/len(hidden)+1), "415"},
	{"a body over the limit", post + "Content-Length: 70000\r\n\r\n" + strings.Repeat(hidden, 70000/len(hidden)+1), "413"},
	{"a chunked body over the limit", post + "Transfer-Encoding: chunked\r\n\r\n" + chunk(strings.Repeat(" ", 70000)) +
		"0\r\n\r\n" + hidden, "413"},
	{"a body that ends early", post + "Content-Length: 5000\r\n\r\n" + body + strings.Repeat(" ", 2000), "408"},

	// Other paths for a proxy are other paths here.
	{"an encoded slash", "POST /v1%2fclick HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"an encoded letter", "POST /v1/%63lick HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"two slashes", "POST //v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}", "404 +"},
	{"two slashes within", "POST /v1//click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"dot segments", "POST /x/../v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"encoded dot segments", "POST /x/%2e%2e/v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: " +
		"20\r\n\r\n{\"link_id\":\"hidden\"}", "404 +"},
	{"a single dot", "POST /./v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"a slash at the end", "POST /v1/click/ HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"a backslash", "POST /v1\\click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}", "404 +"},
	{"a path parameter", "POST /v1/click;x HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},

	{"an encoded zero byte", "POST /v1/click%00 HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n", "404 +"},
	{"a byte beyond ASCII", "POST /v1/click\xff HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n", "404 +"},
	{"a zero byte", "POST /v1/click\x00 HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a fragment", "POST /v1/click#x HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a fragment that hides a path", "POST /x#/../v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden,
		"400"},
	{"an address of another scheme", "POST ftp://e/v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden,
		"400"},
	{"an address with a user", "POST http://u:p@e/v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden,
		"400"},
	{"an address without a host", "POST http:///v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden,
		"400"},
	{"an address with a port and no host", "POST http://:80/v1/click HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "400"},
	{"an address without a host, with a query", "GET http://?x HTTP/1.1\r\nHost: e\r\n\r\n" + hidden, "400"},
	{"an address with a user behind a backslash", "POST http://e\\@f/v1/click HTTP/1.1\r\nHost: e\r\n" + sized(hidden),
		"400"},
	{"an address of another host", "POST HTTP://F:80/v1/click HTTP/1.1\r\nHost: e\r\n" + sized(body), "200 +"},
	{"an address with a spelling of its own", "POST http://e/v1/%63lick HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "404 +"},
	{"an address without a path", "GET http://e HTTP/1.1\r\nHost: e\r\n\r\n", "404 +"},
	{"no slash at the beginning", "POST v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: e\r\n\r\n", "404 +"},
	{"two spaces before the target", "POST  /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"capitals", "POST /V1/CLICK HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "404 +"},
	{"a path parameter and dot segments", "POST /v1/..;/v1/click HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "404 +"},
	{"an encoded question mark", "POST /v1/click%3fx HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "404 +"},
	{"a slash that is encoded twice", "POST /v1%252fclick HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "404 +"},
	{"dots in overlong UTF-8", "POST /%c0%ae%c0%ae/v1/click HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "404 +"},
	{"two slashes before a host", "POST //e/v1/click HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "404 +"},
	{"the form of CONNECT", "POST e:80 HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "400"},
	{"a query alone", "POST ?/v1/click HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "400"},
	{"a control character in a query", "POST /v1/click?\x01 HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "400"},
	{"a fragment behind a query", "POST /v1/click?x#y HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "400"},
	{"100 parameters", "GET /v1/click.gif?link_id=honest" + strings.Repeat("&a", 99) + " HTTP/1.1\r\nHost: e\r\n\r\n",
		"200 +"},
	{"4,000 parameters", "GET /v1/click.gif?link_id=honest" + strings.Repeat("&a", 4000) + " HTTP/1.1\r\nHost: e\r\n\r\n",
		"431"},
	{"a parameter twice: the last counts", "GET /v1/click.gif?link_id=hidden&link_id=honest HTTP/1.1\r\nHost: e\r\n\r\n",
		"200 +"},
	{"a space within the target", "POST /v1/click x HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"tabs instead of spaces", "POST\t/v1/click\tHTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a query of 20 kB", "GET /v1/click.gif?x=" + strings.Repeat("y", 20000) + " HTTP/1.1\r\nHost: e\r\n\r\n", "431"},

	// Expect: 100-continue.
	{"expected", post + "Expect: 100-continue\r\nContent-Length: 20\r\n\r\n" + body, "100 200 +"},
	{"expected, over the limit", post + "Expect: 100-continue\r\nContent-Length: 100000000\r\n\r\n", "413"},
	{"expected, over the batch's limit",
		"POST /v1/clicks HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n", "413"},
	{"expected, another content type", post + "Expect: 100-continue\r\nContent-Type: x/y\r\nContent-Length: 20\r\n\r\n" +
		hidden, "415"},
	{"expected, two lengths", post +
		"Expect: 100-continue\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "400"},

	{"expected, chunked", post + "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(body) + "0\r\n\r\n" +
		hidden, "100 200"},
	{"expected, twice", post + "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n" +
		body, "100 200 +"},
	{"expected by HTTP/1.0", "POST /v1/click HTTP/1.0\r\nExpect: 100-continue\r\n" + sized(body), "200"},
	{"expected, to nowhere", "POST /v1/clik HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\n" + sized(hidden), "404"},
	{"expected, by another spelling", "POST /v1/%63lick HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\n" +
		sized(hidden), "404"},
	{"expected, to a picture", "POST /v1/click.gif HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\n" + sized(hidden),
		"405"},
	{"expected, by GET", "GET /v1/click HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\n" + sized(hidden), "405"},
	{"expected, by PUT", "PUT /v1/click HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\n" + sized(hidden), "405"},
	{"expected, in another version", "POST /v1/click HTTP/1.2\r\nHost: e\r\nExpect: 100-continue\r\n" +
		sized(hidden), "400"},
	{"expected, with a fragment", "POST /v1/click#x HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\n" + sized(hidden),
		"400"},
	{"expected, a lead without a key", "POST /v1/leads HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\n" +
		sized(hidden), "401"},
	{"expected, a movement with a wrong key", "POST /v1/movements HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer x\r\n" +
		"Expect: 100-continue\r\n" + sized(hidden), "401"},
	{"expected, a sale without a key", "POST /track/sale HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\n" +
		sized(hidden), "401"},
	{"expected, of a lead over the limit", "POST /track/lead/client HTTP/1.1\r\nHost: e\r\n" +
		"Expect: 100-continue\r\nContent-Length: 70000\r\n\r\n", "413"},
	{"expected, a script", "GET /t.js HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\n\r\n", "100 200 +"},
	{"something else expected", post + "Expect: 200-ok\r\nContent-Length: 20\r\n\r\n" + body, "200 +"},

	// Bodies of another kind are refused and never unpacked.
	{"gzip", post + "Content-Encoding: gzip\r\n" + sized("\x1f\x8b\x08\x00"), "415 +"},
	{"gzip that nobody announced", post + sized("\x1f\x8b\x08\x00"), "400 +"},
	{"gzip in a second line", post + "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n" + sized(body), "415 +"},
	{"two encodings", post + "Content-Encoding: identity, gzip\r\n" + sized(body), "415 +"},
	{"a form with a file", post + "Content-Type: multipart/form-data; boundary=x\r\n" +
		sized("--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nc\r\n--x--"), "415 +"},
	{"UTF-16", post + sized("\xff\xfe{\x00}\x00"), "400 +"},
	{"a byte order mark", post + sized("\xef\xbb\xbf"+body), "200 +"},
	{"two byte order marks", post + sized("\xef\xbb\xbf\xef\xbb\xbf"+body), "400 +"},
	{"the same name twice: the last counts", post + sized(`{"link_id":"hidden","link_id":"honest"}`), "200 +"},
	{"a name in capitals is another name", post + sized(`{"link_id":"honest","LINK_ID":"hidden"}`), "200 +"},
	{"a time of 1,000 digits", post + sized(`{"link_id":"hidden","event_time":`+strings.Repeat("9", 1000)+`}`), "400 +"},
	{"a time of 2^63", post + sized(`{"link_id":"hidden","event_time":9223372036854775808}`), "400 +"},
	{"a time of -2^63-1", post + sized(`{"link_id":"hidden","event_time":-9223372036854775809}`), "400 +"},
	{"a time of NaN", post + sized(`{"link_id":"hidden","event_time":NaN}`), "400 +"},
	{"a time that is true", post + sized(`{"link_id":"hidden","event_time":true}`), "400 +"},
	{"a comma at the end", post + sized(`{"link_id":"hidden",}`), "400 +"},
	{"a comment", post + sized(`{"link_id":"hidden"}//x`), "400 +"},
	{"two objects", post + sized(`{"link_id":"hidden"}{}`), "400 +"},
	{"a form feed as white space", post + sized("\f{\"link_id\":\"hidden\"}"), "400 +"},
	{"a zero byte behind the object", post + sized("{\"link_id\":\"hidden\"}\x00"), "400 +"},
	{"a number with a plus sign", post + sized(`{"link_id":"hidden","x":+1}`), "400 +"},
	{"a number with a zero before it", post + sized(`{"link_id":"hidden","x":01}`), "400 +"},
	{"a number of 1e999 in a field that nobody reads", post + sized(`{"link_id":"honest","x":1e999}`), "200 +"},
	{"a time of 1e400", post + sized(`{"link_id":"hidden","event_time":1e400}`), "400 +"},
	{"half a surrogate pair", post + sized(`{"link_id":"honest","affiliate_id":"\ud800"}`), "200 +"},
	{"a zero byte in a string", post + sized("{\"link_id\":\"hidden\x00\"}"), "400 +"},
	{"nested 10,000 deep", post + sized(`{"link_id":"hidden","x":`+strings.Repeat("[", 10000)+strings.Repeat("]", 10000)+
		`}`), "400 +"},

	// A key that cannot be read is no visitor's click. What has another scheme is a proxy's affair.
	{"an empty key", post + "Authorization: Bearer \r\n" + sized(hidden), "401 +"},
	{"no key", post + "Authorization: Bearer\r\n" + sized(hidden), "401 +"},
	{"a key without a scheme", post + "Authorization: sk_live_x\r\n" + sized(hidden), "401 +"},
	{"a key behind a tab", post + "authorization: BEARER\tsk_live_x\r\n" + sized(hidden), "401 +"},
	{"another scheme", post + "Authorization: Basic c2s6\r\n" + sized(body), "200 +"},
	{"an empty Authorization", post + "Authorization: \r\n" + sized(body), "200 +"},
	{"two keys", post + "Authorization: Basic c2s6\r\nAuthorization: Bearer x\r\n" + sized(hidden), "400"},
	{"two keys, in another case", post + "Authorization: Basic c2s6\r\nX: y\r\nAUTHORIZATION: Basic c2s6\r\n" +
		sized(hidden), "400"},

	// Other protocols, versions and hosts.
	{"an upgrade to HTTP/2", post + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" +
		"HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 20\r\n\r\n" + body + honest, "200 200 +"},
	{"an upgrade to WebSocket", "GET /t.js HTTP/1.1\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", "200 +"},
	{"HTTP/0.9 by name", "POST /v1/click HTTP/0.9\r\nHost: e\r\n" + sized(hidden), "400"},
	{"HTTP/2.0", "POST /v1/click HTTP/2.0\r\nHost: e\r\n" + sized(hidden), "400"},
	{"HTTPS/1.1", "POST /v1/click HTTPS/1.1\r\nHost: e\r\n" + sized(hidden), "400"},
	{"no version", "POST /v1/click\r\nHost: e\r\n" + sized(hidden), "400"},
	{"a method in small letters", "post /v1/click HTTP/1.1\r\nHost: e\r\n" + sized(hidden), "405"},
	{"a method with a body", "PUT /v1/click HTTP/1.1\r\nHost: e\r\n" + sized(hidden) + honest, "405"},
	{"another method and path in headers", "GET /x HTTP/1.1\r\nHost: e\r\nX-HTTP-Method-Override: POST\r\n" +
		"X-Original-URL: /v1/click\r\n" + sized(hidden), "404 +"},
	{"HTTP/1.10", "POST /v1/click HTTP/1.10\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a space behind the version", "POST /v1/click HTTP/1.1 \r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"two hosts in one", "POST /v1/click HTTP/1.1\r\nHost: e, f\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a host with a path", "POST /v1/click HTTP/1.1\r\nHost: e/../x\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"an empty host", "POST /v1/click HTTP/1.1\r\nHost:\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a user in the host", "POST /v1/click HTTP/1.1\r\nHost: u:p@e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a byte beyond ASCII in the host", "POST /v1/click HTTP/1.1\r\nHost: e\xff\r\nContent-Length: 0\r\n\r\n" + hidden,
		"400"},
	{"a list of hosts", "POST /v1/click HTTP/1.1\r\nHost: e,f\r\n" + sized(hidden), "400"},
	{"a quoted host", "POST /v1/click HTTP/1.1\r\nHost: \"e\"\r\n" + sized(hidden), "400"},
	{"a host in brackets", "POST /v1/click HTTP/1.1\r\nHost: <e>\r\n" + sized(hidden), "400"},
	{"a port without a host", "POST /v1/click HTTP/1.1\r\nHost: :80\r\n" + sized(hidden), "400"},
	{"an address as the host", "POST /v1/click HTTP/1.1\r\nHost: http://e\r\n" + sized(hidden), "400"},
	{"a port that is no number", "POST /v1/click HTTP/1.1\r\nHost: e:x\r\n" + sized(hidden), "400"},
	{"two ports", "POST /v1/click HTTP/1.1\r\nHost: e:80:80\r\n" + sized(hidden), "400"},
	{"a signed port", "POST /v1/click HTTP/1.1\r\nHost: e:+80\r\n" + sized(hidden), "400"},
	{"an underscore and a dot at the end of the host", "POST /v1/click HTTP/1.1\r\nHost: e_f.g.:80\r\n" + sized(body),
		"200 +"},
	{"two hosts of HTTP/1.0", "POST /v1/click HTTP/1.0\r\nHost: e\r\nHost: f\r\n" + sized(hidden), "400"},
	{"an absolute address without a host header", "POST http://e/v1/click HTTP/1.1\r\n" + sized(hidden), "400"},
	{"a zone in the host", "POST /v1/click HTTP/1.1\r\nHost: [fe80::1%25eth0]:80\r\n" + sized(body), "200 +"},
	{"PROXY version 2 from somebody who is no proxy",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02" + hidden, "400"},
	{"a header of 100 kB", post + "X: " + strings.Repeat("y", 100000) + "\r\n" + sized(body), "431"},
	{"10,000 headers", post + strings.Repeat("X: y\r\n", 10000) + sized(body), "431"},
	{"201 headers", post + strings.Repeat("X: y\r\n", 199) + sized(hidden) + hidden, "431"},
	{"200 headers", post + strings.Repeat("X: y\r\n", 198) + sized(body), "200 +"},
	{"4,000 headers", post + strings.Repeat("a:\r\n", 4000) + sized(hidden) + hidden, "431"},
	{"a zero byte in a header", post + "X: a\x00b\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a control character in a header", post + "X: a\x01b\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a zero byte in a header's name", post + "X\x00: a\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a byte beyond ASCII in a header's name", post + "X\xff: a\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a byte beyond ASCII in a header", post + "X: a\xffb\r\n" + sized(body), "200 +"},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "405"},
	{"a method that nobody knows", "PRI /v1/click HTTP/1.1\r\nHost: e\r\n\r\n" + hidden, "405"},
	{"CONNECT", "CONNECT e:80 HTTP/1.1\r\nHost: e\r\n\r\n" + hidden, "405"},
	{"TRACE", "TRACE /v1/click HTTP/1.1\r\nHost: e\r\n\r\n" + hidden, "405"},
	{"HTTP/9.9", "POST /v1/click HTTP/9.9\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"HTTP/1.2", "POST /v1/click HTTP/1.2\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"HTTP/0.9", "GET /t.js\r\n\r\n" + hidden, "400"},
	{"http/1.1 in small letters", "POST /v1/click http/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"no host", "POST /v1/click HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"two hosts", post + "Host: f\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
	{"PROXY from somebody who is no proxy", "PROXY TCP4 6.6.6.6 7.7.7.7 1 2\r\n" + hidden, "400"},
	{"headers larger than 16 KiB", "GET /t.js HTTP/1.1\r\nHost: e\r\nCookie: " + strings.Repeat("x", 20000) +
		"\r\n\r\n", "431"},
}

// A body that its sender has not ended is none, whatever stands in it: he may send it again, and a
// batch may have had more events. The end of the connection is not the end of a chunked body (RFC
// 9112 §8), nor is TLS's own.
func TestCutShort(t *testing.T) {
	plain, secured := &edge{t: t}, &edge{t: t}
	s := &sink{}
	certificate := pairOf(t, 1, 0, time.Hour)
	plain.serve(s, func(c *Config) { c.ReadTimeout = limit })
	secured.serve(s, func(c *Config) { c.ReadTimeout, c.Certificate = limit, certificate })
	large := chunk(body+"\n") + chunk(`{"link_id":"`+strings.Repeat("x", 2*freeBody)+`"}`)
	for _, tt := range []struct {
		text string
		want int
	}{
		{honest, 200},
		{inChunks + chunk(body) + "0\r\n\r\n", 200},
		{inChunks + chunk(body) + "0\r\nX: y\r\n\r\n", 200},
		{post + "Content-Length: 21\r\n\r\n" + body, 400},
		{inChunks + chunk(body), 400},
		{inChunks + "14\r\n" + body, 400},
		{inChunks + chunk(body) + "0", 400},
		{inChunks + chunk(body) + "0\r\n", 400},
		{inChunks + chunk(body) + "0\r\n\r", 400},
		{inChunks + chunk(body) + "0\r\nX: y", 400},
		{inChunks + chunk(body) + "0\r\nX: y\r\n", 400},
		{inChunks + chunk(body) + "5", 400},
		{strings.Replace(inChunks, "click", "clicks", 1) + chunk(body+"\n"), 400},
		{strings.Replace(inChunks, "click", "clicks", 1) + large, 400},
	} {
		for _, e := range []*edge{plain, secured} {
			before := s.count()
			c, err := net.Dial("tcp", e.addr)
			if err != nil {
				t.Fatal(err)
			}
			if e == secured {
				c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			}
			_ = c.SetDeadline(time.Now().Add(limit))
			if _, err = io.WriteString(c, tt.text); err == nil {
				err = c.(interface{ CloseWrite() error }).CloseWrite()
			}
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("%.90q: %v", tt.text, err)
			}
			res.Body.Close()
			c.Close()
			if stored := s.count() - before; res.StatusCode != tt.want || (stored == 1) != (tt.want == 200) {
				t.Errorf("%.90q, TLS %t: status %d, %d clicks stored", tt.text, e == secured, res.StatusCode, stored)
			}
		}
	}
}

// sized is a body with its length.
func sized(body string) string {
	return "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func chunk(text string) string {
	return strconv.FormatInt(int64(len(text)), 16) + "\r\n" + text + "\r\n"
}

func TestProbes(t *testing.T) {
	for _, tt := range probes {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &sink{keep: true}
			e := &edge{t: t}
			e.serve(s, func(c *Config) {
				if c.ReadTimeout = limit; tt.want == "408" {
					c.ReadTimeout = time.Second
				}
			})
			got := e.raw(tt.text, tt.want)
			if got != tt.want {
				t.Errorf("answers %q, want %q", got, tt.want)
			}
			want := strings.Count(tt.want, "200")
			if strings.HasPrefix(tt.text, "GET /t.js") {
				want--
			}
			if n := s.count(); n != max(want, 0) {
				t.Errorf("%d clicks stored, want %d", n, want)
			}
			for _, r := range s.all() {
				if c, err := schemas.DecodeClick(r); err != nil || c.LinkId != "honest" {
					t.Errorf("stored %v, %v", c, err)
				}
			}
		})
	}
}

// A record that Kafka never takes is the sender's to change: not 503, after which he would repeat
// it for ever.
func TestKafkaTakesNoSuchRecord(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.Workspaces, _ = LoadWorkspaces("", "sk") })
	e.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge, Count: -1})
	e.want(e.do("POST", "/v1/click", `{"link_id":"l"}`), 413, "not_storable")
	e.want(e.do("POST", "/v1/clicks", `[{"link_id":"l"}]`), 413, "not_storable")
	e.want(e.do("GET", "/v1/click.gif?link_id=l", ""), 413, "not_storable")
	e.want(e.do("POST", "/v1/leads", `{"external_id":"u"}`, "Authorization: Bearer sk"), 413, "not_storable")
}
