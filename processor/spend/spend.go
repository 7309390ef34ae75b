// Package spend reads CSV files that say what advertisements and affiliates cost, for the question
// return_on_spend.
package spend

import (
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/csvtable"
	"tributary/processor/enrich"
	"tributary/processor/fx"
)

// Columns of the CSV's header, in any order. What is required must be filled in every row.
const (
	columnDay       = "day" // as the seller of the advertisements counts days
	columnCurrency  = "currency"
	columnAmount    = "amount" // major units, negative for what was given back
	columnChannel   = "channel"
	columnSource    = "utm_source"
	columnCampaign  = "utm_campaign"
	columnAffiliate = "affiliate_id"
)

var format = csvtable.Format{
	Columns: []csvtable.Column{
		{Name: columnDay, Required: true}, {Name: columnCurrency, Required: true}, {Name: columnAmount, Required: true},
		{Name: columnChannel}, {Name: columnSource}, {Name: columnCampaign}, {Name: columnAffiliate},
	},
	Hint: "the first line names the columns: day,channel,utm_source,utm_campaign,affiliate_id,currency,amount",
}

// channels are those of clicks: another name would stand beside no click.
var channels = []string{
	"", enrich.ChannelDirect, enrich.ChannelOrganicSearch, enrich.ChannelPaidSearch, enrich.ChannelOrganicSocial,
	enrich.ChannelPaidSocial, enrich.ChannelEmail, enrich.ChannelAffiliate, enrich.ChannelReferral, enrich.ChannelAI,
	enrich.ChannelDisplay, enrich.ChannelOther,
}

// maxName is the longest name, in bytes: the edge takes no longer one.
const maxName = 200

// Row is what was spent on a day for what the names say; an empty name is not known, or nobody.
type Row struct {
	Workspace string
	Key
	Amount   decimal.Decimal // major units
	LoadedAt time.Time
}

// Key is what there is one row of: a row that is loaded again replaces the one before.
type Key struct {
	Day                                  time.Time // UTC
	Channel, Source, Campaign, Affiliate string
	Currency                             string // ISO 4217, lower case
}

// amounts are those that the column holds: Decimal(18, 6).
var amounts = regexp.MustCompile(`^-?\d{1,12}(\.\d{1,6})?$`)

// Read reads a CSV in UTF-8 with a header of the columns above. The error lists all faults of the
// file by line; a file with a fault must not be used in part.
func Read(r io.Reader, workspace string, now time.Time) ([]Row, error) {
	var list []Row
	lines := make(map[Key]int)
	rows := format.Open(r)
	for rows.Next() {
		row, good := read(rows)
		if before, known := lines[row.Key]; good && known {
			rows.Fault(columnDay, "line %d has the same day, names and currency (hint: add the two up; of two such rows only "+
				"one would count)", before)
			continue
		}
		lines[row.Key] = rows.Line()
		row.Workspace, row.LoadedAt = workspace, now.UTC()
		list = append(list, row)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("the file has no rows (hint: one for each day and campaign, below the header)")
	}
	return list, nil
}

// read reads a row, and reports whether it has no fault.
func read(rows *csvtable.Reader) (row Row, good bool) {
	good = true
	fault := func(column, format string, args ...any) {
		rows.Fault(column, format, args...)
		good = false
	}
	day := rows.Value(columnDay)
	var err error
	row.Day, err = time.Parse(time.DateOnly, day)
	if err != nil || row.Day.Year() < 1970 || row.Day.Year() > 2148 {
		fault(columnDay, "%q is no day (hint: write 2026-01-31)", day)
	}
	row.Currency = strings.ToLower(rows.Value(columnCurrency))
	if _, known := fx.Exponent(row.Currency); !known {
		fault(columnCurrency, "%q is no currency of Stripe's (hint: its three letters, such as eur)", row.Currency)
	}
	amount := rows.Value(columnAmount)
	if !amounts.MatchString(amount) {
		fault(columnAmount, "%q is no amount (hint: write 1234.50: a decimal point, at most six digits behind it, no "+
			"thousands' separator and no currency)", amount)
	} else {
		row.Amount = decimal.RequireFromString(amount)
	}
	row.Channel = rows.Value(columnChannel)
	if !slices.Contains(channels, row.Channel) {
		fault(columnChannel, "%q is no channel (hint: one of %s)", row.Channel, strings.Join(channels[1:], ", "))
	}
	for column, name := range map[string]*string{
		columnSource: &row.Source, columnCampaign: &row.Campaign, columnAffiliate: &row.Affiliate,
	} {
		*name = rows.Value(column)
		if len(*name) > maxName {
			fault(column, "%d bytes (hint: at most %d, as clicks have it)", len(*name), maxName)
		}
	}
	return row, good
}
