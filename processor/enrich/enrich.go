// Package enrich turns what a browser sent with a click into the columns that analysts group by:
// parts of the address, the referrer's domain, the channel, the browser and the device, and whether
// a machine made the click.
//
// Every function is pure: the same text gives the same columns on every replay. None refuses its
// input. Whatever a site, a browser or an attacker sends, a click that was acknowledged becomes a
// row; what cannot be read becomes an empty column.
package enrich

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strings"
)

//go:embed domains.csv
var domainsCSV string

//go:embed mediums.csv
var mediumsCSV string

//go:embed clickids.csv
var clickIDsCSV string

// class is what kind of place a domain, or of click a parameter, is.
type class string

const (
	classNone      class = ""
	classSearch    class = "search"
	classSocial    class = "social"
	classAI        class = "ai"
	classEmail     class = "email"
	classDisplay   class = "display"
	classReferral  class = "referral" // any other site, under the domain of one that has a class
	classReturn    class = "return"   // pays or logs in for a site, and sends its visitors back
	classAffiliate class = "affiliate"
	classShared    class = "shared"
)

// clickID is a parameter by which an advertising network marks its clicks.
type clickID struct {
	network string
	class   class
	rank    int // lower is surer
}

var (
	// domainClasses holds the rows of domains.csv, anyEndingClasses those that end in ".*", without
	// that.
	domainClasses, anyEndingClasses = loadDomains(domainsCSV)

	mediumKinds    = loadMediums(mediumsCSV)
	clickIDs       = loadClickIDs(clickIDsCSV)
	networkClasses = func() map[string]class {
		classes := make(map[string]class, len(clickIDs))
		for _, id := range clickIDs {
			classes[id.network] = id.class
		}
		return classes
	}()
)

// loadDomains reads a table that is compiled in. A fault in it is a fault of the build, so it
// panics at start, where every test sees it.
func loadDomains(text string) (exact, anyEnding map[string]class) {
	exact, anyEnding = make(map[string]class), make(map[string]class)
	for _, row := range rows(text, 2) {
		table := exact
		name, cut := strings.CutSuffix(row[0], ".*")
		if cut {
			table = anyEnding
		}
		switch c := class(row[1]); c {
		case classSearch, classSocial, classAI, classEmail, classDisplay, classReferral, classReturn:
			if _, twice := table[name]; twice {
				panic(fmt.Sprintf("read domains.csv: %s is listed twice", row[0]))
			}
			table[name] = c
		default:
			panic(fmt.Sprintf("read domains.csv: unknown class %q", row[1]))
		}
	}
	return exact, anyEnding
}

func loadMediums(text string) map[string]mediumKind {
	table := make(map[string]mediumKind)
	for _, row := range rows(text, 2) {
		switch kind := mediumKind(row[1]); kind {
		case kindSearchAd, kindSocialAd, kindDisplay, kindPaid, kindEmail, kindSocial, kindOrganic, kindReferral,
			kindAffiliate, kindMessage, kindAI:
			if _, twice := table[row[0]]; twice {
				panic(fmt.Sprintf("read mediums.csv: %s is listed twice", row[0]))
			}
			table[row[0]] = kind
		default:
			panic(fmt.Sprintf("read mediums.csv: unknown kind %q", row[1]))
		}
	}
	return table
}

func loadClickIDs(text string) map[string]clickID {
	table := make(map[string]clickID)
	for i, row := range rows(text, 3) {
		switch c := class(row[2]); c {
		case classSearch, classSocial, classDisplay, classAffiliate, classShared:
			table[row[0]] = clickID{network: row[1], class: c, rank: i}
		default:
			panic(fmt.Sprintf("read clickids.csv: unknown class %q", row[2]))
		}
	}
	return table
}

func rows(text string, fields int) [][]string {
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comment = '#'
	reader.FieldsPerRecord = fields
	all, err := reader.ReadAll()
	if err != nil {
		panic(fmt.Sprintf("read compiled-in table: %v", err))
	}
	return all[1:]
}
