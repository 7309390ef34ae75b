package sql

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"
)

// The texts of the views activity and clicks_by_dimension, and of views that questions read.
//
//go:embed templates/*.sql schema/people.sql schema/public_leads.sql schema/reporting_rates.sql
var viewFiles embed.FS

var viewTemplates = template.Must(template.ParseFS(viewFiles, "templates/*.sql"))

func render(name string, data any) (string, error) {
	var text strings.Builder
	if err := viewTemplates.ExecuteTemplate(&text, name, data); err != nil {
		return "", fmt.Errorf("write the text of %s: %w", name, err)
	}
	return strings.TrimRight(text.String(), "\n"), nil
}

// dimension is a name by which activity tells rows apart and filters them, and where it is from: a
// click's column, a lead's, and an entry's, whose column is Column.
type dimension struct{ Name, OfClick, OfLead, Column, OfEntry string }

var dimensions = []dimension{
	{"program", "program_id", "toLowCardinality(program_id)", "program_id", "e.program_id"},
	{"affiliate", "toLowCardinality(affiliate_id)", "toLowCardinality(affiliate_id)", "affiliate_id",
		"toLowCardinality(e.affiliate_id)"},
	{"link", "toLowCardinality(link_id)", "toLowCardinality(link_id)", "link_id", "toLowCardinality(e.link_id)"},
	{"source", "utm_source", "''", "utm_source", "e.utm_source"},
	{"medium", "utm_medium", "''", "utm_medium", "e.utm_medium"},
	{"campaign", "utm_campaign", "toLowCardinality(utm_campaign)", "utm_campaign", "e.utm_campaign"},
	{"channel", "channel", "''", "channel", "e.channel"},
	{"country", "country", "toLowCardinality(country)", "country", "e.country"},
	{"device", "device", "''", "device", "e.device"},
	// Clicks and leads have none, and an entry that has several is counted once for each.
	{"product", "''", "''", "products, product_net", "part.1"},
}

// Listed reports whether the lists of clicks of closed days have the dimension.
func (d dimension) Listed() bool { return d.Name != "product" }

// Products reports whether entries are counted by product.
func (a activity) Products() bool {
	return slices.ContainsFunc(a.Read, func(d dimension) bool { return !d.Listed() })
}

// activity is what its template is rendered with: the view, where parameters decide everything, or
// one statement's part, in which their values have decided what they can.
type activity struct {
	View          bool
	Clicks, Leads bool        // the question counts them
	Entries       bool        // so of entries
	FirstSales    *FirstSales // which lists tell first sales; nil: all payments do
	Numbers       bool        // they tell how often a sale is counted, too: sale_id is as salesAsNumbers says
	Payments      bool        // whether it is a first sale is asked of payments only
	Counted       bool        // clicks are counted before they stand beside leads and entries
	Visitors      bool        // so are their visitors
	Rows          bool        // those of closed days are read as sums, of which clicks_by_day has a row
	Unit          bool        // they are counted by the question's unit of time, too
	Whole         bool        // the time is whole days, UTC, and nothing else of a click's time is asked
	Narrow        bool        // first sales are looked up of those buyers alone who did something in the time
	Named         string      // the dimension that names the rows; empty: none
	Read          []dimension // those that name rows or filter them
	Only, Without []string    // the dimensions that filter
	People, Rates string      // what to read; Rates is empty in USD
}

// UnitOf returns the begin of the question's unit of time that has a time of day; empty without
// units.
func (a activity) UnitOf(column string) string {
	if !a.Unit {
		return ""
	}
	return "start_of_unit(" + column + ")"
}

// Flat reports whether nothing is left to decide of the rows, so that they need no SELECT around
// them: planning one takes a millisecond or two.
func (a activity) Flat() bool { return !a.View && !a.Counted && len(a.Filters()) == 0 }

// Alias returns what a column is called by which the rows are told apart.
func (a activity) Alias(d dimension) string {
	if a.Flat() {
		return "name"
	}
	return d.Name
}

// startOfUnit is how a question counts by units of time. It says itself where they begin.
const startOfUnit = "start_of_unit(at)"

// ifHour is how a question says where a unit of time begins, and where an hour does.
var ifHour = regexp.MustCompile(`if\(\{unit:String\} != 'hour', (.+),\n((?:.+\n)+?) *\) AS start_of_unit`)

// withUnit returns the text of a question with what the unit that is asked for needs.
func withUnit(text string, values map[string]string) string {
	which := "$1"
	if values["unit"] == "hour" {
		which = "$2"
	}
	return ifHour.ReplaceAllString(text, which+" AS start_of_unit")
}

// Filters returns the conditions by which the dimensions filter. Each if on a parameter is decided
// before reading, so that columns which only other filters need are not read.
func (a activity) Filters() []string {
	var conditions []string
	for _, given := range []struct {
		parameter, not string
		dimensions     []string
	}{{"{only:Map(String, Array(String))}", "", a.Only}, {"{without:Map(String, Array(String))}", "NOT ", a.Without}} {
		for _, name := range given.dimensions {
			condition := fmt.Sprintf("%shas(%s['%s'], %s)", given.not, given.parameter, name, name)
			if a.View {
				condition = fmt.Sprintf("if(mapContains(%s, '%s'), %s, true)", given.parameter, name, condition)
			}
			conditions = append(conditions, condition)
		}
	}
	return conditions
}

// OfLists returns the dimensions that are read from lists of clicks.
func (a activity) OfLists() []dimension {
	return slices.DeleteFunc(slices.Clone(a.Read), func(d dimension) bool { return !d.Listed() })
}

// Who reports whether lists are read with their visitors. Something must be read of each click.
func (a activity) Who() bool {
	return !a.Counted || a.Visitors || a.Whole && len(a.OfLists()) == 0
}

// Lists reports whether each name's visitors are put into a list before they are counted.
func (a activity) Lists() bool { return a.Named != "" && a.Visitors }

// inRows reports whether a row of clicks_by_day has the clicks of each name that is read.
func (a activity) inRows() bool {
	return len(a.Read) == 0 || len(a.Read) == 1 && slices.ContainsFunc(rollupDimensions,
		func(d rollupDimension) bool { return d.Name == a.Read[0].Name })
}

// counted rewrites a question that asks of clicks only how many they are, and of how many visitors,
// so that it adds up what activity has counted. Each name and each unit has one row of clicks, so
// visitors may be added.
var counted = strings.NewReplacer(
	"countIf(what = 'click')", "sum(clicks_counted)",
	"uniqIf(visitor, what = 'click')", "sum(visitors_counted)",
	"0 AS visitor, 0 AS quantity", "0 AS clicks_counted, 0 AS visitors_counted, 0 AS quantity",
	"what, visitor, quantity", "what, clicks_counted, visitors_counted, quantity",
)

// notCounted rewrites a question whose parameter visitors says that nobody asks for them.
var notCounted = strings.NewReplacer(
	"        uniqIf(visitor, what = 'click') AS "+visitorsColumn+",\n", "",
	"if({visitors:Bool}, "+visitorsColumn+", NULL)", "CAST(NULL, 'Nullable(UInt64)')",
)

// visitorsColumn is what a question with the parameter visitors calls them where it counts them.
const visitorsColumn = "clicked_by"

// singleClicks is what is left in a question that asks more of clicks.
var singleClicks = regexp.MustCompile(`\bvisitor\b|'click'`)

// activityView returns the text of the view.
func activityView() (string, error) {
	names := make([]string, len(dimensions))
	for i, d := range dimensions {
		names[i] = d.Name
	}
	return activity{View: true, Clicks: true, Leads: true, Entries: true, Read: dimensions, Only: names, Without: names,
		People: "people", Rates: "reporting_rates(currency = {currency:String}, source = {rates:String})"}.render()
}

func (a activity) render() (string, error) { return render("activity.sql", a) }

// A question's use of activity with arguments that are parameters of the same name or literals.
var (
	activityCall = regexp.MustCompile(`\bactivity\(\s*((?:` + activityArgument + `,\s+)*` + activityArgument + `)\s*\)`)
	arguments    = regexp.MustCompile(activityArgument)
)

// entriesOnly and notClicks are how a question leaves out what is not an entry, or a click, behind its
// use of activity.
var (
	entriesOnly = regexp.MustCompile(`^( AS \w+)?\nWHERE what = 'entry'\n`)
	notClicks   = regexp.MustCompile(`^( AS \w+)?\n *WHERE what != 'click'\n`)
)

const activityArgument = `(\w+) = (\{\w+:[^{}]+\}|'\w*'|true|map\(\)::Map\(String, Array\(String\)\))`

// LargeFrom is from how many entries on a workspace is Large: then choosing buyers first saves more
// than it costs to plan, and first_sales has its first sales.
const LargeFrom = 500_000

// Known is what whoever asks has looked up of a workspace.
type Known struct {
	// Large says that it has many buyers and leads, so that choosing among them first takes less time
	// than it costs to plan.
	Large bool
	// FirstSales is what LookUpFirstSales says of the workspace and livemode that are asked for; nil:
	// unknown.
	FirstSales *FirstSales
}

// NeedsFirstSales reports whether the statement is another one where FirstSales is known.
func (q Question) NeedsFirstSales() bool {
	return activityCall.MatchString(q.Text) || countsSales(q.Text) || q.asksOfBuyers()
}

// Statement returns the text that asks the question with these values, which are as param_… takes
// them. It answers what Text answers in less time: ClickHouse analyses a view twice, and plans each
// expression of it, also what the values have decided. So the text of activity stands in the place
// of the view, without the dimensions, filters and exchange rates that these values do not need.
// That of clicks_by_dimension stands there with what the question itself names. What is known of
// the workspace changes no answer.
func (q Question) Statement(values map[string]string, of Known) (string, error) {
	return q.StatementOf(Whole, values, of)
}

// StatementOf returns the text that asks a part of a question that has parts, or all of it.
func (q Question) StatementOf(part Part, values map[string]string, of Known) (string, error) {
	q, err := q.Given(values)
	if err != nil {
		return "", err
	}
	if values["visitors"] == "false" {
		q.Text = notCounted.Replace(q.Text)
	}
	q.Text = withUnit(q.Text, values)
	if part != Whole {
		q.Text = q.partText(part, of.Large)
		if part == Others && !of.Large && within(values, oneThreadUntil) {
			q.Text = strings.TrimSuffix(q.Text, "\n") + ", max_threads = 1"
		}
	}
	if of.Large {
		q.Text = uniqueText.ReplaceAllString(q.Text, "uniqExactIf(reinterpretAsUInt128(sipHash128($1)),")
	}
	if q.asksOfBuyers() {
		return q.ofBuyers(values, of), nil
	}
	call := activityCall.FindStringSubmatchIndex(q.Text)
	if call == nil {
		if narrow(values, of.Large) {
			q.Text = withChosenLeads(q.Text)
		}
		if of.FirstSales != nil && part != Clicks && countsSales(q.Text) {
			var err error
			if q.Text, err = withListedSales(q.Text, of.FirstSales); err != nil {
				return "", err
			}
		}
		return q.withRollup(values)
	}
	given := make(map[string]string)
	for _, argument := range arguments.FindAllStringSubmatch(q.Text[call[2]:call[3]], -1) {
		given[argument[1]] = argument[2]
	}
	a, ok := activityOf(given, values)
	if !ok {
		return q.Text, nil
	}
	a.FirstSales = of.FirstSales
	if narrow(values, of.Large) {
		a.Narrow, a.People = true, chosenLeads(a.People, "vouched")
	}
	before, after := q.Text[:call[0]], q.Text[call[1]:]
	entries := entriesOnly.MatchString(after)
	clicksApart := notClicks.MatchString(after)
	a.Clicks, a.Entries = part != Others && !entries && !clicksApart, part != Clicks
	a.Leads = !entries && (part == Whole || (of.Large || clicksApart) == (part == Others))
	if of.Large && a.Clicks {
		b, c := counted.Replace(before), counted.Replace(after)
		a.Counted = !singleClicks.MatchString(withoutComments(b + c))
		if a.Counted {
			a.Unit, a.Visitors = strings.Contains(b, startOfUnit), strings.Contains(b, "sum(visitors_counted)")
			a.Whole = !a.Unit && wholeDays(values)
			a.Rows = !a.Visitors && a.inRows() && (a.Whole || a.Unit && wholeQuarters(values))
			before, after = b, c
		}
	}
	if a.FirstSales != nil {
		if a.Numbers = !a.Products(); a.Numbers { // a payment for two products is two rows
			before, after = salesAsNumbers(before), salesAsNumbers(after)
		}
		a.Payments = !strings.Contains(ofPayments.ReplaceAllString(withoutComments(before+after), ""), "first_sale")
	}
	text, err := a.render()
	if err != nil {
		return "", err
	}
	q.Text = before + "(\n" + text + "\n)" + after
	return q.withRollup(values)
}

// uniqueText is how a question counts sales and buyers. uniqExact counts texts by sipHash128, too, but
// numbers take it less time.
var uniqueText = regexp.MustCompile(`\buniqExactIf\(((?:\w\.)?(?:sale_id|who)),`)

// countedSales is how a question counts sales, also where uniqueText has rewritten it.
var countedSales = regexp.MustCompile(`\buniqExactIf\((?:reinterpretAsUInt128\(sipHash128\()?((?:\w\.)?sale_id)(?:\)\))?, ` +
	`((?:[^()\n]|\([^()\n]*\))+)\)`)

// salesAsNumbers rewrites a question for lists that tell which sales have several payments. sale_id
// is the hash of such a sale, and 0 of any other, of which each payment is a sale.
func salesAsNumbers(text string) string {
	text = strings.ReplaceAll(text, "'' AS sale_id", "toUInt64(0) AS sale_id")
	return countedSales.ReplaceAllString(text, "(countIf($1 = 0 AND $2) + uniqExactIf($1, $1 != 0 AND $2))")
}

// revenueRead is how a question reads entries that does not read activity.
const revenueRead = "FROM revenue FINAL\n"

// countsSales reports whether a question that does not read activity asks of sales only how many they
// are, and has one row for each entry and name.
func countsSales(text string) bool {
	text = withoutComments(text)
	rest := countedSales.ReplaceAllString(text, "")
	return rest != text && strings.Count(rest, revenueRead) == 1 && !strings.Contains(rest, "product") &&
		!strings.Contains(strings.ReplaceAll(rest, "SELECT kind, sale_id, net_usd", ""), "sale_id")
}

// withListedSales returns the text of such a question for lists that tell which sales have several
// payments.
func withListedSales(text string, lists *FirstSales) (string, error) {
	number, err := render("sale", lists)
	if err != nil {
		return "", err
	}
	return strings.Replace(salesAsNumbers(text), revenueRead,
		"FROM (SELECT * EXCEPT (sale_id), "+strings.TrimSpace(number)+" AS sale_id FROM revenue FINAL)\n", 1), nil
}

// ofPayments is how a question asks of a payment whether it is of a first sale, or hands that on.
var ofPayments = regexp.MustCompile(
	`\bkind = 'payment' AND (?:NOT )?(?:\w\.)?first_sale\b|\bfalse AS first_sale\b|\bkind, first_sale, net\b`)

// activityOf returns what a question with these arguments and values needs of activity, and reports
// whether it can be written: what is not known here is left to the view.
func activityOf(given, values map[string]string) (activity, bool) {
	value := func(name string) string {
		if literal, ok := strings.CutPrefix(given[name], "'"); ok {
			return strings.TrimSuffix(literal, "'")
		}
		if strings.HasPrefix(given[name], "{"+name+":") {
			return values[name]
		}
		return ""
	}
	for _, name := range []string{"workspace", "livemode", "from", "to"} {
		if !strings.HasPrefix(given[name], "{"+name+":") {
			return activity{}, false
		}
	}
	a := activity{Named: value("dimension")}
	known := a.Named == ""
	var ok, ok2 bool
	a.Only, ok = filterDimensions(value("only"))
	a.Without, ok2 = filterDimensions(value("without"))
	for _, d := range dimensions {
		if named := d.Name == a.Named; named || slices.Contains(a.Only, d.Name) || slices.Contains(a.Without, d.Name) {
			a.Read, known = append(a.Read, d), known || named
		}
	}
	a.People = peopleWith(a.Read)
	if value("currency") != "usd" {
		a.Rates = strings.ReplaceAll(viewText("reporting_rates"), "{source:", "{rates:")
	}
	return a, known && ok && ok2 && given["stored"] == "true"
}

// filterOf is one dimension of a filter, with its names, as the dashboard writes it.
var filterOf = regexp.MustCompile(`^'(\w+)':\[(?:'(?:[^'\\]|\\[\s\S])*',?)*\](?:,|$)`)

// filterDimensions returns the dimensions of a filter, and reports whether it has no others, as one that
// does not exist, which the view refuses.
func filterDimensions(filter string) (names []string, ok bool) {
	rest := strings.TrimSuffix(strings.TrimPrefix(filter, "{"), "}")
	for rest != "" {
		m := filterOf.FindStringSubmatch(rest)
		if m == nil || !slices.ContainsFunc(dimensions, func(d dimension) bool { return d.Name == m[1] }) {
			return nil, false
		}
		names, rest = append(names, m[1]), rest[len(m[0]):]
	}
	return names, true
}

// creditOfPerson is a column of people that is of a person's first report.
var creditOfPerson = regexp.MustCompile(`,\s+argMin\(l\.(\w+), place\) AS \w+`)

// ofOnePerson rewrites the view people so that it groups by the person alone.
var ofOnePerson = strings.NewReplacer(
	"    workspace,\n    livemode,\n", "",
	"WHERE vouched\n", "WHERE vouched AND workspace = {workspace:String} AND livemode = {livemode:Bool}\n",
)

// viewSettings are those that a view has because it is asked by programs that pin none.
var viewSettings = regexp.MustCompile(`\nSETTINGS [^\n]+`)

// peopleWith returns what the view people selects of the workspace and livemode that are asked for,
// with the columns that activity reads of it. Three columns to group by take longer than one.
func peopleWith(read []dimension) string {
	text := viewSettings.ReplaceAllString(ofOnePerson.Replace(viewText("people")), "")
	return creditOfPerson.ReplaceAllStringFunc(text, func(column string) string {
		name := creditOfPerson.FindStringSubmatch(column)[1]
		if slices.ContainsFunc(read, func(d dimension) bool { return d.Column == name }) {
			return column
		}
		return ""
	})
}

// narrowUntil is the longest time of which a large workspace's buyers and leads are chosen first.
// Of a longer one too many are chosen: 90 days take a little less time so, 730 days twice as much.
const narrowUntil = 100 * 24 * time.Hour

// narrow reports whether to choose buyers and leads first.
func narrow(values map[string]string, large bool) bool { return large && within(values, narrowUntil) }

// within reports whether the time that is asked for is no longer than that.
func within(values map[string]string, longest time.Duration) bool {
	from, err := time.Parse(time.DateTime, values["from"])
	to, err2 := time.Parse(time.DateTime, values["to"])
	return err == nil && err2 == nil && to.Sub(from) <= longest
}

// wholeDays reports whether the time begins and ends at midnight UTC.
func wholeDays(values map[string]string) bool {
	return strings.HasSuffix(values["from"], " 00:00:00") && strings.HasSuffix(values["to"], " 00:00:00")
}

// wholeQuarters reports whether the time begins and ends with a quarter of an hour, and units of time
// do: Liberia was 44 minutes and a half behind UTC until 1972.
func wholeQuarters(values map[string]string) bool {
	quarter := func(name string) bool {
		at, err := time.Parse(time.DateTime, values[name])
		return err == nil && at.Year() > 1972 && at.Truncate(15*time.Minute).Equal(at)
	}
	return quarter("from") && quarter("to")
}

// chosenLeads returns the text of people or public_leads for those who have one of these reports in
// the time: who became a lead in it has. All reports of them are read. They are chosen by their ids,
// before FINAL looks for later versions of them, so it takes those of a report together; a later one
// may name another person. Eight bytes of an id choose a report too many at most.
func chosenLeads(view, reports string) string {
	return strings.Replace(view, "FROM leads_attributed AS l\nFINAL\n", `FROM
(
    SELECT *
    FROM leads_attributed FINAL
    PREWHERE reinterpretAsUInt64(lead_id) IN
    (
        SELECT reinterpretAsUInt64(lead_id)
        FROM leads_attributed
        WHERE workspace = {workspace:String} AND identity(person) IN
        (
            SELECT person
            FROM leads_attributed
            WHERE workspace = {workspace:String} AND `+reports+`
                AND occurred_at >= {from:DateTime('UTC')} AND occurred_at < {to:DateTime('UTC')}
        )
    )
) AS l
`, 1)
}

var leadViews = regexp.MustCompile(`\bFROM (people|public_leads)\b`)

// withChosenLeads returns a question's text with chosenLeads in the place of these views.
func withChosenLeads(text string) string {
	return leadViews.ReplaceAllStringFunc(text, func(use string) string {
		name := strings.TrimPrefix(use, "FROM ")
		reports := map[string]string{"people": "vouched", "public_leads": "NOT vouched"}[name]
		return "FROM " + chosenLeads(viewText(name), reports)
	})
}

// viewText returns what a view selects, as a subquery.
func viewText(name string) string {
	text, err := viewFiles.ReadFile("schema/" + name + ".sql")
	if err != nil {
		panic(err) // it is embedded
	}
	_, selected, _ := strings.Cut(string(text), "\nAS ")
	return "(\n" + strings.TrimSuffix(strings.TrimSpace(selected), ";") + "\n)"
}
