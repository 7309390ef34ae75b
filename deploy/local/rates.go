package main

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"time"
)

// demoRatesFile is the name of the generated rates in the data directory. The ledger then says
// fx_source "file:demo-rates", so that nobody takes them for real ones.
const demoRatesFile = "demo-rates.csv"

// Days before and after today for which rates are generated: demo traffic begins in the past, and a
// long run must not run out of rates.
const (
	ratesBefore = 800
	ratesAfter  = 400
)

// demoCurrencies are the mean rates about which the generated ones move, in USD per major unit.
var demoCurrencies = []struct {
	code string
	usd  float64
}{
	{"aud", .66}, {"brl", .18}, {"cad", .73}, {"chf", 1.13}, {"cny", .14}, {"czk", .044}, {"dkk", .146}, {"eur", 1.09},
	{"gbp", 1.27}, {"hkd", .128}, {"inr", .0119}, {"jpy", .0067}, {"krw", .00073}, {"kwd", 3.25}, {"mxn", .055},
	{"nok", .094}, {"nzd", .61}, {"pln", .25}, {"sek", .096}, {"sgd", .74}, {"usd", 1},
}

// demoRate is the generated rate of a currency on a day, in USD per major unit: two slow waves
// about the mean. It depends on the currency and the date alone, so that every run books the same
// money at the same rate, and moves by less than 1 % a day.
func demoRate(currency int, day time.Time) float64 {
	c := demoCurrencies[currency]
	if c.code == "usd" {
		return 1
	}
	d := float64(day.Unix() / 86400)
	phase := float64(currency)
	return c.usd * (1 + .04*math.Sin(d/61+phase) + .006*math.Sin(d/3.7+2*phase))
}

// writeDemoRates writes the generated rates around a day and returns their source, as --fx-source
// takes it.
func writeDemoRates(dir string, today time.Time) (source string, err error) {
	today = today.UTC().Truncate(24 * time.Hour)
	var b bytes.Buffer
	b.WriteString("date,currency,usd\n")
	for d := -ratesBefore; d <= ratesAfter; d++ {
		day := today.AddDate(0, 0, d)
		for i, c := range demoCurrencies {
			b.WriteString(day.Format(time.DateOnly))
			b.WriteByte(',')
			b.WriteString(c.code)
			b.WriteByte(',')
			// Six significant digits and no exponent, as a table of rates is written.
			rate := demoRate(i, day)
			decimals := 5 - int(math.Floor(math.Log10(rate)))
			b.WriteString(strconv.FormatFloat(rate, 'f', decimals, 64))
			b.WriteByte('\n')
		}
	}
	path, err := filepath.Abs(filepath.Join(dir, demoRatesFile))
	if err != nil {
		return "", fmt.Errorf("find data directory: %w", err)
	}
	if err := replaceFile(path, b.Bytes()); err != nil {
		return "", err
	}
	return "file:" + path, nil
}
