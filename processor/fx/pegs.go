package fx

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/shopspring/decimal"
)

//go:embed pegs.csv
var pegsCSV string

// Peg is a fixed conversion between two currencies: Amount units of Currency are BaseAmount units
// of Base, from one UTC day to another. It gives a rate in USD by the rate of Base on the day of
// the movement.
type Peg struct {
	Currency   string
	Amount     decimal.Decimal
	Base       string
	BaseAmount decimal.Decimal
	From, To   Date
	// Source says who fixed it, and where that is written.
	Source string
}

var builtInPegs = sync.OnceValue(func() []Peg {
	pegs, err := parsePegs(pegsCSV)
	if err != nil {
		panic(err) // the table is compiled in; a test reads it, so this cannot reach a user
	}
	return pegs
})

// BuiltInPegs returns the fixed conversions that are compiled into the program (pegs.csv):
// currencies pegged to another, those that the euro replaced, and redenominations.
func BuiltInPegs() []Peg { return slices.Clone(builtInPegs()) }

func parsePegs(text string) ([]Peg, error) {
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comment = '#'
	reader.FieldsPerRecord = 7
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read pegs: %w", err)
	}
	var pegs []Peg
	for _, row := range rows[1:] {
		peg, err := parsePeg(row)
		if err != nil {
			return nil, fmt.Errorf("read pegs: %s: %w", row[0], err)
		}
		pegs = append(pegs, peg)
	}
	return pegs, nil
}

func parsePeg(row []string) (Peg, error) {
	amount, err1 := parsePositive(row[1])
	baseAmount, err2 := parsePositive(row[3])
	from, err3 := ParseDate(row[4])
	to, err4 := maxDate, error(nil)
	if row[5] != "" {
		to, err4 = ParseDate(row[5])
	}
	if !isCurrency(row[0]) || !isCurrency(row[2]) || row[0] == row[2] || row[6] == "" || to < from {
		return Peg{}, errors.New("want currency,amount,base,base_amount,from,to,source")
	}
	peg := Peg{Currency: row[0], Amount: amount, Base: row[2], BaseAmount: baseAmount, From: from, To: to, Source: row[6]}
	return peg, errors.Join(err1, err2, err3, err4)
}

// pegged returns the rate by a currency's pegs. fixed reports whether one holds on the day: its
// base may still lack a rate.
func (t *Table) pegged(pegs []Peg, day Date) (quote Quote, fixed, ok bool) {
	for i := range pegs {
		peg := &pegs[i]
		if day < peg.From || day > peg.To {
			continue
		}
		base, ok := t.Lookup(peg.Base, day)
		if !ok {
			return Quote{}, true, false
		}
		usd, err := divide(base.USD.Mul(peg.BaseAmount), peg.Amount)
		if err != nil {
			return Quote{}, true, false
		}
		quote := Quote{Rate: base.Rate, Final: base.Final}
		quote.Currency, quote.USD, quote.Source = peg.Currency, usd, pegsName
		return quote, true, true
	}
	return Quote{}, false, false
}
