package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

	quotedFile = regexp.MustCompile("`([\\w.*-][\\w./*-]*(?:\\.(?:go|ts|js|sql|csv|sh|proto|txt|md|ya?ml)|/))`")
	quotedName = regexp.MustCompile("`(?:\\w+\\.)?(\\w*[a-z][A-Z]\\w*)(?:\\(\\))?`")
	testRun    = regexp.MustCompile(`go test ((?:-\S+ (?:proof )?)*)((?:\./[\w/]+ )+)-run '?([\w|\\]+)`)
	spaces     = regexp.MustCompile(`\s+`)
)

// foreign are flags of kong itself and of others' programs: docker compose, kafka-topics,
// kafka-configs, clickhouse, curl, wget, npm, stripe listen, and the images' own.
const foreign = " help add-config alter ask-password bootstrap-server config data-binary database detach entity-name entity-type multiquery " +
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

// elsewhere are names in documents that others' programs, and what they are asked for, have.
const elsewhere = " x/ script.outbound-domains.js test/ LeaveGroupContext PrimaryKeyExpand uniqHLL12 "

// Every file, every name of the code and every test that a document names is there, and the command
// has the build tag that the test needs.
func TestNamesOfDocuments(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	documents, words := make(map[string]string), make(map[string]bool)
	tests, proofs := make(map[string][]string), make(map[string][]string) // of a package's directory
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".md", ".go", ".ts", ".sql":
		default:
			return nil
		}
		text, err := os.ReadFile(path)
		if filepath.Ext(path) == ".md" {
			if entry.Name() != "CHANGELOG.md" {
				documents[path] = spaces.ReplaceAllString(string(text), " ")
			}
			return err
		}
		into, head := tests, string(text[:min(len(text), 100)])
		if strings.HasPrefix(head, "//go:build ") && strings.Contains(head, "proof") {
			into = proofs
		}
		for word := range strings.FieldsFuncSeq(string(text), notInName) {
			words[word] = true
			if strings.HasPrefix(word, "Test") || strings.HasPrefix(word, "Fuzz") {
				into[filepath.Dir(path)] = append(into[filepath.Dir(path)], word)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for path, text := range documents {
		for _, m := range quotedFile.FindAllStringSubmatch(text, -1) {
			found++
			if !isNamed(filepath.Dir(path), root, m[1]) && !strings.Contains(elsewhere, " "+m[1]+" ") {
				t.Errorf("%s names the file %s, which is not there", path, m[1])
			}
		}
		for _, m := range testRun.FindAllStringSubmatch(text, -1) {
			for pattern := range strings.SplitSeq(strings.ReplaceAll(m[3], `\`, ""), "|") {
				found++
				is := func(test string) bool { return strings.Contains(test, pattern) }
				for directory := range strings.FieldsSeq(m[2]) {
					there := tests[filepath.Join(root, directory)]
					if strings.Contains(m[1], "-tags proof ") {
						there = append(slices.Clone(there), proofs[filepath.Join(root, directory)]...)
					}
					if !slices.ContainsFunc(there, is) {
						t.Errorf("%s names a test %s of %s, which that command does not run", path, pattern, directory)
					}
				}
			}
		}
		if filepath.Base(path) != "DESIGN.md" {
			continue // other documents name what the programs of others have
		}
		for _, m := range quotedName.FindAllStringSubmatch(text, -1) {
			found++
			if !words[m[1]] && !strings.Contains(elsewhere, " "+m[1]+" ") {
				t.Errorf("%s names %s, which no code does", path, m[1])
			}
		}
	}
	if found < 500 {
		t.Errorf("%d names are found, too few to be all", found)
	}
}

func notInName(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// isNamed reports whether a file is where a document in directory names it: beside the document, in
// a directory above it, or, by a name alone, anywhere below.
func isNamed(directory, root, name string) bool {
	for at := directory; ; at = filepath.Dir(at) {
		if there, err := filepath.Glob(filepath.Join(at, name)); err == nil && len(there) > 0 {
			return true
		}
		if at == root {
			break
		}
	}
	below, found := strings.TrimSuffix(name, "/"), false
	err := filepath.WalkDir(directory, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == below {
			found = true
			return filepath.SkipAll
		}
		return err
	})
	return found && err == nil
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
