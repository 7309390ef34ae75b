package main

import (
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func readRates(t *testing.T, today time.Time) map[string]string {
	t.Helper()
	source, err := writeDemoRates(t.TempDir(), today)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(strings.TrimPrefix(source, "file:"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if header := strings.Join(rows[0], ","); header != "date,currency,usd" {
		t.Errorf("header is %s", header)
	}
	rates := make(map[string]string)
	for _, row := range rows[1:] {
		rates[row[0]+" "+row[1]] = row[2]
	}
	return rates
}

// A date has the same rate whenever it is written, and no rate moves by 1 % within a day.
func TestDemoRates(t *testing.T) {
	today := time.Date(2026, 3, 1, 15, 0, 0, 0, time.UTC)
	rates, later := readRates(t, today), readRates(t, today.AddDate(0, 0, 40))
	var both int
	for key, rate := range rates {
		if other, ok := later[key]; ok {
			both++
			if other != rate {
				t.Errorf("%s is %s one day and %s another", key, rate, other)
			}
		}
	}
	if want := (ratesBefore + ratesAfter + 1 - 40) * len(demoCurrencies); both != want {
		t.Errorf("%d rates in both, want %d", both, want)
	}
	for _, c := range demoCurrencies {
		var last float64
		for d := -ratesBefore; d <= ratesAfter; d++ {
			key := today.AddDate(0, 0, d).Format(time.DateOnly) + " " + c.code
			rate, err := strconv.ParseFloat(rates[key], 64)
			if err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			if last != 0 && math.Abs(rate/last-1) >= .01 {
				t.Errorf("%s moved from %g to %g", key, last, rate)
			}
			last = rate
		}
	}
}
