package sql

import (
	"embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed access/*.sql
var access embed.FS

// roles are the files of access/ in the order in which they are executed.
var roles = []string{"migrator", "writer", "dashboard", "analyst", "affiliate"}

var (
	// accessHead is what comes before ON CLUSTER in the statements of access/.
	accessHead = regexp.MustCompile(`^(?:GRANT|REVOKE|CREATE (?:ROLE|RESOURCE|WORKLOAD) IF NOT EXISTS \w+|` +
		`CREATE (?:SETTINGS PROFILE|QUOTA|ROW POLICY) OR REPLACE \w+|ALTER SETTINGS PROFILE \w+)`)
	plainName = regexp.MustCompile(`^[A-Za-z_]\w*$`)
)

// Access returns the statements that create the roles of a database with their rights, settings
// profiles, quotas and row policies, as a layout's administrator executes them; with workloads also
// those that share out the server's cores. To execute them again replaces what a role had before.
func (l Layout) Access(workloads bool) ([]string, error) {
	if !plainName.MatchString(l.Database) {
		return nil, fmt.Errorf("the roles of database %q cannot be named after it (hint: use letters, digits and _)",
			l.Database)
	}
	files := roles
	if workloads {
		files = append(files[:len(files):len(files)], "workloads")
	}
	var statements []string
	for _, file := range files {
		text, err := access.ReadFile("access/" + file + ".sql")
		if err != nil {
			return nil, fmt.Errorf("read roles: %w", err)
		}
		names := strings.NewReplacer("{database}", l.Database, "{pinned}", pinnedOfProfile())
		for _, statement := range split(names.Replace(string(text))) {
			head := accessHead.FindString(statement)
			if head == "" {
				return nil, fmt.Errorf("access/%s.sql: %s: %w", file, statement, ErrNotRendered)
			}
			statements = append(statements, head+l.databaseOnCluster()+strings.TrimPrefix(statement, head))
		}
	}
	return statements, nil
}
