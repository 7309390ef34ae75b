package reconcile

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"tributary/processor/fx"
)

// ReadExport reads balance transactions from a file of Stripe's: the CSV of a balance report
// ("Balance change from activity", itemised) or of the dashboard's balance history, or the API's
// JSON, a list object or one transaction a line. Which one it is shows in its first character. each
// is called for every transaction in the file's order.
func ReadExport(r io.Reader, exponents fx.Exponents, each func(Transaction) error) error {
	buffered := bufio.NewReaderSize(r, 64<<10)
	for {
		c, _, err := buffered.ReadRune()
		if err != nil {
			return fmt.Errorf("the export is empty: %w", err)
		}
		if c == '\ufeff' || c == ' ' || c == '\n' || c == '\r' || c == '\t' {
			continue
		}
		if err := buffered.UnreadRune(); err != nil {
			return err
		}
		if c == '{' || c == '[' {
			return readJSON(buffered, each)
		}
		return readCSV(buffered, exponents, each)
	}
}

// columns of the two CSV exports by what they mean, names compared without case, spaces and
// underscores.
var columns = map[string][]string{
	"id":        {"balancetransactionid", "id"},
	"created":   {"createdutc", "created(utc)", "created"},
	"currency":  {"currency"},
	"gross":     {"gross", "amount"},
	"category":  {"reportingcategory"},
	"type":      {"type"},
	"source":    {"sourceid", "source"},
	"charge":    {"chargeid"},
	"intent":    {"paymentintentid"},
	"customer":  {"customerid"},
	"presented": {"customerfacingcurrency"},
	"shown":     {"customerfacingamount"},
}

func normalizeHeader(name string) string {
	return strings.NewReplacer(" ", "", "_", "", "\ufeff", "").Replace(strings.ToLower(strings.TrimSpace(name)))
}

func readCSV(r io.Reader, exponents fx.Exponents, each func(Transaction) error) error {
	reader := csv.NewReader(r)
	reader.ReuseRecord = true
	header, err := reader.Read()
	if err != nil {
		return fmt.Errorf("read header: %w", err)
	}
	place := make(map[string]int)
	for meaning, names := range columns {
		for _, name := range names {
			for i, h := range header {
				if _, found := place[meaning]; !found && normalizeHeader(h) == name {
					place[meaning] = i
				}
			}
		}
	}
	for _, needed := range []string{"id", "created", "currency", "gross", "source"} {
		if _, ok := place[needed]; !ok {
			return fmt.Errorf("the header has no column %s (one of %s): export the itemised report",
				needed, strings.Join(columns[needed], ", "))
		}
	}
	_, hasCategory := place["category"]
	_, hasType := place["type"]
	if !hasCategory && !hasType {
		return errors.New("the header has neither reporting_category nor type: export the itemised report")
	}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read row: %w", err)
		}
		t, err := readRow(record, place, exponents)
		if err != nil {
			line, _ := reader.FieldPos(0)
			return fmt.Errorf("line %d: %w", line, err)
		}
		if err := each(t); err != nil {
			return err
		}
	}
}

// readRow reads one row of an export. place holds the index of each column, by its meaning.
func readRow(record []string, place map[string]int, exponents fx.Exponents) (Transaction, error) {
	value := func(meaning string) string {
		if i, ok := place[meaning]; ok {
			return strings.TrimSpace(record[i])
		}
		return ""
	}
	_, hasIntent := place["intent"]
	t := Transaction{
		ID: strings.Clone(value("id")), Source: strings.Clone(value("source")),
		Category: strings.Clone(value("category")), ChargeID: strings.Clone(value("charge")),
		IntentID: strings.Clone(value("intent")), CustomerID: strings.Clone(value("customer")),
		Unnamed:  !hasIntent,
		Currency: strings.ToLower(value("currency")), Presented: strings.ToLower(value("presented")),
	}
	var err error
	if t.Created, err = parseTime(value("created")); err != nil {
		return Transaction{}, err
	}
	if t.Amount, err = minor(value("gross"), t.Currency, exponents); err != nil {
		return Transaction{}, err
	}
	if t.Category == "" {
		t.Category = category(value("type"), t.Source, t.Amount)
	}
	if t.Presented == "" || value("shown") == "" {
		t.Presented = ""
		return t, nil
	}
	if t.PresentedAmount, err = minor(value("shown"), t.Presented, exponents); err != nil {
		return Transaction{}, err
	}
	t.PresentedAmount = signed(t.PresentedAmount, t.Amount)
	return t, nil
}

// signed gives amount the sign of like: exports disagree about the sign of what the customer saw.
func signed(amount, like int64) int64 {
	if (amount < 0) != (like < 0) {
		return -amount
	}
	return amount
}

// times that Stripe's exports write, all UTC.
var layouts = []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05Z", time.RFC3339, time.DateOnly}

func parseTime(s string) (time.Time, error) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	if seconds, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(seconds, 0).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time like 2026-03-31 23:59:59", s)
}

// minor reads an amount in major units, as reports write them, into minor units. It refuses what is
// not a whole number of them.
func minor(s, currency string, exponents fx.Exponents) (int64, error) {
	exponent, ok := exponents.Of(currency)
	if !ok {
		return 0, fmt.Errorf("%q is no currency that Stripe lists", currency)
	}
	value, ok := new(big.Rat).SetString(strings.ReplaceAll(s, ",", ""))
	if !ok || strings.ContainsAny(s, "eE/") {
		return 0, fmt.Errorf("%q is no amount", s)
	}
	value.Mul(value, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(exponent)), nil)))
	if !value.IsInt() || !value.Num().IsInt64() {
		return 0, fmt.Errorf("%s %s is no whole number of minor units", s, currency)
	}
	return value.Num().Int64(), nil
}

// apiTransaction is a balance transaction as the API gives it, the source expanded or not.
type apiTransaction struct {
	ID       string          `json:"id"`
	Object   string          `json:"object"`
	Amount   json.Number     `json:"amount"`
	Currency string          `json:"currency"`
	Created  int64           `json:"created"`
	Category string          `json:"reporting_category"`
	Type     string          `json:"type"`
	Source   json.RawMessage `json:"source"`
}

type apiSource struct {
	ID             string          `json:"id"`
	Object         string          `json:"object"`
	Amount         *int64          `json:"amount"`
	AmountCaptured *int64          `json:"amount_captured"`
	Currency       string          `json:"currency"`
	Charge         json.RawMessage `json:"charge"`
	PaymentIntent  json.RawMessage `json:"payment_intent"`
	Customer       json.RawMessage `json:"customer"`
}

func readJSON(r io.Reader, each func(Transaction) error) error {
	decoder := json.NewDecoder(r)
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read JSON: %w", err)
		}
		var list struct {
			Object string            `json:"object"`
			Data   []json.RawMessage `json:"data"`
		}
		items := []json.RawMessage{raw}
		if raw[0] == '[' {
			if err := json.Unmarshal(raw, &items); err != nil {
				return fmt.Errorf("read JSON: %w", err)
			}
		} else if err := json.Unmarshal(raw, &list); err == nil && list.Object == "list" {
			items = list.Data
		}
		for _, item := range items {
			t, err := parseTransaction(item)
			if err != nil {
				return err
			}
			if err := each(t); err != nil {
				return err
			}
		}
	}
}

func parseTransaction(item []byte) (Transaction, error) {
	var a apiTransaction
	if err := json.Unmarshal(item, &a); err != nil {
		return Transaction{}, fmt.Errorf("read balance transaction: %w", err)
	}
	if a.Object != "balance_transaction" || a.ID == "" || a.Created == 0 {
		return Transaction{}, fmt.Errorf("read balance transaction: object is %q, id %q: "+
			"want balance_transaction objects of GET /v1/balance_transactions", a.Object, a.ID)
	}
	amount, err := a.Amount.Int64()
	if err != nil {
		return Transaction{}, fmt.Errorf("%s: amount %q is no integer of minor units", a.ID, a.Amount)
	}
	t := Transaction{
		ID: a.ID, Category: a.Category, Created: time.Unix(a.Created, 0).UTC(), Currency: a.Currency, Amount: amount,
		Source: idOf(a.Source), Unnamed: true,
	}
	var source apiSource
	if len(a.Source) > 0 && a.Source[0] == '{' {
		if err := json.Unmarshal(a.Source, &source); err != nil {
			return Transaction{}, fmt.Errorf("%s: read its source: %w", a.ID, err)
		}
		t.ChargeID, t.IntentID, t.CustomerID = idOf(source.Charge), idOf(source.PaymentIntent), idOf(source.Customer)
		t.Unnamed = false
		shown := source.Amount
		if source.AmountCaptured != nil {
			shown = source.AmountCaptured
		}
		if source.Currency != "" && shown != nil {
			t.Presented, t.PresentedAmount = source.Currency, signed(*shown, amount)
		}
	}
	if t.Category == "" {
		t.Category = category(a.Type, t.Source, amount)
	}
	return t, nil
}

// idOf reads an id, or the id of an expanded object.
func idOf(raw json.RawMessage) string {
	var id string
	if json.Unmarshal(raw, &id) == nil {
		return id
	}
	var object struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(raw, &object) == nil {
		return object.ID
	}
	return ""
}
