package sql

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	// MapFS: files in memory, as goose reads them
)

// ErrNotRendered is in the error of a statement for which there is no rule of how it is executed on
// several servers.
var ErrNotRendered = errors.New("no rule renders this statement for several servers")

// shardingKeys are the tables whose rows are divided among the shards of a cluster. All others,
// money above all, lie whole on every server: a join with them is local, and no second version of a
// row can lie on another shard than the first.
var shardingKeys = map[string]string{"clicks": "cityHash64(click_id)", "page_views": "cityHash64(page_view_id)"}

// replacementName is the name of a table that a migration builds to take the place of a sharded
// one.
var replacementName = regexp.MustCompile(`^(\w+?)_(?:anew|rebuilt|\d{4})$`)

// shardingKey returns the expression by which a table's rows are divided among shards, "" for a
// table that every server has whole.
func shardingKey(table string) string {
	if of := replacementName.FindStringSubmatch(table); of != nil {
		table = of[1]
	}
	return shardingKeys[table]
}

// Paths in Keeper. {uuid} is the table's own, the same on all servers of an ON CLUSTER statement,
// so that tables may be exchanged and made anew under a name. Without {shard} in its path a table
// has the same rows on every server of every shard; the name of a replica must then contain the
// shard.
const (
	everywhere = `'/clickhouse/tables/{uuid}', '{shard}-{replica}'`
	perShard   = `'/clickhouse/tables/{uuid}/{shard}', '{replica}'`
)

// builtin are the table functions of ClickHouse that migrations use. Any other name before a
// parenthesis is a parameterized view.
var builtin = []string{"numbers", "values"}

const identifier = "((?:`[^`]+`\\.|\\w+\\.)?(?:`[^`]+`|\\w+))"

var (
	createTable = regexp.MustCompile(`^CREATE TABLE (?:IF NOT EXISTS )?` + identifier + `(?:\s+AS ` + identifier + `)?`)
	createView  = regexp.MustCompile(`^CREATE (?:OR REPLACE )?(MATERIALIZED )?VIEW (?:IF NOT EXISTS )?` + identifier +
		`(?:\s+TO ` + identifier + `)?`)
	alterTable    = regexp.MustCompile(`^ALTER TABLE ` + identifier)
	changeRows    = regexp.MustCompile(`^(?:TRUNCATE|OPTIMIZE) TABLE ` + identifier)
	dropTable     = regexp.MustCompile(`^DROP (?:TABLE|VIEW) (?:IF EXISTS )?` + identifier)
	exchange      = regexp.MustCompile(`^EXCHANGE TABLES ` + identifier + ` AND ` + identifier)
	database      = regexp.MustCompile(`^(?:CREATE DATABASE IF NOT EXISTS|DROP DATABASE IF EXISTS) ` + identifier)
	insert        = regexp.MustCompile(`^INSERT INTO `)
	engine        = regexp.MustCompile(`\bENGINE = (\w+)(\([^()]*\))?`)
	source        = regexp.MustCompile(`\b(?:FROM|JOIN)\s+` + identifier)
	called        = regexp.MustCompile(`\b(FROM|ARRAY JOIN|JOIN)\s+(\w+)\(`)
	changesColumn = regexp.MustCompile(`\b(?:ADD|DROP|MODIFY|RENAME|COMMENT|CLEAR) COLUMN\b`)
	// Alterations that ClickHouse does not replicate: each server needs its own.
	notReplicated = regexp.MustCompile(
		`^\s*(?:MODIFY|RESET) SETTING\b|^\s*MODIFY COMMENT\b|^\s*COMMENT COLUMN\b|^\s*MODIFY QUERY\b`)
	partsOf = regexp.MustCompile(`\btable = '(\w+)'`)
)

// Render returns the statements that do on the servers of a layout what a statement of a migration,
// or of a command, does on one server. Their order matters. Rows are selected and inserted under
// the names of migrations in each layout; DDL and mutations have to be rendered.
//
// It knows the form that this project's statements have, and none other: what no rule covers is
// ErrNotRendered, because a statement that is executed on one server of several splits the ledger.
func (l Layout) Render(statement string) ([]string, error) {
	if l.Kind == Single || l.Kind == Cloud { // ClickHouse Cloud puts its own engines in place of MergeTree
		return []string{statement}, nil
	}
	statement = withoutComments(statement)
	r := rendering{Layout: l, text: statement, masked: mask(statement)}
	for _, rule := range []func(rendering) ([]string, error){
		rendering.table, rendering.view, rendering.alter, rendering.rows, rendering.drop, rendering.exchange,
		rendering.database,
	} {
		statements, err := rule(r)
		if err != nil {
			line, _, _ := strings.Cut(statement, "\n")
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		if statements != nil {
			return statements, nil
		}
	}
	if insert.MatchString(r.masked) {
		return []string{r.local(r.text, partsOf)}, nil
	}
	line, _, _ := strings.Cut(statement, "\n")
	return nil, fmt.Errorf("%s: %w", line, ErrNotRendered)
}

// rendering is a statement with its text for searching: of the same length, with blanks for what
// literals contain.
type rendering struct {
	Layout
	text, masked string
}

// onCluster is what follows a name in a statement for every server. A Replicated database passes
// its DDL on by itself.
func (r rendering) onCluster() string {
	if r.Kind == Cluster {
		return " ON CLUSTER " + quoted(r.Cluster)
	}
	return ""
}

// sharded reports whether the layout divides a table's rows among shards.
func (l Layout) sharded(table string) bool {
	return l.Kind == Cluster && shardingKey(bare(table)) != ""
}

// Stored returns the name of the table that holds a table's rows, and keeps its columns' TTLs: of a
// sharded one NAME_local, on which the Distributed table NAME stands.
func (l Layout) Stored(table string) string {
	if !l.sharded(table) {
		return table
	}
	if strings.HasSuffix(table, "`") {
		return strings.TrimSuffix(table, "`") + "_local`"
	}
	return table + "_local"
}

// local replaces each sharded table that a pattern's first group finds by the one that holds rows.
func (r rendering) local(text string, pattern *regexp.Regexp) string {
	masked := text
	if pattern != partsOf {
		masked = mask(text)
	}
	for _, at := range slices.Backward(pattern.FindAllStringSubmatchIndex(masked, -1)) {
		text = text[:at[2]] + r.Stored(text[at[2]:at[3]]) + text[at[3]:]
	}
	return text
}

// distributed makes, or makes anew, the Distributed table over the rows of a sharded one. It has no
// rows of its own: inserts pass through it to the shards at once (distributed_foreground_insert).
func (r rendering) distributed(table string) string {
	of := r.Database
	if database, _, qualified := strings.Cut(table, "."); qualified {
		of = unquotedName(database)
	}
	return fmt.Sprintf("CREATE OR REPLACE TABLE %s%s AS %s\nENGINE = Distributed('%s', '%s', '%s', %s)",
		table, r.onCluster(),
		r.Stored(table), literal(r.Cluster), literal(of), literal(bare(r.Stored(table))), shardingKey(bare(table)))
}

func (r rendering) table() ([]string, error) {
	at := createTable.FindStringSubmatchIndex(r.masked)
	if at == nil {
		return nil, nil
	}
	table, as := r.text[at[2]:at[3]], ""
	if at[4] >= 0 {
		as = r.text[at[4]:at[5]]
		if r.sharded(as) != r.sharded(table) && !engine.MatchString(r.masked) {
			return nil, fmt.Errorf("%s is made as %s, and one of them is sharded (hint: name it %[2]s_rebuilt, or give "+
				"it an engine): %w",
				table, as, ErrNotRendered)
		}
	}
	rest, err := r.replicated(r.text[at[1]:], table)
	if err != nil {
		return nil, err
	}
	head := strings.TrimSuffix(r.text[:at[3]], table) + r.Stored(table) + r.onCluster()
	if as != "" {
		head += " AS " + r.Stored(as)
	} else if rest == r.text[at[1]:] {
		return nil, fmt.Errorf("%s has no engine: %w", table, ErrNotRendered)
	}
	statements := []string{head + rest}
	if r.sharded(table) {
		statements = append(statements, r.distributed(table))
	}
	return statements, nil
}

// replicated puts the Replicated engine in place of a MergeTree's. Text without an engine is
// returned as it is.
func (r rendering) replicated(text, table string) (string, error) {
	at := engine.FindStringSubmatchIndex(mask(text))
	if at == nil {
		return text, nil
	}
	kind := text[at[2]:at[3]]
	if !strings.HasSuffix(kind, "MergeTree") {
		return "", fmt.Errorf("%s is of the engine %s, which does not replicate: %w", table, kind, ErrNotRendered)
	}
	var arguments []string
	switch {
	case r.sharded(table):
		arguments = append(arguments, perShard)
	case r.Kind == Cluster:
		arguments = append(arguments, everywhere)
	}
	if at[4] >= 0 {
		if own := strings.Trim(text[at[4]:at[5]], "()"); own != "" {
			arguments = append(arguments, own)
		}
	}
	rendered := "ENGINE = Replicated" + kind
	if len(arguments) > 0 {
		rendered += "(" + strings.Join(arguments, ", ") + ")"
	}
	return text[:at[0]] + rendered + text[at[1]:], nil
}

// view makes a view on every server. A materialized one reads the rows that its server is given,
// and those are inserted into the tables that hold rows.
func (r rendering) view() ([]string, error) {
	at := createView.FindStringSubmatchIndex(r.masked)
	if at == nil {
		return nil, nil
	}
	view, rest := r.text[at[4]:at[5]], r.text[at[5]:]
	if at[2] >= 0 {
		if !strings.HasSuffix(bare(view), "_mv") || at[6] < 0 || r.sharded(r.text[at[6]:at[7]]) {
			return nil, fmt.Errorf("a materialized view is named TABLE_mv and fills a table that is not sharded: %w",
				ErrNotRendered)
		}
		rest = r.local(rest, source)
	}
	return []string{r.text[:at[5]] + r.onCluster() + r.qualified(rest)}, nil
}

// qualified names the database of parameterized views. ClickHouse adds it to the tables of a
// statement for every server, and not to these.
func (r rendering) qualified(text string) string {
	if r.Kind != Cluster {
		return text
	}
	for _, at := range slices.Backward(called.FindAllStringSubmatchIndex(mask(text), -1)) {
		if text[at[2]:at[3]] != "ARRAY JOIN" && !slices.Contains(builtin, text[at[4]:at[5]]) {
			text = text[:at[4]] + quoted(r.Database) + "." + text[at[4]:]
		}
	}
	return text
}

// alter alters a table that lies whole on every server once, on the server that is asked: the
// others follow in Keeper, where the same alteration by several of them would collide. What is not
// replicated is done on each.
func (r rendering) alter() ([]string, error) {
	at := alterTable.FindStringSubmatchIndex(r.masked)
	if at == nil {
		return nil, nil
	}
	table, rest := r.text[at[2]:at[3]], r.text[at[1]:]
	if !r.sharded(table) {
		if !notReplicated.MatchString(mask(rest)) {
			return []string{r.text}, nil
		}
		return []string{r.text[:at[3]] + r.onCluster() + r.qualified(r.local(rest, source))}, nil
	}
	statements := []string{"ALTER TABLE " + r.Stored(table) + r.onCluster() + r.local(rest, source)}
	if changesColumn.MatchString(mask(rest)) {
		statements = append(statements, r.distributed(table))
	}
	return statements, nil
}

// rows renders TRUNCATE and OPTIMIZE.
func (r rendering) rows() ([]string, error) {
	at := changeRows.FindStringSubmatchIndex(r.masked)
	if at == nil {
		return nil, nil
	}
	table := r.text[at[2]:at[3]]
	if !r.sharded(table) {
		return []string{r.text}, nil
	}
	return []string{r.text[:at[2]] + r.Stored(table) + r.onCluster() + r.text[at[3]:]}, nil
}

func (r rendering) drop() ([]string, error) {
	at := dropTable.FindStringSubmatchIndex(r.masked)
	if at == nil {
		return nil, nil
	}
	table := r.text[at[2]:at[3]]
	statements := []string{r.text[:at[3]] + r.onCluster() + r.text[at[3]:]}
	if r.sharded(table) {
		statements = append(statements, r.text[:at[2]]+r.Stored(table)+r.onCluster()+r.text[at[3]:])
	}
	return statements, nil
}

func (r rendering) exchange() ([]string, error) {
	at := exchange.FindStringSubmatchIndex(r.masked)
	if at == nil {
		return nil, nil
	}
	a, b := r.text[at[2]:at[3]], r.text[at[4]:at[5]]
	if r.sharded(a) != r.sharded(b) {
		return nil, fmt.Errorf("one of %s and %s is sharded: %w", a, b, ErrNotRendered)
	}
	if r.Kind == ReplicatedDatabase && databaseOf(a) != databaseOf(b) {
		return nil, fmt.Errorf("a Replicated database exchanges no table with another database: %w", ErrNotRendered)
	}
	statements := []string{"EXCHANGE TABLES " + r.Stored(a) + " AND " + r.Stored(b) + r.onCluster()}
	if r.sharded(a) { // they may differ in columns
		statements = append(statements, r.distributed(a), r.distributed(b))
	}
	return statements, nil
}

func (r rendering) database() ([]string, error) {
	if !database.MatchString(r.masked) {
		return nil, nil
	}
	return []string{r.text + r.databaseOnCluster()}, nil
}
