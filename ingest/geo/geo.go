// Package geo finds where an address is, and whether its network hosts servers, in MaxMind DB files
// (https://maxmind.github.io/MaxMind-DB/). It knows the fields of MaxMind's GeoIP2, GeoLite2 and
// ASN files and DB-IP's, and those of their copies in the npm packages @ip-location-db.
package geo

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Place is what is known of an address. Empty fields are unknown.
type Place struct {
	Continent  string // AF, AN, AS, EU, NA, OC or SA
	Country    string // ISO 3166-1 alpha-2
	Region     string // ISO 3166-2 without the country where the file has it, else a name
	City       string // in English
	Datacenter bool   // the network is of the list of those that host servers
}

// Database answers from files that lie in memory. Replace changes them while it answers. The nil
// Database knows no address. Safe for concurrent use.
type Database struct {
	files atomic.Pointer[[]file]
}

// file is one MaxMind DB file.
type file struct {
	reader *maxminddb.Reader
	hosts  map[uint32]bool // autonomous systems that host servers
	cache  *[cached]atomic.Pointer[answer]
}

// Where files have their fields, as DecodePath takes it. The copies of @ip-location-db have them
// flat, MaxMind and DB-IP in maps within maps.
var (
	continentPath = []any{"continent", "code"}
	countryPath   = []any{"country", "iso_code"}
	regionPath    = []any{"subdivisions", 0, "iso_code"}
	regionName    = []any{"subdivisions", 0, "names", "en"}
	cityPath      = []any{"city", "names", "en"}
	asnPath       = []any{"autonomous_system_number"}

	flatCountry, flatRegion, flatCity = []any{"country_code"}, []any{"state1"}, []any{"city"}
)

// cached is how many answers of a file are kept decoded. Many networks share one record.
const cached = 1 << 14

// answer is a decoded record.
type answer struct {
	offset uintptr // of the record in the file
	place  Place
}

const (
	maxFile     = 1 << 30 // bytes of a file; DB-IP's of cities has some 130 MB
	maxField    = 100     // bytes of a name
	answerBytes = 128     // what one of cached takes, with the names in it
)

var inMemory atomic.Int64

// Memory returns how many bytes the files take that lie in memory, with the answers kept of them:
// also those of a reload that is under way, and old ones until they are collected.
func Memory() int64 { return inMemory.Load() }

// Open reads files, and the list of networks that host servers; "" is the built-in list. An error
// holds every fault, each with a hint.
func Open(paths []string, datacenters string) (*Database, error) {
	hosts, err := readDatacenters(datacenters)
	faults := []error{err}
	if datacenters != "" && len(paths) == 0 {
		faults = append(faults, errors.New("datacenters: no file says which network an address is of "+
			"(hint: --geo names one of autonomous systems)"))
	}
	files := make([]file, 0, len(paths))
	for _, path := range paths {
		f, err := open(path)
		if err != nil {
			faults = append(faults, fmt.Errorf("geography: %s: %w", path, err))
			continue
		}
		f.hosts = hosts
		files = append(files, f)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	d := new(Database)
	d.files.Store(&files)
	return d, nil
}

// open reads a file into memory. A mapped file would end the program when somebody writes a shorter
// one over it.
func open(path string) (file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return file{}, fmt.Errorf("%w (hint: --geo names a MaxMind DB file)", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return file{}, fmt.Errorf("no file of at most %d bytes (hint: --geo names a MaxMind DB file)", maxFile)
	}
	size := info.Size() + cached*answerBytes
	inMemory.Add(size)
	forget := func(n int64) { inMemory.Add(-n) }
	data, err := os.ReadFile(path)
	if err != nil {
		forget(size)
		return file{}, fmt.Errorf("%w (hint: may this user read it?)", err)
	}
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		forget(size)
		return file{}, fmt.Errorf("%w (hint: a whole, unpacked MaxMind DB file, .mmdb)", err)
	}
	runtime.AddCleanup(reader, forget, size)
	if kind := reader.Metadata.DatabaseType; !kinds.MatchString(kind) {
		return file{}, fmt.Errorf("it is of the type %q (hint: a file of cities, countries or autonomous systems)", kind)
	}
	return file{reader: reader, cache: new([cached]atomic.Pointer[answer])}, nil
}

// kinds are the types of files that have any of the fields.
var kinds = regexp.MustCompile(`(?i)city|country|asn|location|enterprise|isp`)

// Replace makes the files of other those of d.
func (d *Database) Replace(other *Database) { d.files.Store(other.files.Load()) }

// Lookup returns what the files know of an address. The first file that knows a country tells the
// place; a network that any file knows to host servers does.
func (d *Database) Lookup(addr netip.Addr) Place {
	var found Place
	if d == nil || !addr.IsValid() {
		return found
	}
	files := *d.files.Load()
	for i := range files {
		p := files[i].lookup(addr)
		hosting := found.Datacenter || p.Datacenter
		if found.Country == "" && (p.Country != "" || p.Continent != "") {
			found = p
		}
		found.Datacenter = hosting
	}
	return found
}

func (f *file) lookup(addr netip.Addr) Place {
	if addr.Is6() && f.reader.Metadata.IPVersion == 4 {
		return Place{}
	}
	result := f.reader.Lookup(addr)
	if !result.Found() {
		return Place{}
	}
	offset := result.Offset()
	slot := &f.cache[offset%cached]
	if known := slot.Load(); known != nil && known.offset == offset {
		return known.place
	}
	p := f.decode(result)
	slot.Store(&answer{offset, p})
	return p
}

// decode reads a record. A field that is not there, or is of another type, is unknown.
func (f *file) decode(r maxminddb.Result) Place {
	text := func(path []any) string {
		var s string
		if r.DecodePath(&s, path...) != nil || len(s) > maxField {
			return ""
		}
		// The reader's strings may share memory with the file, which a reload lets go.
		return strings.Clone(strings.ToValidUTF8(s, "\uFFFD"))
	}
	var p Place
	if country := text(flatCountry); country != "" {
		p = Place{Country: country, Region: text(flatRegion), City: text(flatCity)}
	} else {
		p = Place{Continent: text(continentPath), Country: text(countryPath), Region: text(regionPath), City: text(cityPath)}
		if p.Region == "" {
			p.Region = text(regionName)
		}
	}
	p.Country = strings.ToUpper(p.Country)
	if len(p.Country) != 2 {
		p.Country = ""
	}
	if !IsContinent(p.Continent) {
		p.Continent = ""
	}
	var asn uint32
	if r.DecodePath(&asn, asnPath...) == nil {
		p.Datacenter = f.hosts[asn]
	}
	return p
}

// IsContinent reports whether code is one that Place.Continent may hold.
func IsContinent(code string) bool {
	switch code {
	case "AF", "AN", "AS", "EU", "NA", "OC", "SA":
		return true
	}
	return false
}
