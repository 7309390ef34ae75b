package chdb

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// PathVariable names the environment variable that gives the path of libchdb
// and so overrides every other place [Find] looks at.
const PathVariable = "TRIBUTARY_LIBCHDB"

// ErrNotInstalled is returned by [Find] when libchdb is nowhere to be found.
// Its text tells the user what to do.
var ErrNotInstalled = errors.New("libchdb, the embedded ClickHouse engine, is not installed: run `make tools`, or set " + PathVariable + " to the path of libchdb.so")

// Find returns the path of libchdb. It looks at $TRIBUTARY_LIBCHDB, then at
// .tools/node_modules/@chdb/lib-<platform>/libchdb.so in the working directory
// and in each parent up to the one that holds go.mod, then in the user's cache
// directory under tributary/. The error is [ErrNotInstalled], or says that the
// environment variable points at nothing.
func Find() (path string, err error) {
	if p := os.Getenv(PathVariable); p != "" {
		if !isFile(p) {
			return "", errors.New(PathVariable + " is set to " + p + ", which is not a file: correct it, or unset it and run `make tools`")
		}
		return p, nil
	}
	inside := filepath.Join("node_modules", "@chdb", "lib-"+platform(), "libchdb.so")
	if dir, err := os.Getwd(); err == nil {
		for {
			if p := filepath.Join(dir, ".tools", inside); isFile(p) {
				return p, nil
			}
			parent := filepath.Dir(dir)
			if isFile(filepath.Join(dir, "go.mod")) || parent == dir {
				break
			}
			dir = parent
		}
	}
	if cache, err := os.UserCacheDir(); err == nil {
		base := filepath.Join(cache, "tributary")
		for _, p := range []string{filepath.Join(base, inside), filepath.Join(base, "libchdb.so")} {
			if isFile(p) {
				return p, nil
			}
		}
	}
	return "", ErrNotInstalled
}

// platform is the suffix of the npm package that carries libchdb for this
// system, as the npm package "chdb" lists them: linux-x64-gnu,
// linux-arm64-gnu, darwin-arm64, darwin-x64.
func platform() string {
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	if runtime.GOOS == "linux" {
		return "linux-" + arch + "-gnu"
	}
	return runtime.GOOS + "-" + arch
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
