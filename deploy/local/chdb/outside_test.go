package chdb_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"tributary/deploy/local/chdb"
	"tributary/deploy/local/chdb/chdbtest"
)

// TestNothingOutside: whoever may speak to the engine, in whatever spelling, gets at no file, no
// program and no other server through it. %F is a file that holds the word treasure, %U a server
// that answers it, %H its host and port, %D a directory.
func TestNothingOutside(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret.tsv")
	must(t, os.WriteFile(file, []byte("1\ttreasure\n"), 0o600))
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte("1\ttreasure\n"))
	}))
	defer server.Close()
	dsn := chdbtest.Start(t)
	fill := strings.NewReplacer("%F", file, "%U", server.URL, "%H", strings.TrimPrefix(server.URL, "http://"),
		"%D", dir, "%P", server.URL[strings.LastIndex(server.URL, ":")+1:])
	in := "database=" + database(dsn)

	for _, statements := range outside {
		for _, user := range []string{chdb.ProgramUser, chdb.ReadOnlyUser} {
			var said string
			refused := false
			for statement := range strings.SplitSeq(fill.Replace(statements), ";;") {
				status, answer, _ := post(t, in+"&user="+user, statement)
				refused = refused || status != http.StatusOK
				said += answer
			}
			if !refused || strings.Contains(said, "treasure\n") || strings.Contains(said, "uid=") {
				t.Errorf("%s, as %s: %s", statements, user, said)
			}
		}
	}
	for _, text := range []string{"SELECT file('%F')", "SELECT * FROM file('%F','LineAsString')"} {
		response, err := http.Get(chdbtest.Address(t) + "/?query=" + url.QueryEscape(fill.Replace(text)))
		must(t, err)
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			t.Errorf("GET %s: %s", text, response.Status)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the engine sent %d requests", n)
	}
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 1 {
		t.Errorf("the engine wrote files: %v", left)
	}
}

// outside are ways out of the engine. Several statements of one way are separated by ;;.
var outside = []string{
	// Table functions.
	"SELECT * FROM file('%F','LineAsString')",
	"SELECT * FROM `file`('%F','LineAsString')",
	"SELECT * FROM \"file\" /* */ ('%F')",
	"SELECT * FROM fi/**/le('%F')",
	"select * from -- comment\n file(\n'%F')",
	"SELECT * FROM '%F'",
	"SELECT * FROM `%F`",
	"SELECT * FROM default.`%F`",
	"SELECT * FROM filesystem('%D')",
	"SELECT * FROM url('%U','LineAsString')",
	"SELECT * FROM urlCluster('default','%U','LineAsString')",
	"SELECT * FROM s3('%U/b/k','TSV')",
	"SELECT * FROM s3('%U/b/k',NOSIGN,'TSV')",
	"SELECT * FROM gcs('%U/b/k','TSV')",
	"SELECT * FROM azureBlobStorage('%U','c','b','devstoreaccount1','a2V5','TSV')",
	"SELECT * FROM hdfs('hdfs://%H/x','TSV')",
	"SELECT * FROM remote('%H','system.one')",
	"SELECT * FROM remoteSecure('%H','system.one')",
	"SELECT * FROM cluster('default','system.one')",
	"SELECT * FROM mysql('%H','a','b','c','d')",
	"SELECT * FROM postgresql('%H','a','b','c','d')",
	"SELECT * FROM mongodb('%H','a','b','c','d','x Int8')",
	"SELECT * FROM redis('%H','k','k String, v String')",
	"SELECT * FROM sqlite('%F','t')",
	"SELECT * FROM odbc('DSN=x','a','b')",
	"SELECT * FROM jdbc('x','a','b')",
	"SELECT * FROM executable('id','TSV','a String')",
	"SELECT * FROM deltaLakeLocal('%D')",
	"SELECT * FROM icebergLocal('%D')",
	"SELECT * FROM iceberg('%U/b/')",
	"SELECT * FROM ytsaurus('%U','//x','t','a Int8')",
	"SELECT * FROM eval('SELECT fi' || 'le(''%F'')')",
	"SELECT * FROM eval('SELECT 1') SETTINGS allow_experimental_eval_table_function=1",
	"SELECT (SELECT * FROM file('%F','LineAsString'))",
	"WITH x AS (SELECT * FROM file('%F','LineAsString')) SELECT * FROM x",
	"DESCRIBE file('%F')",
	"DESCRIBE TABLE url('%U')",
	"EXPLAIN SELECT * FROM file('%F','LineAsString')",
	"EXPLAIN PLAN SELECT * FROM url('%U','LineAsString')",
	"INSERT INTO FUNCTION file('%D/new','TSV','a String') SELECT 'x'",
	"INSERT INTO TABLE FUNCTION file('%D/new','TSV','a String') VALUES ('x')",
	"INSERT INTO FUNCTION url('%U','TSV','a String') SELECT 'x'",
	"INSERT INTO FUNCTION remote('%H','a.b') SELECT 1",
	// The function file, which reads any path.
	"SELECT file('%F')",
	"SELECT `file`('%F')",
	"SELECT \"file\"('%F')",
	"SELECT `\\x66ile`('%F')",
	"SELECT \"fil\\x65\"('%F')",
	"SELECT file/* */('%F')",
	"SELECT * APPLY(file) FROM (SELECT '%F')",
	"SELECT * APPLY file FROM (SELECT '%F')",
	"SELECT arrayMap(file, ['%F'])",
	"SELECT arrayMap(x -> file(x), ['%F'])",
	"/* /* */ ' */ SELECT file('%F') -- '",
	"SELECT $a$'$a$, file('%F'), '$a$'",
	"SELECT $$'$$, file('%F'), '",
	"SELECT \u2018'\u2019, file('%F'), \u2018'\u2019",
	"SELECT 'a''b\\'', file('%F')",
	"SELECT 1 WHERE file('%F') LIKE '1%'",
	"CREATE FUNCTION reads AS x -> file(x);;SELECT reads('%F')",
	"CREATE VIEW v1 AS SELECT file('%F');;SELECT * FROM v1",
	"CREATE TABLE t1 (a String DEFAULT file('%F')) ENGINE=Memory;;INSERT INTO t1 FORMAT TSV\n;;SELECT a FROM t1",
	// Settings that name a file or a URL, or hold an expression.
	"SELECT 1 AS a FORMAT Template SETTINGS format_template_row='%F'",
	"SELECT 1 AS a FORMAT Protobuf SETTINGS format_schema='%F:M'",
	"SELECT 1 SETTINGS additional_result_filter='fi' 'le(''%F'')'",
	"SELECT count() FROM system.one SETTINGS additional_table_filters={'system.one':'file(\\'%F\\')=\\'\\''}",
	"SET format_avro_schema_registry_url='%U'",
	// Table engines, databases, views.
	"CREATE TABLE t2 (a String) ENGINE=File(TSV,'%F')",
	"CREATE TABLE t3 (a String) ENGINE = `File`(TSV,'%F')",
	"CREATE TABLE t4 (a String) ENGINE=URL('%U','TSV');;SELECT * FROM t4",
	"CREATE TABLE t5 (a String) ENGINE=S3('%U/b/k','TSV');;SELECT * FROM t5",
	"CREATE TABLE t6 (a String) ENGINE=Kafka('%H','t','g','TSV')",
	"CREATE TABLE t7 (a String) ENGINE=MySQL('%H','a','b','c','d')",
	"CREATE TABLE t8 AS file('%F','LineAsString')",
	"CREATE TABLE t9 ENGINE=Memory AS SELECT * FROM file('%F','LineAsString')",
	"CREATE TABLE t10 (a String) ENGINE=Executable('id','TSV');;SELECT * FROM t10",
	"CREATE TABLE t11 (a Int8) ENGINE=MergeTree ORDER BY a SETTINGS disk=disk(type=local, path='%D/disk/')",
	"CREATE TABLE t12 (a Int8) ENGINE=MergeTree ORDER BY a SETTINGS disk=disk(type=web, endpoint='%U/')",
	"ATTACH TABLE t13 FROM '%D' (a String) ENGINE=File(TSV)",
	"CREATE VIEW v2 AS SELECT * FROM file('%F','LineAsString');;SELECT * FROM v2",
	"CREATE MATERIALIZED VIEW v3 REFRESH EVERY 1 HOUR ENGINE=Memory AS SELECT * FROM url('%U','LineAsString')",
	"CREATE DATABASE d1 ENGINE=Filesystem('%D')",
	"CREATE DATABASE d2 ENGINE=SQLite('%F')",
	"CREATE DATABASE d3 ENGINE=MySQL('%H','a','b','c')",
	"CREATE DATABASE d4 ENGINE=S3('%U/b')",
	// Dictionaries.
	"CREATE DICTIONARY c1 (id UInt64, v String) PRIMARY KEY id SOURCE(FILE(path '%F' format 'TSV')) " +
		"LAYOUT(FLAT()) LIFETIME(0)",
	"CREATE DICTIONARY c2 (id UInt64, v String) PRIMARY KEY id SOURCE(HTTP(url '%U' format 'TSV')) " +
		"LAYOUT(FLAT()) LIFETIME(0);;SELECT v FROM c2",
	"CREATE OR REPLACE DICTIONARY c3 (id UInt64, v String) PRIMARY KEY id " +
		"SOURCE(EXECUTABLE(command 'echo 1; id' format 'TSV')) LAYOUT(FLAT()) LIFETIME(0);;SELECT v FROM c3",
	"CREATE DICTIONARY c4 (id UInt64, v String) PRIMARY KEY id SOURCE(`executable`(command 'id' format 'TSV')) " +
		"LAYOUT(FLAT()) LIFETIME(0);;SELECT v FROM c4",
	"CREATE DICTIONARY c5 (id UInt64, v String) PRIMARY KEY id SOURCE /**/ (/**/ HTTP(url '%U' format 'TSV')) " +
		"LAYOUT(FLAT()) LIFETIME(0);;SELECT v FROM c5",
	"CREATE DICTIONARY c6 (id UInt64, v String) PRIMARY KEY id SOURCE(CLICKHOUSE(host '127.0.0.1' port %P table 'x')) " +
		"LAYOUT(FLAT()) LIFETIME(0);;SELECT v FROM c6",
	"CREATE DICTIONARY c7 (id UInt64, v String) PRIMARY KEY id SOURCE(CLICKHOUSE(\"host\" '127.0.0.1' port %P)) " +
		"LAYOUT(FLAT()) LIFETIME(0);;SELECT v FROM c7",
	"CREATE DICTIONARY c8 (id UInt64, v String) PRIMARY KEY id " +
		"SOURCE(CLICKHOUSE(query 'SELECT 1, fi' 'le(''%F'')')) LAYOUT(FLAT()) LIFETIME(0);;SELECT v FROM c8",
	"CREATE DICTIONARY c9 (id UInt64, v String DEFAULT $a$'$a$) PRIMARY KEY id SOURCE(HTTP(url '%U' format 'TSV')) " +
		"LAYOUT(FLAT()) LIFETIME(0) COMMENT 'SOURCE(CLICKHOUSE(TABLE t))'",
	"CREATE DICTIONARY c10 (id UInt64, v String) PRIMARY KEY id SOURCE(REDIS(host '127.0.0.1' port %P)) " +
		"LAYOUT(FLAT()) LIFETIME(0)",
	"CREATE TABLE t14 (a Int8) ENGINE=Memory PARALLEL WITH CREATE DICTIONARY c11 (id UInt64, v String) " +
		"PRIMARY KEY id SOURCE(HTTP(url '%U' format 'TSV')) LAYOUT(FLAT()) LIFETIME(0);;SELECT v FROM c11",
	// Named collections, backups, clients' files.
	"CREATE NAMED COLLECTION n1 AS url='%U'",
	"BACKUP DATABASE default TO File('%D/backup')",
	"RESTORE TABLE t FROM File('%D/backup')",
	"SELECT 1 INTO OUTFILE '%D/out'",
	"SELECT 1 INTO /* */ OUTFILE '%D/out' APPEND",
	"INSERT INTO t FROM INFILE '%F' FORMAT TSV",
}

// TestReaderGivesNoColumnLists: the column list of a table function is SQL in a string.
func TestReaderGivesNoColumnLists(t *testing.T) {
	for _, statement := range []string{
		`SELECT * FROM format(JSONEachRow, 'a String, b String DEFAULT file(\'/etc/hostname\')', '{"a":"x"}')`,
		`SELECT * FROM format(JSONEachRow, 'a String, b String DEFAULT \x66ile(\'/etc/hostname\')', '{"a":"x"}')`,
		`SELECT * FROM format(JSONEachRow, concat('a String, b String DEFAULT fi', 'le(\'/etc/hostname\')'), '{"a":"x"}')`,
		`SELECT a, b FROM generateRandom('a String, b String ALIAS fi' || 'le(\'/etc/hostname\')') LIMIT 1`,
		"SELECT a FROM `generateRandom`('a String ALIAS file(1)') LIMIT 1",
		`SELECT b FROM null('a String, b String ALIAS file(1)')`,
		`SELECT * FROM values('a String, b String DEFAULT file(1)', 'x')`,
	} {
		if _, answer, _ := post(t, "user="+chdb.ReadOnlyUser, statement); !strings.HasPrefix(answer, "Code: 497.") {
			t.Errorf("%s: %s", statement, answer)
		}
	}
}

// TestOrdinaryStatementsPass: what looks like a way out and is none.
func TestOrdinaryStatementsPass(t *testing.T) {
	in := "database=" + database(chdbtest.Start(t))
	for _, statement := range []string{
		"SELECT 'file(''/etc/passwd'')' -- file('x') $a$",
		"SELECT 1 /* file('x') /* nested */ DICTIONARY SOURCE(HTTP()) */",
		"SELECT 'é ‘quoted’ $a$' AS `é`",
		"CREATE TABLE t (id UInt64, source String, profile String) ENGINE=MergeTree ORDER BY id",
		"INSERT INTO t SELECT number, 'é', '' FROM numbers(10)",
		"CREATE DICTIONARY d (id UInt64, source String) PRIMARY KEY id SOURCE(CLICKHOUSE(DB '" +
			strings.TrimPrefix(in, "database=") + "' TABLE 't')) LAYOUT(FLAT()) LIFETIME(0)",
		"SELECT dictGet('d', 'source', toUInt64(1))",
		"SELECT count() FROM merge('^t$') AS a, numbers(2) AS b, view(SELECT 1) AS c",
	} {
		if status, answer, _ := post(t, in, statement); status != http.StatusOK {
			t.Errorf("%s: %s", statement, answer)
		}
	}
}
