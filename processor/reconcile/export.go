package reconcile

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tributary/processor/csvtable"
	"tributary/processor/fx"
	"tributary/processor/stripeapi"
	"tributary/schemas"
)

// ReadExport reads balance transactions from a file of Stripe's: the CSV of a balance report
// ("Balance change from activity", itemised) or of the dashboard's balance history, or the API's
// JSON, a list object or one transaction a line. Which one it is shows in its first character. each
// is called for every transaction in the file's order; after an error none of them may be used.
func ReadExport(r io.Reader, exponents fx.Exponents, each func(Transaction) error) error {
	buffered := bufio.NewReaderSize(r, 64<<10)
	for before := 0; ; {
		c, size, err := buffered.ReadRune()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the file is empty (hint: %s)", csvFormat.Hint)
		case err != nil:
			return err
		case c == '\ufeff' || c == ' ' || c == '\n' || c == '\r' || c == '\t':
			before += size
			continue
		}
		if err := buffered.UnreadRune(); err != nil {
			return err
		}
		if c == '{' || c == '[' {
			return readJSON(buffered, int64(before), each)
		}
		return readCSV(buffered, exponents, each)
	}
}

// csvFormat is that of both CSV exports; they have many more columns.
var csvFormat = csvtable.Format{
	Columns: []csvtable.Column{
		{Name: "balance_transaction_id", Aliases: []string{"id"}, Required: true},
		{Name: "created_utc", Aliases: []string{"created (utc)"}}, {Name: "created"},
		{Name: "currency", Required: true},
		{Name: "gross", Aliases: []string{"amount"}, Required: true},
		{Name: "source_id", Aliases: []string{"source"}, Required: true},
		{Name: "reporting_category"}, {Name: "type"},
		{Name: "charge_id"}, {Name: "payment_intent_id"}, {Name: "customer_id"},
		{Name: "customer_facing_currency"}, {Name: "customer_facing_amount"},
		{Name: "account", Aliases: []string{"account_id"}}, // of reports on several accounts
		{Name: "exchange_rate"},                            // of the API's objects, and of Sigma's table of them
	},
	Others: true,
	Hint:   `export "Balance change from activity", itemised, or the balance history, as CSV in UTC`,
}

func readCSV(r io.Reader, exponents fx.Exponents, each func(Transaction) error) error {
	rows := csvFormat.Open(r)
	for _, either := range [][2]string{{"created_utc", "created"}, {"reporting_category", "type"}} {
		if rows.Err() == nil && !rows.Has(either[0]) && !rows.Has(either[1]) {
			return fmt.Errorf("line 1: the column %s or %s is missing (hint: %s)", either[0], either[1], csvFormat.Hint)
		}
	}
	if rows.Err() == nil && rows.Has("exchange_rate") {
		return fmt.Errorf("line 1: the column exchange_rate is of a table of the API's objects, as Sigma exports it, whose "+
			"amounts are in minor units (hint: %s)", csvFormat.Hint)
	}
	for rows.Next() {
		if t, ok := readRow(rows, exponents); ok {
			if err := each(t); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

// readRow reads one row of an export, and notes what is wrong with it.
func readRow(rows *csvtable.Reader, exponents fx.Exponents) (Transaction, bool) {
	text := func(column string) string { return strings.Clone(rows.Value(column)) }
	t := Transaction{
		ID: text("balance_transaction_id"), Source: text("source_id"), Category: text("reporting_category"),
		ChargeID: text("charge_id"), IntentID: text("payment_intent_id"), CustomerID: text("customer_id"),
		Account: text("account"), Unnamed: !rows.Has("payment_intent_id"), Zoneless: !rows.Has("created_utc"),
		Currency: strings.ToLower(rows.Value("currency")), Presented: strings.ToLower(text("customer_facing_currency")),
	}
	ok := true
	note := func(column string, err error) {
		if err != nil {
			rows.Fault(column, "%w", err)
			ok = false
		}
	}
	if t.ID == "" {
		note("balance_transaction_id", errors.New("it is empty"))
	}
	var err error
	created := "created_utc"
	if t.Zoneless {
		created = "created"
	}
	t.Created, err = parseTime(rows.Value(created))
	note(created, err)
	t.Amount, err = minor(rows.Value("gross"), t.Currency, exponents)
	note("gross", err)
	if t.Category == "" {
		t.Category = category(rows.Value("type"), t.Source, t.Amount)
	}
	shown := rows.Value("customer_facing_amount")
	if t.Presented == "" || shown == "" {
		t.Presented = ""
		return t, ok
	}
	t.PresentedAmount, err = minor(shown, t.Presented, exponents)
	note("customer_facing_amount", err)
	t.seen()
	return t, ok
}

// seen corrects what the customer saw of a movement. Both exports say how much the whole charge,
// refund or dispute is, and with a sign of their own: of a dispute that was won in part, the full
// claim. What moved in the customer's currency is what the balance was moved by, where that is in
// the same currency.
func (t *Transaction) seen() {
	t.PresentedAmount = signed(t.PresentedAmount, t.Amount)
	if t.Presented == t.Currency {
		t.PresentedAmount = t.Amount
	}
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
	// Ten or eleven digits are Unix seconds; eight would be a day, thirteen milliseconds.
	if seconds, err := strconv.ParseInt(s, 10, 64); err == nil && seconds >= 1_000_000_000 &&
		seconds < 100_000_000_000 {
		return time.Unix(seconds, 0).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time like 2026-03-31 23:59:59", s)
}

// majorUnits is an amount as reports write it. A comma may only separate thousands: where it is the
// decimal mark, as in 12,50, the amount would be read as a hundred times as much.
var majorUnits = regexp.MustCompile(`^-?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?$`)

// pointedThousands is an amount whose point may separate thousands: no program writes three decimals
// of a currency that has fewer, but spreadsheets of many countries write 1.500 for fifteen hundred.
var pointedThousands = regexp.MustCompile(`^-?[1-9]\d{0,2}\.\d{3}$`)

// errSeparator refuses an amount that may be a thousand times another.
var errSeparator = errors.New("one and a half, or fifteen hundred, may be meant by such a number " +
	"(hint: export it with decimal_separator period, and do not save it with a spreadsheet)")

// minor reads an amount in major units, as reports write them, into minor units. It refuses what is
// not a whole number of them, and what is another number with the report's decimal_separator comma.
// https://docs.stripe.com/reports/report-types/balance
func minor(s, currency string, exponents fx.Exponents) (int64, error) {
	exponent, ok := exponents.Of(currency)
	if !ok {
		return 0, fmt.Errorf("%q is no currency that Stripe lists", currency)
	}
	if !majorUnits.MatchString(s) {
		return 0, fmt.Errorf("%q is no amount (hint: one is -1234.50; decimal_separator is period)", s)
	}
	if exponent == 3 && strings.Contains(s, ",") && !strings.Contains(s, ".") {
		return 0, fmt.Errorf("%q: %w", s, errSeparator)
	}
	value, _ := new(big.Rat).SetString(strings.ReplaceAll(s, ",", ""))
	value.Mul(value, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(exponent)), nil)))
	if !value.IsInt() || !value.Num().IsInt64() {
		return 0, fmt.Errorf("%s %s is no whole number of minor units", s, currency)
	}
	if exponent != 3 && pointedThousands.MatchString(s) {
		return 0, fmt.Errorf("%q: %w", s, errSeparator)
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
	Account        json.RawMessage `json:"customer_account"` // the customer, where accounts are customers
	// On a connected account: what its platform passed on to it, or took back.
	Transfer json.RawMessage `json:"source_transfer"`
	Reversal json.RawMessage `json:"source_transfer_reversal"`
}

// readJSON reads what stands behind the first before bytes of a file.
func readJSON(r io.Reader, before int64, each func(Transaction) error) error {
	decoder := json.NewDecoder(r)
	for number := 0; ; {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read JSON: %w", schemas.JSONFault(decoder, before, err))
		}
		var list struct {
			Object  string            `json:"object"`
			Data    []json.RawMessage `json:"data"`
			HasMore bool              `json:"has_more"`
		}
		items := []json.RawMessage{raw}
		if raw[0] == '[' {
			if err := json.Unmarshal(raw, &items); err != nil {
				return fmt.Errorf("read JSON: %w", err)
			}
		} else if err := json.Unmarshal(raw, &list); err == nil && list.Object == "list" {
			items = list.Data
			if list.HasMore && len(items) == 0 {
				return stripeapi.ErrNoMore
			}
		}
		for i, item := range items {
			number++
			t, err := parseTransaction(item)
			if err != nil {
				return fmt.Errorf("number %d: %w", number, err)
			}
			if last := i == len(items)-1; list.Object == "list" {
				t.More, t.End = last && list.HasMore, last && !list.HasMore
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
		return Transaction{}, fmt.Errorf("read balance transaction: %w (hint: as GET /v1/balance_transactions answers it)", err)
	}
	if a.Object != "balance_transaction" || a.ID == "" || a.Created == 0 {
		return Transaction{}, fmt.Errorf("read balance transaction: object is %q, id %q "+
			"(hint: balance_transaction objects, as GET /v1/balance_transactions answers them)", a.Object, a.ID)
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
		t.ChargeID, t.IntentID = idOf(source.Charge), idOf(source.PaymentIntent)
		t.CustomerID = cmp.Or(idOf(source.Customer), idOf(source.Account))
		t.Unnamed = false
		shown := source.Amount
		if source.AmountCaptured != nil {
			shown = source.AmountCaptured
		}
		if source.Currency != "" && shown != nil {
			t.Presented, t.PresentedAmount = source.Currency, *shown
			t.seen()
		}
	}
	if idOf(source.Transfer) != "" || idOf(source.Reversal) != "" {
		t.Category = passedOn
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
