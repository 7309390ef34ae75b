package clicks

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/race"
)

var (
	addresses = flag.Int("addresses", 100_000, "how many addresses TestAttacks sends from")
	order     = flag.Uint64("order", 2, "seed of the order of TestAttacks' attacks")
	only      = flag.String("attacks", "", "regular expression of the names of TestAttacks' attacks; empty: all")
)

// maxRSS is what an edge may take, whatever is sent to it. The test binary, Kafka's test double in
// it, is larger than the program.
const maxRSS = 96 << 20

// few returns how many senders or milliseconds of n an attack takes: under the race detector, which
// judges neither memory nor time, a fiftieth of them and at least two.
func few(n int) int {
	if race.Enabled {
		return max(n/50, 2)
	}
	return n
}

// slowKafka takes as long as a healthy cluster for batches.
type slowKafka struct{}

func (slowKafka) Publish(_ context.Context, records ...*kgo.Record) (bool, error) {
	if len(records) > 1 {
		time.Sleep(5 * time.Millisecond)
	}
	return false, nil
}

// serveAttacked is the other process: an edge with the documented limits, but for those of time, and
// another one that speaks TLS. One of their peers is a trusted proxy, so that visitors of many
// addresses can be played.
func serveAttacked() {
	probes = nil // 6 MB that the program does not have
	c := Default()
	c.Logger, c.ReadTimeout, c.WriteTimeout = slog.New(slog.DiscardHandler), limit, limit
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	var err error
	if c.Workspaces, err = LoadWorkspaces("", "sk_0123456789abcdef"); err != nil {
		panic(err)
	}
	cert, key, err := newPair(1, 0, time.Hour)
	if err != nil {
		panic(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		panic(err)
	}
	secure := c
	secure.Certificate = new(Certificate)
	secure.Certificate.pair.Store(&pair)
	for _, c := range []Config{c, secure} {
		s, err := New(c, slowKafka{})
		if err != nil {
			panic(err)
		}
		s.LimitMemory(true)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Print(ln.Addr(), " ")
		go func() { _ = s.Serve(ln) }()
	}
	fmt.Println(os.Getpid())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends
}

// attacked is the edge in its own process.
type attacked struct {
	t      *testing.T
	addr   string
	secure string // the address at which it speaks TLS
	pid    string

	// Each attack has addresses of its own, so that none spends what another may send: from is the one
	// that a proxy tells, peer is that of a connection without a proxy.
	from string
	peer net.IP
}

// dial opens a connection without a proxy.
func (a *attacked) dial(addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: a.peer}}
	return d.Dial("tcp", addr)
}

// head is the beginning of a request of the attacker's.
func (a *attacked) head(line string) string {
	return line + " HTTP/1.1\r\nHost: e\r\nX-Forwarded-For: " + a.from + "\r\n"
}

func startAttacked(t *testing.T) *attacked {
	t.Helper()
	line, stop := child(t, "edge")
	t.Cleanup(stop)
	said := strings.Fields(line)
	return &attacked{t: t, addr: said[0], secure: said[1], pid: said[2]}
}

// peak is the largest resident set since the last call, in bytes.
func (a *attacked) peak() int {
	a.t.Helper()
	status, err := os.ReadFile("/proc/" + a.pid + "/status")
	if err != nil {
		a.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile("/proc/"+a.pid+"/clear_refs", []byte("5"), 0); err != nil { // proc(5): resets VmHWM
		a.t.Fatal(err)
	}
	return kib << 10
}

// honestP99 sends clicks of ordinary visitors, 50 a second on each of four connections, until stop
// is closed, and returns the 99th percentile of the time to an answer. All of them must be stored.
func (a *attacked) honestP99(stop <-chan struct{}) time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			client := &http.Client{Timeout: limit, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for {
				req, _ := http.NewRequest("POST", "http://"+a.addr+"/v1/click", strings.NewReader(sampleClick(i)))
				req.Header.Set("X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
				begin := time.Now()
				res, err := client.Do(req)
				if err != nil {
					a.t.Errorf("an honest click: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != 200 {
					a.t.Errorf("an honest click: status %d", res.StatusCode)
				}
				mu.Lock()
				took = append(took, time.Since(begin))
				mu.Unlock()
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	if len(took) == 0 { // which is reported already
		return 0
	}
	return took[len(took)*99/100]
}

// under runs one attack beside honest traffic, and sends the same traffic to another edge that
// nobody attacks: its latency is what the machine is good for at the moment.
func (a *attacked) under(name string, control *attacked, attack func()) (rss int, p99, quiet time.Duration) {
	a.t.Helper()
	a.peak()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { p99 = a.honestP99(stop) })
	wg.Go(func() { quiet = control.honestP99(stop) })
	begin := time.Now()
	attack()
	if !race.Enabled { // as many honest clicks as a percentile needs
		time.Sleep(max(0, time.Second-time.Since(begin)))
	}
	close(stop)
	wg.Wait()
	rss = a.peak()
	const round = 100 * time.Microsecond
	a.t.Logf("%-60s RSS %3d MB, honest p99 %s, of the other edge %s", name, rss>>20, p99.Round(round), quiet.Round(round))
	return rss, p99, quiet
}

// send writes one raw request and returns the answer's status, 0 if the edge closed the connection
// without one.
func (a *attacked) send(head, body string) int {
	c, err := net.Dial("tcp", a.addr)
	if err != nil {
		return 0
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(limit))
	go func() { _, _ = io.WriteString(c, head+body) }()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// atOnce sends the same request n times at the same time, rounds times, and checks every answer:
// one of want, or 503 where the machine reads a body so slowly that the next waits too long for
// memory.
func (a *attacked) atOnce(n, rounds int, path, headers, body string, want ...int) {
	a.t.Helper()
	head := fmt.Sprintf("%sContent-Length: %d\r\n\r\n", a.head("POST "+path)+headers, len(body))
	if race.Enabled {
		rounds = 1
	}
	for range rounds {
		var wg sync.WaitGroup
		var judged atomic.Int64
		for range few(n) {
			wg.Go(func() {
				switch got := a.send(head, body); {
				case slices.Contains(want, got):
					judged.Add(1)
				case got != http.StatusServiceUnavailable:
					a.t.Errorf("%s: status %d, want one of %v", path, got, want)
				}
			})
		}
		wg.Wait()
		if judged.Load() == 0 {
			a.t.Errorf("%s: all of %d requests are answered 503", path, n)
		}
	}
}

const secretHeader = "Authorization: Bearer sk_0123456789abcdef\r\n"

// A few megabytes of hostile requests must cost a few megabytes, whatever is in them, and the
// visitors beside them must not notice. The race detector takes several times the memory and the
// time, so under it the answers to one small round of each attack are judged and those two are not:
// make proof runs this test without it.
func TestAttacks(t *testing.T) {
	a, control := startAttacked(t), startAttacked(t)

	// mib is a body of at most 1 MiB.
	mib := func(before, unit, after string) string {
		return before + strings.Repeat(unit, (1<<20-len(before)-len(after))/len(unit)) + after
	}
	numbers := mib("[", "1,", "1]")
	event := func(rest string) string { return `{"link_id":"l","x":` + rest + `}` }
	type attack struct {
		name string
		run  func()
	}
	largeHead := a.head("GET /v1/click.gif?link_id=l") + "Cookie: " + strings.Repeat("c", 1<<14)
	manyLines := a.head("GET /v1/click.gif?link_id=l"+strings.Repeat("&a", 98)) +
		strings.Repeat("a:b\r\n", 190) + "\r\n"
	keptCookie := a.head("OPTIONS /v1/click") + "Cookie: " + strings.Repeat("c", keptHead-100) + "\r\n\r\n"
	largeBody := a.head("POST /v1/click") +
		fmt.Sprintf("Content-Length: 16000\r\n\r\n{\"link_id\":\"l\"%15986s", "}")
	partOfHead := func(c *sealed) { c.write(23, []byte(largeHead[:15<<10])) }
	partOfBody := func(c *sealed) {
		c.write(23, []byte(a.head("POST /v1/click")+"Cookie: "+strings.Repeat("c", 15_000)+
			"\r\nContent-Length: 60000\r\n\r\n{"+strings.Repeat(" ", 3000)))
	}
	partOfMessage := func(c *sealed) { c.write(22, unended(1 << 18)[:17<<10]) }
	attacks := []attack{
		{"nothing", func() {}},
		{"12 × 1 MiB of [1,1,…] to /v1/clicks", func() { a.atOnce(12, 3, "/v1/clicks", "", numbers, 413) }},
		{"12 × 1 MiB of [1,1,…] to /v1/click", func() { a.atOnce(12, 3, "/v1/click", "", numbers, 413) }},
		{"12 × 1 MiB of [1,1,…] to /v1/leads", func() { a.atOnce(12, 3, "/v1/leads", "", numbers, 401) }},
		{"12 × 1 MiB of [1,1,…] to /v1/leads with the secret key",
			func() { a.atOnce(12, 3, "/v1/leads", secretHeader, numbers, 413) }},
		{"12 × 1 MiB of [1,1,…] to /v1/clicks with the secret key",
			func() { a.atOnce(12, 3, "/v1/clicks", secretHeader, numbers, 413) }},
		{"12 × 1 MiB of [1,1,…] to /track/click, visit and lead", func() {
			a.atOnce(12, 1, "/track/click", "", numbers, 413)
			a.atOnce(12, 1, "/track/visit", "", numbers, 413)
			a.atOnce(12, 1, "/track/lead", "", numbers, 401)
		}},
		{"12 × 1 MiB of nested arrays", func() { a.atOnce(12, 3, "/v1/clicks", "", mib("", "[", ""), 400) }},
		{"12 × 1 MiB of one array in an array", func() { a.atOnce(12, 3, "/v1/clicks", "", mib("[[", "1,", "1]]"), 200) }},
		{"12 × 1 MiB of one string", func() { a.atOnce(12, 3, "/v1/clicks", "", mib(`[{"link_id":"`, "x", `"}]`), 200) }},
		{"12 × 1 MiB of escapes", func() { a.atOnce(12, 3, "/v1/clicks", "", mib(`[{"link_id":"`, `\u2028`, `"}]`), 200) }},
		{"12 × 1 MiB of bytes that are no UTF-8",
			func() { a.atOnce(12, 3, "/v1/clicks", "", mib(`[{"link_id":"`, "\xff", `"}]`), 200) }},
		{"12 × 1 MiB of one number", func() { a.atOnce(12, 3, "/v1/clicks", "", mib(`[{"event_time":`, "1", `}]`), 200) }},
		{"12 × 1 MiB of one event's fields",
			func() { a.atOnce(12, 3, "/v1/clicks", "", mib(`[{`, `"a":1,`, `"b":2}]`), 200) }},
		{"12 × 1 MiB of properties", func() {
			a.atOnce(12, 3, "/v1/clicks", "", mib(`[{"link_id":"l","properties":{`, `"a":{},`, `"b":2}}]`), 200)
		}},
		{"12 × 1 MiB of empty lines", func() { a.atOnce(12, 3, "/v1/clicks", "", mib("", "\n", ""), 400) }},
		{"12 × 1 MiB of lines with one bracket", func() { a.atOnce(12, 3, "/v1/clicks", "", mib("", "{\n", ""), 413) }},
		{"12 × 1000 events with an agent of 1 KiB", func() {
			events := "[" + strings.TrimSuffix(strings.Repeat(`{"link_id":"l"},`, 1000), ",") + "]"
			a.atOnce(12, 3, "/v1/clicks", "User-Agent: "+strings.Repeat("x", 1024)+"\r\n", events, 200, 429)
		}},
		{"100 × 64 KiB of [1,1,…] in a field", func() {
			for _, path := range []string{"/v1/click", "/track/click"} {
				a.atOnce(100, 2, path, "", event("["+strings.Repeat("1,", 32_000)+"1]"), 200, 400)
			}
			a.atOnce(100, 2, "/v1/leads", secretHeader, `{"external_id":"u","x":[`+strings.Repeat("1,", 32_000)+`1]}`, 200)
			a.atOnce(100, 2, "/v1/leads", secretHeader, `{"external_id":"u","metadata":{`+strings.Repeat(`"a":1,`,
				10_000)+`"a":1}}`, 400)
		}},
		{"100 × 64 KiB of fields", func() {
			a.atOnce(100, 3, "/v1/click", "", `{"link_id":"l",`+strings.Repeat(`"a":1,`, 10_000)+`"a":1}`, 200)
		}},
		{"12 × 1 MiB that are said to be compressed",
			func() {
				a.atOnce(12, 3, "/v1/clicks", "Content-Encoding: gzip\r\n", mib("\x1f\x8b\x08", "\x00", ""), 400, 415)
			}},
		{"12 × 300,000 chunks of one byte", func() { a.chunks(12, "/v1/clicks", 300_000, 413) }},
		{"100 × 30,000 chunks of one byte", func() { a.chunks(100, "/v1/click", 30_000, 413) }},
		{"12 × 1 MiB of nested objects to every address with the secret key", func() {
			for _, path := range []string{"/v1/click", "/v1/clicks", "/v1/leads", "/v1/movements", "/track/click",
				"/track/lead", "/track/sale", "/track/open"} {
				a.atOnce(12, 1, path, secretHeader, mib("", `{"a":`, ""), 200, 400, 413)
			}
		}},
		{"1,000 connections that announce 1 MiB and send nothing",
			func() { a.announce(1000, "Content-Length: 1048576\r\n\r\n") }},
		{"1,000 connections that begin a chunk of 1 MiB",
			func() { a.announce(1000, "Transfer-Encoding: chunked\r\n\r\n100000\r\n[") }},
		{"100 connections that announce 1 MiB and send 5 KiB",
			func() { a.announce(100, "Content-Length: 1048576\r\n\r\n["+strings.Repeat(" ", 5000)) }},
		{"1,000 connections that wait after an answer", func() { a.idle(1000, "OPTIONS /v1/click") }},
		{"1,000 connections that wait after 7,000 parameters",
			func() { a.idle(1000, "GET /v1/click.gif?"+strings.Repeat("a&", 7000)) }},
		{"1,000 connections that say nothing instead of TLS' first message", func() { a.handshakes(1000, 0) }},
		{"1,000 connections that end in the middle of TLS' first message", func() { a.handshakes(1000, 300) }},
		{"1,000 connections that send 64 KiB of TLS' first message", func() { a.handshakes(1000, 1<<16-1) }},
		{"1,000 connections that send 256 KiB of a message of TLS",
			func() { a.crowdSecure(1000, func(c *sealed) { c.write(22, unended(1<<18)) }) }},
		{"1,000 connections that send a part of a record of TLS", func() {
			a.crowdSecure(1000, func(c *sealed) { _, _ = c.below.Write(c.record(23, make([]byte, 1<<14))[:1<<14]) })
		}},
		{"1,000 connections that send a part of a head over TLS, and of a message",
			func() { a.crowdSecure(1000, sends(partOfHead, partOfMessage)) }},
		{"1,000 connections that wait after an answer over TLS", func() { a.crowdSecure(1000, asks(keptCookie)) }},
		{"1,000 connections that wait after 99 parameters and 190 lines over TLS",
			func() { a.crowdSecure(1000, asks(manyLines)) }},
		{"1,000 connections that wait after a record of 16 KiB over TLS",
			func() { a.crowdSecure(1000, asks(largeBody)) }},
		{"1,000 connections that send parts of a head and of a message after an answer over TLS",
			func() { a.crowdSecure(1000, asks(manyLines, partOfHead, partOfMessage)) }},
		{"1,000 connections that send a large head and a part of a body over TLS, and of a message",
			func() { a.crowdSecure(1000, sends(partOfBody, partOfMessage)) }},
		{"9,000 connections of ten addresses that send a part of a head",
			func() { a.heads(9000, largeHead[:15<<10]) }},
		{"400 connections that ask for /t.js again and again, and read nothing",
			func() { a.deaf(400, a.head("GET /t.js")+"\r\n") }},
		{"400 connections that send clicks again and again, and read nothing", func() {
			a.deaf(400, a.head("POST /v1/click")+"Content-Length: 15\r\n\r\n{\"link_id\":\"l\"}")
		}},
		{"400 connections that send bad requests again and again, and read nothing",
			func() { a.deaf(400, a.head("GET /%2e")+"\r\n") }},
		{"100 × 190 lines of headers, 15 KB", func() {
			headers := strings.Repeat("X-"+strings.Repeat("a", 30)+": "+strings.Repeat("b", 44)+"\r\n", 190)
			a.atOnce(100, 3, "/v1/click", headers, `{"link_id":"l"}`, 200, 429)
		}},
		{fmt.Sprintf("%d addresses", *addresses), func() { a.crowd(few(*addresses)) }},
	}
	// What one attack leaves behind in memory is there in the next one.
	rand.New(rand.NewPCG(*order, 0)).Shuffle(len(attacks), func(i, j int) {
		attacks[i], attacks[j] = attacks[j], attacks[i]
	})
	for i, tt := range attacks {
		if m, err := regexp.MatchString(*only, tt.name); err != nil || !m {
			continue
		}
		a.from, a.peer = fmt.Sprintf("198.51.100.%d", i), net.IPv4(127, 0, 1, byte(i))
		slow := func() string {
			rss, p99, quiet := a.under(tt.name, control, tt.run)
			if rss > maxRSS && !race.Enabled {
				t.Errorf("%s: %d MB, want at most %d", tt.name, rss>>20, maxRSS>>20)
			}
			if p99 <= max(50*time.Millisecond, 3*quiet) || race.Enabled {
				return ""
			}
			return fmt.Sprintf("honest clicks wait %s at the 99th percentile, and %s at the edge that is not attacked", p99,
				quiet)
		}
		// Other work on the machine may stop one process and not the other, now and then. An attack
		// that works does so each time.
		why := slow()
		for tries := 1; why != "" && tries < 5; tries++ {
			why = slow()
		}
		if why != "" {
			t.Errorf("%s: five times, at last %s", tt.name, why)
		}
	}
}

// announce opens n connections that say what they will send, and do not.
func (a *attacked) announce(n int, rest string) {
	conns := make([]net.Conn, 0, n)
	for range few(n) {
		c, err := a.dial(a.addr)
		if err != nil {
			a.t.Error(err)
			break
		}
		conns = append(conns, c)
		_, _ = io.WriteString(c, a.head("POST /v1/clicks")+rest)
	}
	time.Sleep(time.Duration(few(2000)) * time.Millisecond)
	for _, c := range conns {
		_ = c.Close()
	}
}

// heads opens n connections of ten addresses and sends the same on each.
func (a *attacked) heads(n int, head string) {
	for i := range few(n) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(i%10))}}
		c, err := d.Dial("tcp", a.addr)
		if err != nil {
			a.t.Error(err)
			return
		}
		defer c.Close()
		go func() { _, _ = io.WriteString(c, head) }() // it may have given way
	}
	time.Sleep(time.Duration(few(1000)) * time.Millisecond)
}

// idle opens n connections, has one request answered on each that begins with line, and keeps them.
func (a *attacked) idle(n int, line string) {
	for range few(n) {
		c, err := a.dial(a.addr)
		if err != nil {
			a.t.Error(err)
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(limit))
		_, _ = io.WriteString(c, a.head(line)+"\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			a.t.Error(err)
			return
		}
	}
	time.Sleep(time.Second)
}

// handshakes opens n connections, sends size bytes of a first message that would be one byte longer,
// in records of 16 KiB (RFC 8446 §4 and §5.1), and waits.
func (a *attacked) handshakes(n, size int) {
	var sent []byte
	message := append([]byte{1, byte((size + 1) >> 16), byte((size + 1) >> 8), byte(size + 1)}, make([]byte, size)...)
	for rest := message; size > 0 && len(rest) > 0; {
		part := rest[:min(1<<14, len(rest))]
		sent = append(append(sent, 22, 3, 1, byte(len(part)>>8), byte(len(part))), part...)
		rest = rest[len(part):]
	}
	for range few(n) {
		c, err := a.dial(a.secure)
		if err != nil {
			a.t.Error(err)
			return
		}
		defer c.Close()
		go func() { _, _ = c.Write(sent) }() // which may be refused before its end
	}
	time.Sleep(time.Duration(few(2000)) * time.Millisecond)
}

// crowdSecure opens n connections over TLS, begins on each, and waits.
func (a *attacked) crowdSecure(n int, begin func(*sealed)) {
	for range few(n) {
		below, err := a.dial(a.secure)
		if err != nil {
			a.t.Error(err)
			return
		}
		defer below.Close()
		_ = below.SetDeadline(time.Now().Add(limit))
		if c, err := seal(below); err == nil { // or it has given way
			begin(c)
		}
	}
	time.Sleep(time.Duration(few(2000)) * time.Millisecond)
}

// asks returns what has one request answered, and then sends more, on a connection that may have
// given way.
func asks(request string, more ...func(*sealed)) func(*sealed) {
	return func(c *sealed) {
		c.write(23, []byte(request))
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			sends(more...)(c)
		}
	}
}

// sends returns what does one thing after another.
func sends(parts ...func(*sealed)) func(*sealed) {
	return func(c *sealed) {
		for _, part := range parts {
			part(c)
		}
	}
}

// deaf opens n connections, each of which sends the same request for two seconds as fast as the
// edge takes it, and reads no answer. It does so in a process of its own, or the honest senders
// would wait for it here.
func (a *attacked) deaf(n int, request string) {
	a.t.Helper()
	_, wait := child(a.t, "deaf", a.addr, strconv.Itoa(few(n)), hex.EncodeToString([]byte(request)))
	wait()
}

// sendDeaf is the process of deaf.
func sendDeaf(args []string) {
	n, _ := strconv.Atoi(args[1])
	request, _ := hex.DecodeString(args[2])
	requests := bytes.Repeat(request, 50)
	fmt.Println("begun")
	until := time.Now().Add(time.Duration(few(2000)) * time.Millisecond)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			c, err := net.Dial("tcp", args[0])
			if err != nil {
				panic(err)
			}
			defer c.Close()
			_ = c.SetDeadline(until)
			for err == nil { // until the deadline, or until the edge closes the connection
				_, err = c.Write(requests)
			}
			time.Sleep(time.Until(until))
		})
	}
	wg.Wait()
}

// chunks sends n times at once a body of the given number of chunks, each of one byte.
func (a *attacked) chunks(n int, path string, number, want int) {
	head := a.head("POST "+path) + "Transfer-Encoding: chunked\r\n\r\n"
	body := "1\r\n[\r\n" + strings.Repeat("1\r\n1\r\n1\r\n,\r\n", number/2) + "1\r\n1\r\n1\r\n]\r\n0\r\n\r\n"
	var wg sync.WaitGroup
	for range few(n) {
		wg.Go(func() {
			if got := a.send(head, body); got != want && got != http.StatusServiceUnavailable {
				a.t.Errorf("%s in chunks of one byte: status %d, want %d", path, got, want)
			}
		})
	}
	wg.Wait()
}

// crowd sends one click from each of n addresses, half of them IPv6, a hundred requests at a time.
func (a *attacked) crowd(n int) {
	const conns, pipelined = 4, 100
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() {
			c, err := net.Dial("tcp", a.addr)
			if err != nil {
				a.t.Error(err)
				return
			}
			defer c.Close()
			r := bufio.NewReader(c)
			var requests bytes.Buffer
			for first := i * (n / conns); first < (i+1)*(n/conns); first += pipelined {
				requests.Reset()
				for k := first; k < first+pipelined; k++ {
					addr := netip.AddrFrom4([4]byte{100, byte(k >> 16), byte(k >> 8), byte(k)})
					if k%2 == 1 {
						addr = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(k >> 24), byte(k >> 16),
							byte(k >> 8), byte(k), 15: 1})
					}
					fmt.Fprintf(&requests, "GET /v1/click.gif?link_id=l HTTP/1.1\r\nHost: e\r\nX-Forwarded-For: %s\r\n\r\n", addr)
				}
				if _, err := c.Write(requests.Bytes()); err != nil {
					a.t.Error(err)
					return
				}
				for range pipelined {
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						a.t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body)
					if res.StatusCode != 200 {
						a.t.Errorf("status %d", res.StatusCode)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
