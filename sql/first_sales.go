package sql

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// FirstSales says which lists of first_sales tell a large workspace's first sales and the sales that
// have several payments, and what payments have changed since those were computed. A statement that
// reads them answers what one does that looks at all payments.
type FirstSales struct {
	ComputedAt int64    // of the lists, in milliseconds since 1970, UTC
	Lost       []uint64 // buyers whose listed sale is no longer their first
	Gained     []uint64 // sipHash64 of the sales that became a first one, or are one and got a payment
	Paid       []uint64 // sipHash64 of all sales that got a payment: they may have several now
	written    changes  // payments
}

// FirstSalesCount is the condition on a payment in revenue that counts for first sales.
const FirstSalesCount = "status = 'booked' AND amount != 0 AND kind = 'payment'"

// FirstSalesLag is the condition that the server which is asked lags behind other replicas by more
// than a minute, or does not know whether it does (ReplicatedMergeTree counts the time since it last
// reached Keeper). On tables that are not replicated it is never fulfilled.
const FirstSalesLag = `(
    SELECT count() > 0
    FROM system.replicas
    WHERE database = currentDatabase() AND table IN ('ledger', 'revenue', 'payments_written') AND absolute_delay > 60
)`

// ComputeFirstSales stores the lists of one workspace and livemode, with the parameters workspace,
// livemode and computed_at (DateTime64(3, 'UTC')). All slices are one insert, also those without a
// buyer, so that none is left of an earlier one. Where the server lags it stores none: lists may lack
// what was written in the five minutes before, which questions add, and no more.
const ComputeFirstSales = `INSERT INTO first_sales
    (workspace, livemode, slice, buyers, sales, paid_again, paid_at, entries, shared, several, complete, computed_at)
SELECT
    {workspace:String}, {livemode:Bool}, slice, groupArrayIf(buyer, what = 'first'), groupArrayIf(sale, what = 'first'),
    groupArrayIf(paid_again, what = 'first'), groupArrayIf(paid, what = 'first'), groupArrayIf(entry, what = 'first'),
    groupArrayIf(buyer, what = 'shared'), groupArrayIf(sale, what = 'several'), min(one_sale),
    {computed_at:DateTime64(3, 'UTC')}
FROM
(
    SELECT
        'first' AS what, slice, buyer, sale, paid, entry,
        sale IN (SELECT sale FROM (` + severalPayments + `)) AS paid_again, true AS one_sale
    FROM (` + firstSales + `)
    UNION ALL
    SELECT 'several', toUInt8(sale % 16), 0, sale, toDateTime64(0, 3, 'UTC'), 0, true, one_sale
    FROM (` + severalPayments + `)
    UNION ALL
    SELECT DISTINCT 'shared', toUInt8(buyer % 16), buyer, 0, toDateTime64(0, 3, 'UTC'), 0, true, true
    FROM revenue FINAL
    WHERE ` + ofWorkspace + ` AND ` + FirstSalesCount + `
        AND sale IN (SELECT sale FROM (` + severalPayments + `) WHERE shared)
    UNION ALL
    SELECT 'none', toUInt8(number), 0, 0, toDateTime64(0, 3, 'UTC'), 0, false, true FROM numbers(16)
)
GROUP BY slice
HAVING NOT ` + FirstSalesLag + `
SETTINGS optimize_move_to_prewhere_if_final = 0`

// firstSales selects each buyer's first sale, as activity finds it.
const firstSales = `
        SELECT
            toUInt8(buyer % 16) AS slice, buyer, sipHash64(substring(earliest, 16)) AS sale,
            fromUnixTimestamp64Milli(toInt64(substring(earliest, 1, 15)) - 100000000000000, 'UTC') AS paid, entry
        FROM
        (
            SELECT
                buyer,
                min(concat(toString(toUnixTimestamp64Milli(occurred_at) + 100000000000000), sale_id)) AS earliest,
                argMin(reinterpretAsUInt64(entry_id),
                    concat(toString(toUnixTimestamp64Milli(occurred_at) + 100000000000000), sale_id)) AS entry
            FROM revenue FINAL
            WHERE ` + ofWorkspace + ` AND ` + FirstSalesCount + `
            GROUP BY buyer
        )`

// severalPayments selects the hashes of sales that have several payments, whether these are of one
// sale, and whether they are of several buyers. Two sales that have the same hash are told apart by
// another one. Zero stands for a sale that has one payment (activity), so lists that would name it are
// not complete.
const severalPayments = `
        SELECT
            sale, min(cityHash64(sale_id)) = max(cityHash64(sale_id)) AND sale != 0 AS one_sale,
            min(buyer) != max(buyer) AS shared
        FROM revenue FINAL
        WHERE ` + ofWorkspace + ` AND ` + FirstSalesCount + `
        GROUP BY sale
        HAVING count() > 1`

// FirstSalesDifference returns the statement that counts the sales that are a first one by the lists
// only, or by the payments only, those that have several payments or buyers and are not listed so, and
// those of which a list has another time. The parameters are workspace and livemode.
func FirstSalesDifference(f FirstSales) string {
	const lists = " FROM first_sales FINAL " +
		"ARRAY JOIN sales AS sale, buyers AS buyer, paid_at AS paid, paid_again AS again WHERE " + ofWorkspace
	known, gained, paid := lists, "", ""
	if len(f.Lost) > 0 {
		known += " AND buyer NOT IN (" + f.LostText() + ")"
	}
	if len(f.Gained) > 0 {
		gained = " UNION ALL SELECT arrayJoin(CAST([" + f.GainedText() + "], 'Array(UInt64)'))"
	}
	if len(f.Paid) > 0 {
		paid = " UNION ALL SELECT arrayJoin(CAST([" + f.PaidText() + "], 'Array(UInt64)'))"
	}
	return "SELECT count() FROM (" +
		"SELECT sale FROM (SELECT DISTINCT sale, 1 AS side FROM (SELECT sale" + known + gained + ") UNION ALL " +
		"SELECT DISTINCT sale, 2 FROM (" + firstSales + ")) GROUP BY sale HAVING sum(side) != 3 UNION ALL " +
		"SELECT sale FROM (SELECT buyer, sale, paid" + known + ") " +
		"WHERE (buyer, sale, paid) NOT IN (SELECT buyer, sale, paid FROM (" + firstSales + ")) UNION ALL " +
		"SELECT sale FROM (" + severalPayments + ") " +
		"WHERE sale NOT IN (SELECT arrayJoin(several) FROM first_sales FINAL WHERE " + ofWorkspace + paid + ") " +
		"OR sale IN (SELECT sale" + lists + " AND NOT again) AND sale NOT IN (SELECT toUInt64(0)" + paid + ") " +
		"UNION ALL " +
		"SELECT DISTINCT sale FROM revenue FINAL WHERE " + ofWorkspace + " AND " + FirstSalesCount + " " +
		"AND sale IN (SELECT sale FROM (" + severalPayments + ") WHERE shared) " +
		"AND buyer NOT IN (SELECT arrayJoin(shared) FROM first_sales FINAL WHERE " + ofWorkspace + ") " +
		"AND sale NOT IN (SELECT toUInt64(0)" + paid + ")) " +
		"SETTINGS optimize_move_to_prewhere_if_final = 0"
}

// maxWritten is after how many payments that were written since the lists were computed a question
// looks at all payments again: they are part of its text.
const maxWritten = 2000

// listsOfFirstSales is the statement that says whether the lists may be read, when they were
// computed, and which payments were written since, each as entry and day. A computation may have
// missed what was written in the five minutes before it began: a row may reach another replica so
// much later, or be dated by a clock that is so much behind. Lists of more than 36 hours ago are not
// read: payments_written forgets. Nor are those of which not all slices are of one computation, and
// those of the future: the server's clock was set back, and what has been written since seems to be
// older than they are. Lists that are not complete are of an earlier version of Tributary, or two
// sales that they name have the same hash. A server that lags may have entries of which its
// payments_written does not say yet that they were written.
//
// maxOrNull: where there are no lists to read, as after a first load, payments_written is not read
// either, which then has all payments.
const listsOfFirstSales = `SELECT concat(
    if(count() = 16 AND min(at) = max(at) AND min(known) AND min(at) >= now64(3) - toIntervalHour(36)
        AND min(at) <= now64(3) + toIntervalMinute(5) AND NOT ` + FirstSalesLag + `, 'lists', 'none'),
    ' ', toString(toUnixTimestamp64Milli(min(at))), ' ',
    (
        SELECT arrayStringConcat(groupUniqArray(2001)(concat(hex(entry_id), ' ', toString(day))), ' ')
        FROM payments_written
        WHERE ` + ofWorkspace + `
            AND written_at >= (
                SELECT maxOrNull(computed_at)
                FROM first_sales
                WHERE ` + ofWorkspace + ` AND computed_at >= now64(3) - toIntervalHour(36)
            ) - toIntervalMinute(5)
    ))
FROM
(
    SELECT max(computed_at) AS at, argMax(complete, computed_at) AS known
    FROM first_sales
    WHERE ` + ofWorkspace + `
    GROUP BY slice
)`

const ofWorkspace = `workspace = {workspace:String} AND livemode = {livemode:Bool}`

// LookUpFirstSales returns what tells the first sales of a workspace and livemode. ask sends a
// statement with the parameters workspace and livemode, and returns its rows, each one text. ok is
// false where the lists do not tell: there are none, too much has changed, a payment that a list has
// is no longer what it was, or two sales of a buyer have the same time.
//
// What was written is text in the second statement: by a subquery in each of its branches it took
// longer to plan than the question. Between the two the lists may be computed anew, or another server
// be asked, so the second says again whether it has them, and does not lag.
func LookUpFirstSales(ask func(statement string) (rows []string, err error)) (f FirstSales, ok bool, err error) {
	rows, err := ask(listsOfFirstSales)
	if err != nil {
		return FirstSales{}, false, err
	}
	f, changed, ok, err := readLists(rows)
	if err != nil || !ok || len(changed) == 0 {
		return f, ok && err == nil, err
	}
	f.written = changed
	if rows, err = ask(f.readWritten()); err != nil {
		return FirstSales{}, false, err
	}
	var payments, listed []firstPayment
	ok = false
	for _, row := range rows {
		what, p, err := readFirstPayment(row)
		if err != nil {
			return FirstSales{}, false, err
		}
		switch what {
		case "lists":
			ok = true
		case "payment":
			payments = append(payments, p)
		case "listed":
			listed = append(listed, p)
		}
	}
	written := make(map[uint64]bool)
	for _, c := range f.written {
		written[c.hash()] = true
	}
	return f, ok && f.add(written, payments, listed), nil
}

// change is a payment that was written since the lists were computed.
type change struct {
	entry [16]byte
	day   string
}

// changes are all of them, each once for each day that it had.
type changes []change

// hash is how first_sales names the entry.
func (c change) hash() uint64 { return binary.LittleEndian.Uint64(c.entry[:8]) }

var errFirstSales = errors.New("look up first sales: an answer is not what was asked for")

// readLists reads the row of listsOfFirstSales.
func readLists(rows []string) (f FirstSales, changed changes, ok bool, err error) {
	if len(rows) != 1 {
		return FirstSales{}, nil, false, errFirstSales
	}
	words := strings.Fields(rows[0])
	if len(words) < 2 || len(words)%2 != 0 {
		return FirstSales{}, nil, false, errFirstSales
	}
	if f.ComputedAt, err = strconv.ParseInt(words[1], 10, 64); err != nil {
		return FirstSales{}, nil, false, fmt.Errorf("%w: %w", errFirstSales, err)
	}
	ok = words[0] == "lists" && len(words)/2-1 <= maxWritten
	for pair := range slices.Chunk(words[2:], 2) {
		c := change{day: pair[1]}
		if n, err := hex.Decode(c.entry[:], []byte(pair[0])); err != nil || n != len(c.entry) {
			return FirstSales{}, nil, false, errFirstSales
		}
		if c.entry == [16]byte{} {
			ok = false // VoidFirstSales
		}
		changed = append(changed, c)
	}
	return f, changed, ok, nil
}

// texts returns lists of the entries and of their days, as SQL writes them.
func (list changes) texts() (entries, days string) {
	var ids, dates []string
	for _, c := range list {
		ids = append(ids, fmt.Sprintf("unhex('%X')", c.entry))
		dates = append(dates, "'"+c.day+"'")
	}
	slices.Sort(dates)
	return strings.Join(ids, ", "), strings.Join(slices.Compact(dates), ", ")
}

// readWritten returns the statement that reads the payments which were written, as they are now, and
// what the lists have of them and of their buyers.
func (f *FirstSales) readWritten() string {
	var hashes []string
	for _, c := range f.written {
		hashes = append(hashes, strconv.FormatUint(c.hash(), 10))
	}
	entries, days := f.written.texts()
	payments := `
FROM revenue FINAL
WHERE ` + ofWorkspace + ` AND day IN (` + days + `)
    AND entry_id IN (` + entries + `) AND ` + FirstSalesCount
	concerned := "(SELECT arrayJoin([buyer, sale])" + payments + ")"
	lists := fmt.Sprintf("%s AND computed_at = fromUnixTimestamp64Milli(%d, 'UTC')", ofWorkspace, f.ComputedAt)
	return `SELECT if(uniqExact(slice) = 16 AND NOT ` + FirstSalesLag + `, 'lists 0 0 0 0', 'none 0 0 0 0')
FROM first_sales
WHERE ` + lists + `
UNION ALL
SELECT concat('payment ', toString(reinterpretAsUInt64(entry_id)), ' ', toString(buyer), ' ',
    toString(toUInt64(toUnixTimestamp64Milli(occurred_at))), ' ', toString(sale))` + payments + `
UNION ALL
SELECT concat('listed ', toString(listed_entry), ' ', toString(listed_buyer), ' ',
    toString(toUInt64(toUnixTimestamp64Milli(listed_at))), ' ', toString(listed_sale))
FROM first_sales
ARRAY JOIN entries AS listed_entry, buyers AS listed_buyer, paid_at AS listed_at, sales AS listed_sale
WHERE ` + lists + `
    AND (listed_entry IN (` + strings.Join(hashes, ", ") + `) OR listed_buyer IN ` + concerned + `
        OR listed_sale IN ` + concerned + `)
SETTINGS optimize_move_to_prewhere_if_final = 0`
}

// firstPayment is a payment by which a sale may be the first of its buyer.
type firstPayment struct{ entry, buyer, paid, sale uint64 }

func readFirstPayment(row string) (what string, p firstPayment, err error) {
	words := strings.Fields(row)
	if len(words) != 5 {
		return "", p, errFirstSales
	}
	for i, into := range []*uint64{&p.entry, &p.buyer, &p.paid, &p.sale} {
		if *into, err = strconv.ParseUint(words[i+1], 10, 64); err != nil {
			return "", p, fmt.Errorf("%w: %w", errFirstSales, err)
		}
	}
	return words[0], p, nil
}

// add adds to the lists what has been written since, and reports whether they tell the first sales
// then. A payment that a list has and that is as it was stays the earliest of those that the list
// knew, so only payments that were written can be before it.
func (f *FirstSales) add(written map[uint64]bool, payments, listed []firstPayment) bool {
	earliest, paid := make(map[uint64]firstPayment), make(map[uint64]bool)
	for _, p := range payments {
		if p.sale == 0 { // as severalPayments
			return false
		}
		paid[p.sale] = true
		known, ok := earliest[p.buyer]
		if ok && known.paid == p.paid && known.sale != p.sale {
			return false // which is first is decided by the texts of their ids
		}
		if !ok || p.paid < known.paid {
			earliest[p.buyer] = p
		}
	}
	for _, l := range listed {
		if written[l.entry] && !slices.Contains(payments, l) {
			return false
		}
		first, ok := earliest[l.buyer]
		switch {
		case !ok || l.paid < first.paid || l.paid == first.paid && l.sale == first.sale:
			delete(earliest, l.buyer)
		case l.paid == first.paid:
			return false
		default:
			f.Lost = append(f.Lost, l.buyer)
			continue
		}
		if paid[l.sale] { // at whatever time: a statement may read those alone that were paid in its own
			f.Gained = append(f.Gained, l.sale)
		}
	}
	for _, p := range earliest {
		f.Gained = append(f.Gained, p.sale)
	}
	slices.Sort(f.Gained)
	f.Gained = slices.Compact(f.Gained)
	f.Paid = slices.Sorted(maps.Keys(paid))
	return true
}

// numbers writes a list as SQL does.
func numbers(list []uint64) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.FormatUint(n, 10)
	}
	return strings.Join(texts, ", ")
}

// LostText returns Lost as the template of activity writes it.
func (f *FirstSales) LostText() string { return numbers(f.Lost) }

// GainedText returns Gained so.
func (f *FirstSales) GainedText() string { return numbers(f.Gained) }

// PaidText returns Paid so.
func (f *FirstSales) PaidText() string { return numbers(f.Paid) }
