package schemas

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Earnings are the rules of what a workspace's affiliates earn, as the earnings file gives them.
type Earnings struct {
	Workspace string `json:"workspace"`
	// MinimumUSD is paid at least: a smaller statement is carried forward. Empty: every cent is paid.
	MinimumUSD string        `json:"minimum_usd"`
	Rules      []EarningRule `json:"rules"` // the first one that fits an entry, or a part of it, decides
}

// EarningRule is one of them. Money is a decimal in text, so that it is never a float.
type EarningRule struct {
	Name       string   `json:"name"`       // stands in statements
	From       string   `json:"from"`       // first day of the sale, UTC; empty: from the beginning
	Until      string   `json:"until"`      // last day of the sale, UTC; empty: without end
	Affiliates []string `json:"affiliates"` // whom it is for; empty: all
	Programs   []string `json:"programs"`   // the same, by programme
	Products   []string `json:"products"`   // which parts of a sale it is for: prod_… or the seller's ids; empty: all
	Percent    string   `json:"percent"`    // of the net amount in USD, at most four decimals
	FlatUSD    string   `json:"flat_usd"`   // for each sale; a refund takes its part of it back
	// FirstSaleOnly leaves out what a buyer buys after the first sale.
	FirstSaleOnly bool `json:"first_sale_only"`
	Months        int  `json:"months"`    // sales within so many months of the buyer's first; 0: without end
	HoldDays      int  `json:"hold_days"` // days after the payment before it is payable
}

// The first and the last day that ClickHouse's Date has.
const (
	firstDate = "1970-01-01"
	lastDate  = "2149-06-06"
)

const (
	maxEarningsBytes = 4 << 20
	maxRuleMonths    = 1200
)

// ReadEarnings reads the earnings file and checks it as a whole: a JSON array, one object for each
// workspace. An error holds every fault with its line, its column and a hint. What is left out of a
// rule has its value afterwards, and days are complete.
func ReadEarnings(path string) ([]Earnings, error) {
	data, err := readFile(path, maxEarningsBytes)
	if err != nil {
		return nil, fmt.Errorf("read earnings: %w (hint: a JSON array of rules that this user may read)", err)
	}
	var list []Earnings
	c := &earningsCheck{strictFile: strictFile{name: path, data: data}}
	if c.decode(&list) {
		c.check(list)
	}
	if err := c.err(); err != nil {
		return nil, fmt.Errorf("read earnings:\n%w", err)
	}
	return list, nil
}

// RulesJSON returns the rules as the table earning_rules holds them.
func (e *Earnings) RulesJSON() (string, error) {
	text, err := json.Marshal(e.Rules)
	return string(text), err
}

type earningsCheck struct{ strictFile }

func (c *earningsCheck) check(list []Earnings) {
	if len(list) == 0 {
		c.fault("", `the list is empty (hint: [{"workspace":"default","rules":[{"name":"all","percent":"20"}]}])`)
	}
	seen := make(map[string]bool)
	for i := range list {
		e, path := &list[i], "["+strconv.Itoa(i)+"]"
		if e.Workspace == "" {
			c.fault(path, `the workspace is missing (hint: "workspace":"default")`)
		}
		if seen[e.Workspace] {
			c.fault(path+".workspace", "workspace %q is given twice (hint: keep one)", e.Workspace)
		}
		seen[e.Workspace] = true
		c.money(&e.MinimumUSD, path+".minimum_usd")
		if len(e.Rules) == 0 {
			c.fault(path, `there are no rules (hint: "rules":[{"name":"all","percent":"20"}])`)
		}
		names := make(map[string]bool)
		for j := range e.Rules {
			at := path + ".rules[" + strconv.Itoa(j) + "]"
			if name := e.Rules[j].Name; name != "" && names[name] {
				c.fault(at+".name", "the rule %q is given twice (hint: statements name rules; give it another name)", name)
			}
			names[e.Rules[j].Name] = true
			c.rule(&e.Rules[j], at)
		}
	}
}

var (
	// At most 999,999,999.99: with it all products below fit into the table's decimals.
	usdPattern     = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,2})?$`)
	percentPattern = regexp.MustCompile(`^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)$`)
)

// money checks an amount in USD; one that is left out is zero.
func (c *earningsCheck) money(usd *string, path string) {
	switch {
	case *usd == "" && !c.has(path):
		*usd = "0"
	case !usdPattern.MatchString(*usd):
		c.fault(path, `%q is no amount in USD (hint: digits in quotation marks, at most two decimals, such as "50.00")`, *usd)
	}
}

func (c *earningsCheck) rule(r *EarningRule, path string) {
	if strings.TrimSpace(r.Name) == "" {
		c.fault(path, `the rule has no name (hint: statements show it, such as "name":"standard")`)
	}
	from := c.day(&r.From, firstDate, path+".from")
	if until := c.day(&r.Until, lastDate, path+".until"); until.Before(from) {
		c.fault(path+".until", "the rule ends before it begins (hint: until is the last day, from the first)")
	}
	if r.Percent == "" && r.FlatUSD == "" {
		c.fault(path, `the rule gives nothing (hint: "percent":"20" or "flat_usd":"5.00")`)
	}
	if r.Percent == "" && !c.has(path+".percent") {
		r.Percent = "0"
	} else if !percentPattern.MatchString(r.Percent) {
		c.fault(path+".percent",
			`%q is no percentage (hint: 0 to 100 in quotation marks, at most four decimals, such as "12.5")`, r.Percent)
	}
	c.money(&r.FlatUSD, path+".flat_usd")
	if r.Months < 0 || r.Months > maxRuleMonths {
		c.fault(path+".months", "%d months (hint: 0 to %d)", r.Months, maxRuleMonths)
	}
	if r.HoldDays < 0 || r.HoldDays > maxDays {
		c.fault(path+".hold_days", "%d days (hint: 0 to %d)", r.HoldDays, maxDays)
	}
	for list, ids := range map[string]*[]string{
		".affiliates": &r.Affiliates, ".programs": &r.Programs, ".products": &r.Products,
	} {
		for i, id := range *ids {
			if id == "" {
				c.fault(path+list+"["+strconv.Itoa(i)+"]", "the id is empty (hint: take it out)")
			}
		}
		if *ids == nil {
			*ids = []string{}
		}
	}
}

// day checks a day; one that is left out is the default.
func (c *earningsCheck) day(text *string, otherwise, path string) time.Time {
	if *text == "" && !c.has(path) {
		*text = otherwise
	}
	day, err := time.Parse(time.DateOnly, *text)
	if err != nil || *text < firstDate || *text > lastDate {
		c.fault(path, "%q is not a day (hint: such as 2026-01-31, from %s to %s)", *text, firstDate, lastDate)
	}
	return day
}
