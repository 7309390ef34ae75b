package audit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/processor/credit"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/retention"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// Finding is one row that is not what the records say.
type Finding struct {
	Table string `json:"table"`
	What  string `json:"what"`  // missing, behind (the shadow's version is greater), altered, unexplained, sum
	Where string `json:"where"` // an hour or a day, UTC
	Key   string `json:"key"`   // for people
}

// sources are the tables that records fill, and how two databases' copies of one are compared. key
// are the columns of its key, at is when the row was received or reported, name is what a person
// would call the row. Of two versioned rows the greater version stands; an unversioned row exists
// or does not.
var sources = []struct {
	table, key, at, name string
	versioned            bool
	where                string
}{
	{"clicks", "workspace, click_id", "received_at", "UUIDNumToString(click_id)", true, ""},
	{"page_views", "workspace, page_view_id", "received_at", "UUIDNumToString(page_view_id)", true, ""},
	{"stripe_events", "workspace, event_id", "received_at", "concat(event_id, ' ', type)", true, ""},
	// When a hold ended, or whether it was needed at all, depends on which processor was ahead; the
	// ledger shows the result.
	{"facts", "workspace, object_id, kind, source, event_id, transaction_id", "received_at",
		"concat(kind, ' ', object_id, ' by ', source, ' ', event_id, if(transaction_id = '', '', ' '), transaction_id)", true,
		" WHERE kind != 'hold_ended'"},
	{"identities", "workspace, key, target", "at", "concat(key, ' = ', target)", false, ""},
	{"first_names", "workspace, name", "at", "concat(name, ' = ', target)", true, ""},
	{"dead_letters", "topic, partition, offset, step, record_at", "at",
		"concat(topic, '/', toString(partition), '/', toString(offset))", false, ""},
	{"leads", "workspace, lead_id", "received_at", "concat(event_name, ' of ', external_id)", true, ""},
	{"ledger", "workspace, entry_id", "received_at", "concat(toString(kind), ' ', object_id)", true, ""},
}

// maxFindings bounds the findings of one table.
const maxFindings = 10_000

// content returns an expression that hashes a row's columns. Three things may have changed since a
// click was stored, and are no fault: whether a newer list calls its agent a bot, the version that
// older releases gave it, and, retentionDays after its receipt (0: never), the columns that are
// emptied then, with their copies in the ledger.
func content(table string, retentionDays int) string {
	var except, emptied []string
	if table == "clicks" || table == "page_views" {
		except = []string{"is_bot", "bot_reason", "device", "version"}
	}
	if retentionDays > 0 && table == "ledger" {
		except = retention.Copies // what is computed again from a click has them no more
	} else if retentionDays > 0 {
		emptied = retention.Columns[table]
	}
	columns := "*"
	if list := slices.Concat(except, emptied); len(list) > 0 {
		columns += " EXCEPT (" + strings.Join(list, ", ") + ")"
	}
	hash := "cityHash64(toString(tuple(" + columns + "))"
	if len(emptied) > 0 {
		hash += ", if(received_at < now64(3) - toIntervalDay(" + strconv.Itoa(retentionDays) + "), '', toString(tuple(" +
			strings.Join(emptied, ", ") + ")))"
	}
	return hash + ")"
}

// compareSources returns where the live tables differ from what handling records again wrote into
// the shadow database. Rows whose live version is greater are not findings here; unexplained looks
// at those of the ledger.
func compareSources(ctx context.Context, live *clickhouse.Store, shadow string, retentionDays int) ([]Finding, error) {
	var findings []Finding
	for _, t := range sources {
		version, hash := "toUInt128(1)", "0"
		if t.versioned {
			version, hash = "toUInt128(version)", content(t.table, retentionDays)
		}
		if t.table == "clicks" { // older releases stored other versions (clickhouse.ClickRow.Version)
			version = "toUInt128(if(vouched, bitShiftLeft(toInt64(1), 60), bitShiftLeft(toInt64(1), 50)) - " +
				"toUnixTimestamp64Milli(received_at))"
		}
		shadowTable, liveTable := clickhouse.Table(shadow, t.table), clickhouse.Table("", t.table)
		comparable := "(SELECT " + clickhouse.Comparable(t.table) + " FROM "
		query := `SELECT multiIf(l.v = 0, 'missing', l.v < s.v, 'behind', 'altered'),
    formatDateTime(s.at, '%F %H:00'), s.shown
FROM (SELECT tuple(` + t.key + `) AS id, ` + version + ` AS v, ` + hash + ` AS h,
        ` + t.at + ` AS at, ` + t.name + ` AS shown
    FROM ` + comparable + shadowTable + ` FINAL` + t.where + `)) AS s
LEFT JOIN (SELECT tuple(` + t.key + `) AS id, ` + version + ` AS v, ` + hash + ` AS h
    FROM ` + comparable + liveTable + ` FINAL
    WHERE (` + t.key + `) IN (SELECT ` + t.key + ` FROM ` + shadowTable + `))) AS l ON s.id = l.id
WHERE l.v < s.v OR l.v = s.v AND l.h != s.h
ORDER BY s.at, s.shown LIMIT ` + fmt.Sprint(maxFindings)
		err := live.Each(ctx, func(rows driver.Rows) error {
			f := Finding{Table: t.table}
			err := rows.Scan(&f.What, &f.Where, &f.Key)
			findings = append(findings, f)
			return err
		}, query)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", t.table, err)
		}
	}
	return findings, nil
}

// fromRecords are the tables in which every row comes from a record of Kafka, but for those that a
// condition leaves out: what `processor reconcile` keeps and `processor credit` decides,
// catalogues, and when buyers paid first, which is computed.
var fromRecords = map[string]string{
	"clicks": "1", "page_views": "1", "stripe_events": "1", "leads": "1",
	"facts": "kind != 'hold_ended' AND NOT startsWith(kind, '" + stripe.Settlement + "')",
	"identities": "NOT startsWith(source, '" + credit.Source + ".') AND source != '" + identity.CatalogueSource + "'" +
		" AND NOT startsWith(key, '" + identity.FirstSale + ":') AND NOT startsWith(target, '" + identity.FirstSale + ":')",
}

// Repairable reports whether Repair repairs the finding. A row that no record explains is kept,
// because it may hold what nothing else does. Rows of the ledger and of derived tables are not:
// they are computed from others.
func (f Finding) Repairable() bool { return f.What != "unexplained" || fromRecords[f.Table] == "" }

// firstStays are the tables in which the row that was received first stays: their version begins
// with the inverse of received_at. Where Kafka has all records, a row of a greater version than
// theirs comes from none of them. Clicks are not listed: they are compared by their columns.
var firstStays = []string{"page_views", "stripe_events", "facts", "leads"}

// unrecorded returns the rows received in [since, until) that handling the records again did not
// write, or wrote with a smaller version. Held accounts' rows are left out: where they are depends
// on when a workspace listed the account.
func unrecorded(ctx context.Context, live *clickhouse.Store, shadow string, since, until time.Time) ([]Finding, error) {
	var findings []Finding
	for _, t := range sources {
		condition := fromRecords[t.table]
		if condition == "" {
			continue
		}
		version := "toUInt128(1)" // there or not
		if slices.Contains(firstStays, t.table) {
			version = "version"
		}
		err := live.Each(ctx, func(rows driver.Rows) error {
			f := Finding{Table: t.table, What: "unexplained"}
			err := rows.Scan(&f.Where, &f.Key)
			findings = append(findings, f)
			return err
		}, `SELECT formatDateTime(`+t.at+`, '%F %H:00') AS hour, `+t.name+` AS shown
FROM (SELECT *, `+version+` AS stored FROM `+clickhouse.Table("", t.table)+` FINAL
    WHERE `+condition+` AND `+t.at+` >= ? AND `+t.at+` < ? AND NOT startsWith(workspace, '`+schemas.HeldPrefix+`')) AS l
LEFT JOIN (SELECT `+t.key+`, `+version+` AS explained FROM `+clickhouse.Table(shadow, t.table)+` FINAL) AS s
    USING (`+t.key+`)
WHERE stored > explained ORDER BY hour, shown LIMIT `+fmt.Sprint(maxFindings), since, until)
		if err != nil {
			return nil, fmt.Errorf("compare %s with the records: %w", t.table, err)
		}
	}
	return findings, nil
}

// greaterLeads returns the leads, by workspace, that the shadow has with a smaller version.
func greaterLeads(ctx context.Context, live *clickhouse.Store, shadow string) (map[string][]identity.Node, error) {
	leads := make(map[string][]identity.Node)
	err := live.Each(ctx, func(rows driver.Rows) error {
		var workspace, id string
		err := rows.Scan(&workspace, &id)
		leads[workspace] = append(leads[workspace], ledger.LeadNode([16]byte([]byte(id))))
		return err
	}, `SELECT l.workspace, l.lead_id FROM leads AS l FINAL
INNER JOIN (SELECT workspace, lead_id, version FROM `+clickhouse.Table(shadow, "leads")+` FINAL) AS s
    ON l.workspace = s.workspace AND l.lead_id = s.lead_id
WHERE l.version > s.version ORDER BY l.received_at, l.lead_id LIMIT `+fmt.Sprint(maxFindings))
	return leads, err
}

// deadLetters returns how many records have been set aside since then.
func deadLetters(ctx context.Context, live *clickhouse.Store, since time.Time) (n uint64, err error) {
	err = live.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&n) },
		"SELECT count() FROM dead_letters FINAL WHERE at >= ?", since)
	if err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	return n, nil
}

// unexplained returns the live ledger entries that were received in [since, until) and that
// handling the records again did not write, or wrote with a smaller version, and their sales. A
// sale about which more became known in the meantime is among them until it is recomputed.
func unexplained(ctx context.Context, live *clickhouse.Store, shadow string, since, until time.Time) (
	findings []Finding, sales []clickhouse.Sale, err error,
) {
	err = live.Each(ctx, func(rows driver.Rows) error {
		f := Finding{Table: "ledger", What: "unexplained"}
		var sale clickhouse.Sale
		err := rows.Scan(&f.Where, &f.Key, &sale.Workspace, &sale.ObjectID)
		findings, sales = append(findings, f), append(sales, sale)
		return err
	}, `SELECT formatDateTime(l.received_at, '%F %H:00'),
    concat(toString(l.kind), ' ', l.object_id, '`+entryMark+`', lower(hex(l.entry_id))), l.workspace, l.sale_id
FROM (SELECT workspace, entry_id, version, received_at, kind, object_id, sale_id FROM ledger FINAL
    WHERE status != 'superseded' AND received_at >= ? AND received_at < ?) AS l
LEFT JOIN (SELECT workspace, entry_id, version FROM `+clickhouse.Table(shadow, "ledger")+` FINAL) AS s
    ON l.workspace = s.workspace AND l.entry_id = s.entry_id
WHERE l.version > s.version ORDER BY l.received_at, l.object_id LIMIT `+fmt.Sprint(maxFindings), since, until)
	return findings, sales, err
}

// entryMark precedes the entry's id in the key of an unexplained finding.
const entryMark = ", entry "

// repairSources copies the shadow's rows to the live tables wherever those lack them. A row of
// equal version and other content is deleted first: the version says what was known when a row was
// made, and so cannot decide between the two.
func repairSources(ctx context.Context, live *clickhouse.Store, shadow string, retentionDays int) error {
	for _, t := range sources {
		shadowTable, liveTable := clickhouse.Table(shadow, t.table), clickhouse.Table("", t.table)
		key := t.key
		if t.versioned {
			key += ", version"
			content := content(t.table, retentionDays)
			comparable := "(SELECT " + clickhouse.Comparable(t.table) + " FROM "
			altered := `SELECT ` + t.key + `
FROM (SELECT ` + key + `, ` + content + ` AS h FROM ` + comparable + shadowTable + ` FINAL)) AS s
INNER JOIN (SELECT ` + key + `, ` + content + ` AS h FROM ` + comparable + liveTable + ` FINAL)) AS l
    USING (` + key + `) WHERE s.h != l.h`
			if err := deleteKeys(ctx, live, liveTable, t.key, altered); err != nil {
				return err
			}
		}
		err := live.Exec(ctx, "INSERT INTO "+liveTable+" SELECT * FROM "+shadowTable+" FINAL "+
			"WHERE ("+key+") NOT IN (SELECT "+key+" FROM "+liveTable+")")
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteKeys deletes the rows of the keys that a query returns. The keys are read first: replicas,
// which each execute a deletion for themselves, could find different ones, and ClickHouse refuses a
// subquery there.
func deleteKeys(ctx context.Context, s *clickhouse.Store, table, key, query string) error {
	const hash = "lower(hex(sipHash128("
	var keys []string
	err := s.Each(ctx, func(rows driver.Rows) error {
		var k string
		err := rows.Scan(&k)
		keys = append(keys, k)
		return err
	}, "SELECT DISTINCT "+hash+key+"))) FROM ("+query+")")
	for chunk := range slices.Chunk(keys, 1000) {
		if err == nil {
			err = s.Exec(ctx, "ALTER TABLE "+table+" DELETE WHERE has(?, "+hash+key+"))))", clickhouse.Strings(chunk))
		}
	}
	return err
}

// deleteUnexplained deletes ledger entries that no record explains, and their rows of revenue.
func deleteUnexplained(ctx context.Context, live *clickhouse.Store, findings []Finding) error {
	if err := clickhouse.VoidFirstSales(ctx, live); err != nil {
		return err
	}
	for _, f := range findings {
		_, id, ok := strings.Cut(f.Key, entryMark)
		if !ok || f.What != "unexplained" {
			continue
		}
		for _, table := range []string{"ledger", "revenue"} {
			if err := live.Exec(ctx, "ALTER TABLE "+table+" DELETE WHERE entry_id = unhex(?)", id); err != nil {
				return err
			}
		}
	}
	return clickhouse.VoidFirstSales(ctx, live)
}

// truncate empties the tables of the database that an audit writes into.
func truncate(ctx context.Context, shadow *clickhouse.Store) error {
	for _, t := range sources {
		if err := shadow.Exec(ctx, "TRUNCATE TABLE "+t.table); err != nil {
			return err
		}
	}
	return nil
}
