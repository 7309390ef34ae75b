package sql

import (
	"fmt"
	"regexp"
	"strings"
)

// groupedByBuyer is how a question groups sales.
const groupedByBuyer = "\n    GROUP BY who\n"

// The parts of a question's text that ofBuyers writes otherwise.
var (
	// whoPaid is how a question chooses the buyers who may have been won in its time.
	whoPaid = regexp.MustCompile(` *-- Who paid in this time: .*
 *SELECT buyer
 *FROM revenue
 *WHERE .*
 *AND day .*
`)
	// chosenBuyers and chosenSales are the conditions on the buyer, and on the sales of these.
	chosenBuyers = regexp.MustCompile(` AND identity\(buyer\) IN\n *\(\n` + whoPaid.String() + ` *\)`)
	chosenSales  = regexp.MustCompile(` AND identity\(sale_id\) IN
 *\(
 *SELECT sale_id
 *FROM revenue
 *WHERE .*` + chosenBuyers.String() + `
 *\)`)
	// namedBy names a row by the dimension, of which ofDimension is one.
	namedBy = regexp.MustCompile(`multiIf\(
((?: *\{dimension:String\} = '\w*', .*,\n)+) *\(SELECT throwIf.*\)::String
 *\)`)
	ofDimension = regexp.MustCompile(`\{dimension:String\} = '(\w*)', (.*),\n`)
	// filterFits and filterChecked are conditions that every row meets without a filter.
	filterFits = regexp.MustCompile(`if\(empty\(\{only:.*\}\) AND empty\(\{without:.*\}\), true,
.*
.*mapValues\(\{without:[^{}]*\}\)\)\)`)
	filterChecked = regexp.MustCompile(`\(SELECT throwIf\(
 *NOT hasAll\((?:.*\n)+?.*\)\) = 0`)
)

// asksOfBuyers reports whether the question chooses buyers.
func (q Question) asksOfBuyers() bool { return whoPaid.MatchString(q.Text) }

// ofBuyers returns the text that asks a question of buyers with these values: without the dimensions
// and filters that they do not name, which take time to plan, and with the buyers whom the lists
// have. Of a time in which most buyers paid none are chosen.
func (q Question) ofBuyers(values map[string]string, of Known) string {
	text := namedBy.ReplaceAllStringFunc(q.Text, func(names string) string {
		for _, named := range ofDimension.FindAllStringSubmatch(names, -1) {
			if named[1] == values["dimension"] {
				return named[2]
			}
		}
		return names
	})
	if !filtered(values) {
		text = filterFits.ReplaceAllLiteralString(text, "true")
		text = filterChecked.ReplaceAllLiteralString(text, "true")
	}
	switch {
	case !within(values, narrowUntil):
		return chosenBuyers.ReplaceAllLiteralString(chosenSales.ReplaceAllLiteralString(text, ""), "")
	case of.FirstSales != nil:
		buyers := of.FirstSales.buyers()
		return whoPaid.ReplaceAllLiteralString(strings.Replace(text, groupedByBuyer, "\n    WHERE who IN\n    (\n"+buyers+
			"\n    )"+groupedByBuyer, 1), buyers+"\n")
	}
	return text
}

// filtered reports whether the values filter by a dimension.
func filtered(values map[string]string) bool {
	for _, name := range []string{"only", "without"} {
		if given := values[name]; given != "" && given != "{}" {
			return true
		}
	}
	return false
}

// buyers selects those who may have been won in the time:
//
//   - whose first payment the lists have in it;
//   - who shares a sale with another buyer. It is the buyer's who paid first, so the other's first
//     sale is later than the first payment;
//   - who paid a sale of which a payment was written since the lists were computed. If another buyer
//     paid it first, as is known now, the sale is no longer the buyer's whose first one the lists
//     have.
//
// More buyers change no answer, for all sales of each are read. An older version of a payment may
// name one of them where the sale is somebody else's now, of whom not all sales are read: so a
// question also leaves out who is none of them.
func (f *FirstSales) buyers() string {
	text := fmt.Sprintf(`SELECT arrayJoin(arrayConcat(groupArrayArray(shared), groupArrayArray(
    arrayFilter((buyer, at) -> at >= {from:DateTime('UTC')} AND at < {to:DateTime('UTC')}, buyers, paid_at)))) AS buyer
FROM first_sales
WHERE `+ofWorkspace+` AND computed_at = fromUnixTimestamp64Milli(%d, 'UTC')
HAVING NOT throwIf(uniqExact(slice) != 16, 'the lists of first sales are gone')`, f.ComputedAt)
	if len(f.written) == 0 {
		return text
	}
	entries, days := f.written.texts()
	return text + `
UNION ALL
SELECT buyer
FROM revenue
WHERE ` + ofWorkspace + ` AND kind = 'payment' AND identity(sale_id) IN
(
    SELECT sale_id
    FROM revenue
    WHERE ` + ofWorkspace + ` AND day IN (` + days + `) AND entry_id IN (` + entries + `)
)`
}
