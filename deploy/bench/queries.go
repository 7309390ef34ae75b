package main

import (
	"context"
	stdsql "database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"

	"tributary/deploy/local/chdb"
	clickhousestore "tributary/processor/clickhouse"
	"tributary/processor/rollup"
	"tributary/sql"
)

// The statements that make a history, with the parameters total, first, count, until, and few, by
// which only the workspaces that are asked for have rows.
//
//go:embed history/*.sql
var histories embed.FS

// queries times the questions that the page asks, over a history of two years that it makes. Each
// is asked for the largest workspace, which has 30 % of it, and for a typical one with 1 %, over
// several ranges of time; today is a day that still changes, and is read from clicks. Beside it
// stands the same question over the raw tables; their answers must be equal.
type queries struct {
	Clicks uint64 `default:"1000000" help:"How many clicks the history has; page views, leads and entries in proportion."`
	Data   string `placeholder:"DIR" help:"Keep the history here, and use the one that is here. Without it it is made in a temporary folder and deleted."`
	Rounds int    `default:"5" help:"How often each question is asked of each range."`
	Raw    bool   `default:"true" negatable:"" help:"Ask the raw tables, too."`
	Files  bool   `help:"Send the query files as they are, like clients of ClickHouse, and not what the dashboard makes of them."`
	Only   string `placeholder:"NAME" help:"Only this question, also one that the page does not ask at once."`
	Days   []int  `default:"7,30,90,730" help:"The ranges of time, in days before the history's end."`
	Last   int    `default:"730" help:"Make clicks and page views of only so many last days. Leads and entries are of the whole two years."`
	Few    bool   `help:"Make only the rows of the workspaces that are asked for, a third of all."`
}

// untilDay is the day after the history's last one. It is fixed, so that two runs have the same.
var untilDay = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

// historyDays is how many days a whole history has.
const historyDays = 730

// chunk is how many clicks one INSERT makes.
const chunk = 500_000

// question is one of sql/queries with its arguments, but for workspace and time.
type question struct {
	name, note string
	parameters map[string]string
}

// asked are questions that the page asks, first those of its overview, and the sums that programs
// ask. note tells two that ask the same question apart.
var asked = []question{
	{"breakdown", "all", map[string]string{"dimension": ""}},
	{"breakdown", "affiliates", uncounted("dimension", "affiliate")},
	{"breakdown", "links", uncounted("dimension", "link")},
	{"breakdown", "and visitors", map[string]string{"limit": "1000"}},
	{"breakdown", "of nobody", uncounted("dimension", "", "only", "{'affiliate':['']}")},
	{"breakdown", "its countries", uncounted("dimension", "country", "only", "{'affiliate':['affiliate-3']}")},
	{"trend", "days in India", uncounted("timezone", "Asia/Kolkata")},
	{"trend", "and visitors", map[string]string{"timezone": "Asia/Kolkata"}},
	{"trend", "one affiliate", uncounted("only", "{'affiliate':['affiliate-3']}")},
	{"funnel", "", nil},
	{"new_and_returning", "", nil},
	{"sales_and_refunds", "", map[string]string{"limit": "10"}},
	{"money_at_risk", "", nil},
	{"browser_leads", "", nil},
	{"totals", "", nil},
	{"timeseries", "", map[string]string{"step": "86400"}},
	{"top", "", map[string]string{"limit": "10"}},
	{"clicks_by_day", "", nil},
	{"latest_sales", "", map[string]string{"limit": "25"}},
	{"refunds_and_disputes", "", map[string]string{"limit": "25"}},
	{"revenue_by_currency", "", nil},
	{"unattributed", "", nil},
	{"without_rate", "", nil},
	{"rates_used", "", nil},
	{"freshness", "", nil},
	{"first_day", "", nil},
	{"modes", "", nil},
	{"landing_pages", "", uncounted("dimension", "landing_page")},
	{"return_on_spend", "", nil},
	{"recurring_revenue", "", nil},
	{"lifetime_value", "", map[string]string{"limit": "1000"}},
	{"time_to_purchase", "", map[string]string{"limit": "1000"}},
	{"cohorts", "", nil},
	{"statements", "", map[string]string{"month": untilDay.AddDate(0, 0, 1-untilDay.Day()).Format(time.DateOnly)}},
	{"held", "", nil},
}

// uncounted returns what the page asks a question with where it shows no visitors.
func uncounted(pairs ...string) map[string]string {
	values := map[string]string{"visitors": "false", "limit": "1000"}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return values
}

// Run makes the history and prints a table for each workspace.
func (q *queries) Run(ctx context.Context) error {
	if q.Last < 1 || q.Last > historyDays {
		return fmt.Errorf("--last is %d (hint: give days from 1 to %d)", q.Last, historyDays)
	}
	if longest := slices.Max(q.Days); longest > q.Last {
		return fmt.Errorf("--days has %d, more than the %d days of --last", longest, q.Last)
	}
	base, dir, remove, err := engineIn(q.Data)
	if err != nil {
		return err
	}
	defer remove()
	if err := q.prepare(ctx, base, dir); err != nil {
		return err
	}
	for _, workspace := range workspaces {
		fmt.Printf("\nworkspace %s: milliseconds p50 / p95 of %d, CPU p50, × CPU over the raw tables\n%-24s",
			workspace, q.Rounds, "")
		for _, days := range q.Days {
			fmt.Printf("%24d d", days)
		}
		fmt.Println()
		for _, a := range q.questions() {
			if err := q.row(ctx, base, workspace, a.name, a.note, a.parameters); err != nil {
				return err
			}
		}
	}
	return nil
}

// questions are those that are asked, or the one of --only.
func (q *queries) questions() []question {
	if q.Only == "" {
		return asked
	}
	only := slices.DeleteFunc(slices.Clone(asked), func(p question) bool { return p.name != q.Only })
	if len(only) == 0 {
		only = []question{{name: q.Only}}
	}
	return only
}

// engineIn starts the engine over data, or over a temporary folder without one, which remove
// deletes. It returns the address of its database and the folder.
func engineIn(data string) (base, dir string, remove func(), err error) {
	dir, remove = data, func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tributary-bench-"); err != nil {
			return "", "", nil, err
		}
		remove = func() { os.RemoveAll(dir) }
	}
	if base, err = serveEngine(dir); err != nil {
		remove()
		return "", "", nil, err
	}
	return base, dir, remove, nil
}

// serveEngine starts the engine and returns the address of its database.
func serveEngine(dir string) (string, error) {
	library, err := chdb.Find()
	if err != nil {
		return "", err
	}
	engine, err := chdb.Open(library, filepath.Join(dir, "clickhouse"))
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := engine.Server()
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), nil
}

// openBench makes a database and connects to it.
func openBench(ctx context.Context, base, database string) (*stdsql.DB, error) {
	options, err := clickhouse.ParseDSN(base + "/default")
	if err != nil {
		return nil, err
	}
	server := clickhouse.OpenDB(options)
	defer server.Close()
	if err := sql.EnsureDatabase(ctx, server, database, sql.Layout{}); err != nil {
		return nil, err
	}
	if options, err = clickhouse.ParseDSN(base + "/" + database); err != nil {
		return nil, err
	}
	return clickhouse.OpenDB(options), nil
}

// prepare makes the tables and the history, but for the steps that the folder has already: one that
// was interrupted is made again by itself.
func (q *queries) prepare(ctx context.Context, base, dir string) error {
	start := time.Now()
	step := func(name string, make func() error) error {
		done := filepath.Join(dir, fmt.Sprintf("%s-%d", name, q.Clicks))
		if q.Last != historyDays || q.Few {
			done += fmt.Sprintf("-%d-%t", q.Last, q.Few)
		}
		if _, err := os.Stat(done); err == nil {
			return nil
		}
		if err := make(); err != nil {
			return fmt.Errorf("make %s: %w", name, err)
		}
		fmt.Printf("bench: %s after %s\n", name, time.Since(start).Round(time.Second))
		return os.WriteFile(done, nil, 0o644)
	}
	db, err := openBench(ctx, base, "bench")
	if err != nil {
		return err
	}
	defer db.Close()
	if err := sql.Migrate(ctx, db, func(string) {}); err != nil {
		return err
	}
	for _, name := range []string{"clicks", "page_views", "leads", "ledger"} {
		if err := step(name, func() error { return q.fill(ctx, base, name) }); err != nil {
			return err
		}
	}
	store, err := openPatient(base + "/bench")
	if err != nil {
		return err
	}
	defer store.Close()
	if err := step("clicks_by_day", func() error { return computeDays(ctx, store, q.Last) }); err != nil {
		return err
	}
	if err := store.Exec(ctx, "TRUNCATE TABLE payments_written"); err != nil { // as long after the last payment
		return err
	}
	return rollup.ComputeFirstSales(ctx, store, rollup.Ledger{Workspace: "largest", Livemode: true})
}

// fill makes the rows of one table. Rows that an interrupted fill has made are made again and
// replaced.
func (q *queries) fill(ctx context.Context, base, table string) error {
	text, err := histories.ReadFile("history/" + table + ".sql")
	if err != nil {
		return err
	}
	first := uint64(0)
	if table == "clicks" || table == "page_views" { // what is asked of a person or buyer may be of any time
		first = (q.Clicks - q.Clicks*uint64(q.Last)/historyDays) / chunk * chunk
	}
	for ; first < q.Clicks; first += chunk {
		_, err := ask(ctx, base, string(text), url.Values{
			"param_total": {fmt.Sprint(q.Clicks)}, "param_first": {fmt.Sprint(first)},
			"param_count": {fmt.Sprint(min(chunk, q.Clicks-first))}, "param_until": {untilDay.Format(time.DateTime)},
			"param_few": {fmt.Sprint(q.Few)},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// workspaces are those that are asked for: one with 30 % of the history, and one with 1 %.
var workspaces = []string{"largest", "w1"}

// computeDays computes the last days of clicks_by_day of the workspaces that are asked for, but for
// the last day, which counts as still changing.
func computeDays(ctx context.Context, store *clickhousestore.Store, days int) error {
	today := untilDay.AddDate(0, 0, -1)
	for _, statement := range []string{
		"CREATE TABLE IF NOT EXISTS quiet AS click_days",
		"INSERT INTO quiet SELECT * REPLACE (if(day = '" + today.Format(time.DateOnly) + "', now64(3) + INTERVAL 1 YEAR, " +
			"changed_at - INTERVAL 1 HOUR) AS changed_at) FROM click_days FINAL",
		"EXCHANGE TABLES quiet AND click_days",
		"DROP TABLE quiet SYNC",
	} {
		if err := store.Exec(ctx, statement); err != nil {
			return err
		}
	}
	for _, workspace := range workspaces {
		for first := today.AddDate(0, 0, -days-1); first.Before(today); first = first.AddDate(0, 1, 0) {
			last := first.AddDate(0, 1, -1)
			if last.After(today) {
				last = today
			}
			if err := rollup.Compute(ctx, store, rollup.Range{Workspace: workspace, First: first, Last: last},
				false); err != nil {
				return err
			}
		}
	}
	return nil
}

// row asks one question of one workspace over all ranges, and prints the times.
func (q *queries) row(ctx context.Context, base, workspace, name, note string, more map[string]string) error {
	question, err := sql.AskQuestion(name)
	if err != nil {
		return err
	}
	raw := overRaw(question.Text)
	fmt.Printf("%-24s", name+" "+note)
	for _, days := range q.Days {
		values := make(map[string]string)
		for _, p := range question.Parameters {
			values[p.Name] = p.Default
		}
		maps.Copy(values, map[string]string{
			"workspace": workspace, "livemode": "true", "to": untilDay.Format(time.DateTime),
			"from": untilDay.AddDate(0, 0, -days).Format(time.DateTime),
		})
		maps.Copy(values, more)
		parameters := make(url.Values)
		for name, value := range values {
			parameters.Set("param_"+name, value)
		}
		send := func() (string, error) { return ask(ctx, base, question.Text+"\nFORMAT TSV", parameters) }
		if !q.Files {
			send = func() (string, error) { return asDashboard(ctx, base, question, workspace, values, parameters) }
			for name, value := range sql.Uncompiled() {
				parameters.Set(name, value)
			}
		}
		times, cpu, answer, err := q.measure(send)
		if err != nil {
			return fmt.Errorf("ask %s: %w", name, err)
		}
		cell := fmt.Sprintf("%.0f / %.0f, %.0f", times[len(times)/2], times[(len(times)*95+99)/100-1], cpu[len(cpu)/2])
		if q.Raw && raw != question.Text {
			_, rawCPU, same, err := q.measure(func() (string, error) {
				return ask(ctx, base, raw+"\nFORMAT TSV", parameters)
			})
			if err != nil {
				return fmt.Errorf("ask %s of the raw tables: %w", name, err)
			}
			if same != answer {
				return fmt.Errorf("%s of %s over %d days differs:\n%s\nfrom the raw tables:\n%s", name, workspace, days, answer, same)
			}
			cell += fmt.Sprintf(" ×%.1f", rawCPU[len(rawCPU)/2]/max(cpu[len(cpu)/2], 1))
		}
		fmt.Printf("%26s", cell)
	}
	fmt.Println()
	return nil
}

// asDashboard asks as processor dashboard does: its look-up first, then the question's parts at the
// same time, and what makes one answer of theirs.
func asDashboard(ctx context.Context, base string, question sql.Question, workspace string, values map[string]string,
	parameters url.Values,
) (string, error) {
	question, err := question.Given(values)
	if err != nil {
		return "", err
	}
	part := func(ctx context.Context, part sql.Part, format string) (string, error) {
		known := sql.Known{Large: workspace == "largest"}
		if known.Large && part != sql.Clicks && question.NeedsFirstSales() {
			first, ok, err := sql.LookUpFirstSales(func(statement string) ([]string, error) {
				rows, err := ask(ctx, base, statement+"\nFORMAT TSV",
					url.Values{"param_workspace": {workspace}, "param_livemode": {values["livemode"]}})
				return strings.Split(strings.TrimSuffix(rows, "\n"), "\n"), err
			})
			if err != nil {
				return "", err
			}
			if ok {
				known.FirstSales = &first
			}
		}
		text, err := question.StatementOf(part, values, known)
		if err != nil {
			return "", err
		}
		return ask(ctx, base, text+"\nFORMAT "+format, parameters)
	}
	if !question.HasParts(workspace == "largest") {
		return part(ctx, sql.Whole, "TSV")
	}
	var clicks, others string
	group, both := errgroup.WithContext(ctx)
	for of, answer := range map[sql.Part]*string{sql.Clicks: &clicks, sql.Others: &others} {
		group.Go(func() (err error) {
			*answer, err = part(both, of, "TSVWithNamesAndTypes")
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	text, err := question.Join(values, clicks, others)
	if err != nil {
		return "", err
	}
	return ask(ctx, base, text+"\nFORMAT TSV", parameters)
}

// overRaw is the same question over clicks, page_views and ledger; ×N in the table is how many
// times more CPU it takes. Those by the hash of a buyer have none: only revenue has it.
func overRaw(text string) string {
	if strings.Contains(text, "identity(buyer)") {
		return text
	}
	text = strings.ReplaceAll(text, "FROM revenue", "FROM ledger")
	text = strings.ReplaceAll(text, "stored = true", "stored = false")
	return text
}

// measure returns the times and the CPU times of this process, which is the engine's too, in
// milliseconds and sorted, and the answer.
func (q *queries) measure(send func() (string, error)) (times, cpu []float64, answer string, err error) {
	for range q.Rounds {
		start, used := time.Now(), ownCPU()
		if answer, err = send(); err != nil {
			return nil, nil, "", err
		}
		times = append(times, float64(time.Since(start).Microseconds())/1000)
		cpu = append(cpu, float64((ownCPU()-used).Microseconds())/1000)
	}
	slices.Sort(times)
	slices.Sort(cpu)
	return times, cpu, answer, nil
}

func ownCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func ask(ctx context.Context, base, statement string, values url.Values) (string, error) {
	given := url.Values{"database": {"bench"}, "max_query_size": {fmt.Sprint(len(statement) + 256<<10)}}
	for key, list := range values {
		name, parameter := strings.CutPrefix(key, "param_")
		if !parameter || strings.Contains(statement, "{"+name+":") {
			given[key] = list
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/?"+given.Encode(),
		strings.NewReader(statement))
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", errors.New(strings.TrimSpace(string(body)))
	}
	return string(body), nil
}
