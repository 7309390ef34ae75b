package access

import (
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"tributary/deploy/local/chdb"
	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql"
)

const database = "tributary"

// site is a data directory of the embedded engine, which is opened in one role after the other.
type site struct {
	t       *testing.T
	library string
	data    string
	address string // of the engine that is open
}

func newSite(t *testing.T) *site {
	t.Helper()
	library, err := chdb.Find()
	if err != nil {
		if os.Getenv(chdbtest.RequireVariable) == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return &site{t: t, library: library, data: t.TempDir()}
}

// open opens the engine in a role, "" for its administrator, until the returned function is called.
// The engine keeps users in a file only, so the statements that make a role are given to its one
// user. Without quotas that user may ask as often as a test wants.
func (s *site) open(role string, quotas bool) (closing func()) {
	s.t.Helper()
	var options []chdb.Option
	if role != "" {
		options = append(options, chdb.WithUsers(usersXML(s.t, role, quotas)))
	}
	engine, err := chdb.Open(s.library, s.data, options...)
	if err != nil {
		s.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	server := &http.Server{Handler: engine.Handler()}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	s.address = listener.Addr().String()
	return func() {
		_ = server.Close()
		<-served
		if err := engine.Close(); err != nil {
			s.t.Error(err)
		}
	}
}

// ask runs a statement and returns the answer; parameters are of a question.
func (s *site) ask(statement string, parameters url.Values) (string, error) {
	values := url.Values{"database": {database}}
	for name, list := range parameters {
		values["param_"+name] = list
	}
	response, err := http.Post("http://"+s.address+"/?"+values.Encode(), "text/plain", strings.NewReader(statement))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", statement, body)
	}
	return strings.TrimSpace(string(body)), err
}

// may runs statements that the role may execute.
func (s *site) may(statements ...string) {
	s.t.Helper()
	for _, statement := range statements {
		if _, err := s.ask(statement, nil); err != nil {
			s.t.Error(err)
		}
	}
}

// refused are the errors by which ClickHouse says that somebody may not do something.
var refused = regexp.MustCompile(`ACCESS_DENIED|READONLY|SETTING_CONSTRAINT_VIOLATION|` +
	`ACCESS_STORAGE_FOR_INSERTION_NOT_FOUND|INTO_OUTFILE_NOT_ALLOWED`)

// mayNot runs statements that the role may not execute.
func (s *site) mayNot(statements ...string) {
	s.t.Helper()
	for _, statement := range statements {
		answer, err := s.ask(statement, nil)
		if err == nil {
			s.t.Errorf("%s: answered %q, want that it is refused", statement, answer)
		} else if !refused.MatchString(err.Error()) {
			s.t.Errorf("want that it is refused, and it fails otherwise: %v", err)
		}
	}
}

func (s *site) want(statement, want string) {
	s.t.Helper()
	if got, err := s.ask(statement, nil); err != nil || got != want {
		s.t.Errorf("%s\nanswers %q, want %q (%v)", statement, got, want, err)
	}
}

var (
	rights  = regexp.MustCompile(`(?s)^((?:GRANT|REVOKE) .*)\s(?:TO|FROM) tributary_(\w+)(?: WITH REPLACE OPTION)?$`)
	profile = regexp.MustCompile(`(?s)^CREATE SETTINGS PROFILE OR REPLACE tributary_\w+ SETTINGS(.*)TO tributary_(\w+)$`)
	setting = regexp.MustCompile(`(\w+) = '?([\w.]+)'?(?: (CONST)| MIN (\w+) MAX (\w+))?`)
	quota   = regexp.MustCompile(`(?s)^CREATE QUOTA OR REPLACE tributary_\w+ KEYED BY user_name(.*)TO tributary_(\w+)$`)
	limit   = regexp.MustCompile(`FOR INTERVAL 1 (minute|hour) MAX (\w+) = (\d+)`)
	policy  = regexp.MustCompile(`(?s)^CREATE ROW POLICY OR REPLACE tributary_\w+ ON tributary\.(\w+)\s+` +
		`USING (.*) TO tributary_(\w+)$`)
)

// engineItself is what the embedded engine does in the name of a user beside what it is asked: it
// reads back what was inserted, for which the user then sees the names of all tables; and a test
// reads the quota.
var engineItself = map[string]string{
	"migrator": "<query>GRANT CHECK ON *.*</query>", "writer": "<query>GRANT CHECK ON *.*</query>",
	"affiliate": "<query>GRANT SHOW QUOTAS ON *.*</query>",
}

// usersXML returns the configuration of an engine whose user has the rights, the settings, the row
// policies and, if asked for, the quota of a role. What the engine cannot show: settings of one's
// own (SQL_…), for which their values stand in the policies; readonly = 1, because it names its
// sessions by a setting; and that system tables such as system.errors need a right of their own, as
// on a server with ClickHouse's own configuration.
func usersXML(t *testing.T, role string, withQuota bool) string {
	t.Helper()
	statements, err := sql.Layout{Database: database}.Access(false)
	if err != nil {
		t.Fatal(err)
	}
	var grants, settings, constraints, quotas, policies strings.Builder
	used := 0
	for _, statement := range statements {
		if m := rights.FindStringSubmatch(statement); m != nil && m[2] == role {
			used++
			fmt.Fprintf(&grants, "<query>%s</query>", escape(m[1]))
		} else if m := profile.FindStringSubmatch(statement); m != nil && m[2] == role {
			used++
			for _, s := range setting.FindAllStringSubmatch(strings.Replace(m[1], "readonly = 1", "readonly = 2", 1), -1) {
				fmt.Fprintf(&settings, "<%[1]s>%[2]s</%[1]s>", s[1], s[2])
				switch {
				case s[3] != "":
					fmt.Fprintf(&constraints, "<%[1]s><const/></%[1]s>", s[1])
				case s[4] != "":
					fmt.Fprintf(&constraints, "<%[1]s><min>%[2]s</min><max>%[3]s</max></%[1]s>", s[1], s[4], s[5])
				}
			}
		} else if m := quota.FindStringSubmatch(statement); m != nil && m[2] == role {
			if used++; !withQuota {
				continue
			}
			for _, l := range limit.FindAllStringSubmatch(m[1], -1) {
				fmt.Fprintf(&quotas, "<interval><duration>%d</duration><%[2]s>%[3]s</%[2]s></interval>",
					map[string]int{"minute": 60, "hour": 3600}[l[1]], l[2], l[3])
			}
		} else if m := policy.FindStringSubmatch(statement); m != nil && m[3] == role {
			used++
			filter := strings.NewReplacer("getSetting('SQL_workspace')", "'acme'", "getSetting('SQL_affiliate')", "'ann'").
				Replace(m[2])
			fmt.Fprintf(&policies, "<%[1]s><filter>%[2]s</filter></%[1]s>", m[1], escape(filter))
		} else if strings.Contains(statement, database+"_"+role) && !strings.HasPrefix(statement, "CREATE ROLE") &&
			!strings.Contains(statement, "TO ALL EXCEPT") {
			t.Fatalf("this test does not know what to do with\n%s", statement)
		}
	}
	if used == 0 {
		t.Fatalf("there is no role %s", role)
	}
	return `<clickhouse>
  <profiles><default>` + settings.String() + `<constraints>` + constraints.String() + `</constraints>
  </default></profiles>
  <users><default><password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    <grants>` + grants.String() + engineItself[role] + `</grants>
    <databases><tributary>` + policies.String() + `</tributary></databases>
  </default></users>
  <quotas><default>` + quotas.String() + `</default></quotas>
</clickhouse>`
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(strings.Join(strings.Fields(text), " "))) // a Builder takes everything
	return b.String()
}

// ClickHouse's own parser takes every statement, in each layout, and on several servers each is for
// all of them.
func testSyntax(s *site) {
	for _, layout := range []sql.Layout{
		{Database: database}, {Kind: sql.Cloud, Database: database},
		{Kind: sql.Cluster, Database: database, Cluster: "main"}, {Kind: sql.ReplicatedDatabase, Database: database},
	} {
		statements, err := layout.Access(true)
		if err != nil {
			s.t.Fatal(err)
		}
		everywhere := layout.Kind == sql.Cluster || layout.Kind == sql.ReplicatedDatabase
		for _, statement := range statements {
			s.may("EXPLAIN AST " + statement)
			if strings.Contains(statement, " ON CLUSTER `") != everywhere {
				s.t.Errorf("%s: %s", layout.Kind, statement)
			}
		}
		if len(statements) < 20 {
			s.t.Errorf("%s: only %d statements", layout.Kind, len(statements))
		}
	}
}
