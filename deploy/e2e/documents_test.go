package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	// A field of kong's is a flag of its own name, or of the tag's.
	flagField = regexp.MustCompile("(?m)^\\s+(\\w+)(?:\\s+[\\w.\\[\\]*]+)?\\s+`([^`]*(?:help|name|hidden):\"[^`]*)`")
	flagName  = regexp.MustCompile(`\bname:"([^"]+)"`)
	mentioned = regexp.MustCompile(`(?:^|[^\w-])--([a-z][a-z0-9-]+)`)
	hint      = regexp.MustCompile(`\(hint: [^)]*`)
)

// foreign are flags of kong itself and of others' programs: docker compose, kafka-topics.sh,
// clickhouse, curl, wget, npm, stripe listen, and the images' own.
const foreign = " help alter ask-password bootstrap-server config data-binary database detach multiquery " +
	"package-lock-only param partitions print-secret queries-file query quiet rm spider storage system user "

// Every flag that a document, a manifest or a hint names is one that a program has.
func TestFlagsOfDocuments(t *testing.T) {
	flags, documents := make(map[string]bool), make(map[string]string)
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if strings.HasPrefix(name, ".") && name != ".." || name == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(name) {
		case ".go", ".md", ".yaml", ".yml", ".service", ".example":
		default:
			return nil
		}
		text, err := os.ReadFile(path)
		switch {
		case err != nil || name == "CHANGELOG.md" || strings.HasSuffix(name, "_test.go"):
		case filepath.Ext(name) == ".go":
			for _, field := range flagField.FindAllStringSubmatch(string(text), -1) {
				flag := kebab(field[1])
				if given := flagName.FindStringSubmatch(field[2]); given != nil {
					flag = given[1]
				}
				flags[flag] = true
			}
			documents[path] = strings.Join(hint.FindAllString(string(text), -1), "\n")
		default:
			documents[path] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for path, text := range documents {
		for _, m := range mentioned.FindAllStringSubmatch(text, -1) {
			found++
			if !flags[m[1]] && !strings.Contains(foreign, " "+m[1]+" ") {
				t.Errorf("%s names --%s, which no program has", path, m[1])
			}
		}
	}
	if len(flags) < 100 || found < 100 {
		t.Errorf("%d flags and %d mentions are found, too few to be all", len(flags), found)
	}
}

// kebab returns the flag that kong makes of a field's name: FXSource is fx-source.
func kebab(field string) string {
	var out strings.Builder
	runes := []rune(field)
	for i, r := range runes {
		word := i > 0 && unicode.IsUpper(r) &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if word {
			out.WriteByte('-')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
