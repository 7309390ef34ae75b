package chdb

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Users of the HTTP interface. Both are sessions of the engine's one user, which may read and write
// tables and nothing outside them; see [Engine.confine].
const (
	// ProgramUser may read and write.
	ProgramUser = "default"
	// ReadOnlyUser may not change anything (readonly=2).
	ReadOnlyUser = "readonly"
)

// WithPasswords makes the HTTP interface ask for a password: one of [ProgramUser], one of
// [ReadOnlyUser]. No other user exists then. Without this option no password is asked, and every
// name but [ReadOnlyUser] may write.
func WithPasswords(program, readOnly string) Option {
	return func(e *Engine) { e.passwords = map[string]string{ProgramUser: program, ReadOnlyUser: readOnly} }
}

// credentials are the user and password of a request.
type credentials struct{ user, password string }

// readCredentials takes both from the same place, in the order of a server: the URL, ClickHouse's
// own headers, HTTP basic authentication.
func readCredentials(r *http.Request, values url.Values) credentials {
	name, password, basic := r.BasicAuth()
	switch {
	case values.Has("user") || values.Has("password"):
		return credentials{values.Get("user"), values.Get("password")}
	case r.Header.Get("X-ClickHouse-User") != "" || r.Header.Get("X-ClickHouse-Key") != "":
		return credentials{r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")}
	case basic:
		return credentials{name, password}
	default:
		return credentials{}
	}
}

// authenticate returns AUTHENTICATION_FAILED unless the password is the user's. Unknown users and
// wrong passwords take the same time and get the same answer.
func (e *Engine) authenticate(c credentials) error {
	if e.passwords == nil {
		return nil
	}
	user := c.user
	if user == "" {
		user = ProgramUser
	}
	wanted, known := e.passwords[user]
	given, right := sha256.Sum256([]byte(c.password)), sha256.Sum256([]byte(wanted))
	if equal := subtle.ConstantTimeCompare(given[:], right[:]) == 1; known && wanted != "" && equal {
		return nil
	}
	return exceptionf(codeAuthenticationFailed, "%s: Authentication failed: password is incorrect, or there is no "+
		"user with such name (hint: make run prints the reader's; both are in secrets.json of the data directory). "+
		"(AUTHENTICATION_FAILED)", user)
}

// grants is everything that the engine's user may do. READ and WRITE ON FILE, URL, REMOTE, S3 and
// the other sources (https://clickhouse.com/docs/sql-reference/statements/grant#source) are not
// among it. So the engine itself refuses table functions, table engines and databases that reach
// outside, however they are written. It refuses BACKUP, named collections and user management too.
//
// [WithKafka] adds the one source that a measurement needs.
const grants = "GRANT SHOW, SELECT, INSERT, CHECK, ALTER, CREATE, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, KILL QUERY, " +
	"SYSTEM, dictGet ON *.*"

// fixedSettings cannot be changed: they read a file, fetch a URL, or hold SQL in a string, where
// refuseOutside does not see it.
var fixedSettings = []string{
	"additional_result_filter", "additional_table_filters", "allow_experimental_ai_functions",
	"allow_experimental_eval_table_function", "format_avro_schema_registry_url", "format_schema",
	"format_schema_source", "format_template_resultset", "format_template_row", "parallel_replicas_custom_key",
	"schema_inference_hints",
}

// WithKafka lets the engine's user make tables of the Kafka engine, which read from brokers: for
// measurements beside ClickHouse's own loading. Nothing that people reach is opened with it.
func WithKafka() Option {
	return func(e *Engine) { e.grants = strings.Replace(grants, "dictGet", "dictGet, KAFKA", 1) }
}

// WithUsers takes the place of the users.xml by which [Engine.confine] limits the engine's one
// user, default: for tests of what a role may do. It must define the profile, the user and the
// quota of this name (https://clickhouse.com/docs/operations/settings/settings-users).
func WithUsers(usersXML string) Option { return func(e *Engine) { e.usersXML = usersXML } }

// confine writes the configuration by which the engine reaches nothing but its data directory, and
// returns the argument that names it.
func (e *Engine) confine() (argument string, err error) {
	var fixed strings.Builder
	for _, name := range fixedSettings {
		fmt.Fprintf(&fixed, "<%s><const/></%s>", name, name)
	}
	config, users := filepath.Join(e.dataDir, "config.xml"), filepath.Join(e.dataDir, "users.xml")
	more := ""
	if e.configuration != "" {
		more = "<query>GRANT TABLE ENGINE ON Distributed, TABLE ENGINE ON KeeperMap</query>"
	}
	fill := strings.NewReplacer("MORE", more, "DIRECTORY", escapeXML(e.dataDir), "USERS", escapeXML(users),
		"GRANTS", e.grants, "FIXED", fixed.String(), "CONFIGURATION", e.configuration)
	for path, text := range map[string]string{config: configXML, users: cmp.Or(e.usersXML, usersXML)} {
		if err := os.WriteFile(path, []byte(fill.Replace(text)), 0o600); err != nil {
			return "", fmt.Errorf("write configuration: %w", err)
		}
	}
	return "--config-file=" + config, nil
}

const configXML = `<clickhouse>
  <users_config>USERS</users_config>
  <user_files_path>DIRECTORY/user_files/</user_files_path>
  <user_scripts_path>DIRECTORY/user_scripts/</user_scripts_path>
  <format_schema_path>DIRECTORY/format_schemas/</format_schema_path>
  CONFIGURATION
</clickhouse>
`

const usersXML = `<clickhouse>
  <profiles><default><constraints>FIXED</constraints></default></profiles>
  <users>
    <default>
      <password/>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants><query>GRANTS</query>MORE</grants>
    </default>
  </users>
  <quotas><default/></quotas>
</clickhouse>
`

func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
