//go:build unix

package apache

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // jars.sha256
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"tributary/deploy/tools"
)

// Versions of what is installed from Maven Central. Pinned, so that a test means the same today and
// in a year.
const (
	Version        = "4.3.0" // of org.apache.kafka:kafka_2.13
	loggingVersion = "2.24.3"
)

// ErrMissing is the error if a program is not on the PATH without which no broker can be installed
// or run. A test skips on it.
var ErrMissing = errors.New("no real Kafka without it")

// sums are the checksums of every jar that is installed, in the form of sha256sum. When a version
// above changes: install it elsewhere and write the file with sha256sum *.jar, after reading what
// changed.
//
//go:embed jars.sha256
var sums string

// Dir is where Install keeps the brokers' jars: kafka/ in this project's .tools directory (see
// [tools.Dir]), else in the user's cache directory.
func Dir() (string, error) {
	if dir, err := tools.Dir(); err == nil {
		return filepath.Join(dir, "kafka"), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for Kafka: %w", err)
	}
	return filepath.Join(cache, "tributary", "kafka"), nil
}

// Install fetches Apache Kafka into dir, some 45 MB by Maven, unless it is there, and returns the
// class path of its jars. Their checksums must be those of jars.sha256. An error that is ErrMissing
// names the program that is missing and how to get it.
func Install(ctx context.Context, dir string) (classpath string, err error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", fmt.Errorf("install Kafka: java is not on the PATH (apt-get install default-jre-headless, or brew "+
			"install openjdk): %w", ErrMissing)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("install Kafka: %w", err)
	}
	libs := filepath.Join(dir, Version)
	classpath = filepath.Join(libs, "*")
	if _, err := os.Stat(libs); err == nil {
		return classpath, nil
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return "", fmt.Errorf("install Kafka: mvn is not on the PATH (apt-get install maven, or brew install maven): %w",
			ErrMissing)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("install Kafka: %w", err)
	}
	// Into a directory that is renamed when it is complete: half of the jars are then never used.
	work, err := os.MkdirTemp(dir, "unfinished-")
	if err != nil {
		return "", fmt.Errorf("install Kafka: %w", err)
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), pom(), 0o644); err != nil {
		return "", fmt.Errorf("install Kafka: %w", err)
	}
	fetched := filepath.Join(work, "libs")
	mvn := exec.CommandContext(ctx, "mvn", "--batch-mode", "--quiet", "--file", filepath.Join(work, "pom.xml"),
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+fetched)
	mvn.Dir = work
	if said, err := mvn.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install Kafka by mvn dependency:copy-dependencies: %w (does Maven reach its repository?)\n%s",
			err, bytes.TrimSpace(said))
	}
	if jars, _ := filepath.Glob(filepath.Join(fetched, "kafka_*-"+Version+".jar")); len(jars) == 0 {
		return "", fmt.Errorf("install Kafka: mvn ended well, and there is no kafka_*-%s.jar in %s", Version, fetched)
	}
	if err := check(fetched, sums); err != nil {
		return "", fmt.Errorf("install Kafka: %w", err)
	}
	if err := os.Rename(fetched, libs); err != nil {
		if _, there := os.Stat(libs); there == nil {
			return classpath, nil // another test process was faster
		}
		return "", fmt.Errorf("install Kafka: %w", err)
	}
	return classpath, nil
}

// check returns an error unless the files of a directory are exactly those that the checksums name.
func check(dir, sums string) error {
	want := make(map[string]string)
	for line := range strings.Lines(sums) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		want[name] = sum
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(content)); got != want[f.Name()] {
			return fmt.Errorf("%s has the SHA-256 %s and not %q of jars.sha256: it is not what was tested",
				f.Name(), got, want[f.Name()])
		}
		delete(want, f.Name())
	}
	for name := range want {
		return fmt.Errorf("%s was not fetched", name)
	}
	return nil
}

// pom names the broker and a backend for its log.
func pom() []byte {
	type dependency struct {
		GroupID    string `xml:"groupId"`
		ArtifactID string `xml:"artifactId"`
		Version    string `xml:"version"`
	}
	text, err := xml.MarshalIndent(struct {
		XMLName      xml.Name     `xml:"http://maven.apache.org/POM/4.0.0 project"`
		ModelVersion string       `xml:"modelVersion"`
		GroupID      string       `xml:"groupId"`
		ArtifactID   string       `xml:"artifactId"`
		Version      string       `xml:"version"`
		Packaging    string       `xml:"packaging"`
		Dependencies []dependency `xml:"dependencies>dependency"`
	}{
		ModelVersion: "4.0.0", GroupID: "tributary", ArtifactID: "brokers", Version: "1", Packaging: "pom",
		Dependencies: []dependency{
			{"org.apache.kafka", "kafka_2.13", Version},
			{"org.apache.logging.log4j", "log4j-slf4j-impl", loggingVersion},
		},
	}, "", "  ")
	if err != nil {
		panic(err) // a struct of strings is always XML
	}
	return append([]byte(strings.TrimSpace(xml.Header)+"\n"), append(text, '\n')...)
}
