package chdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"tributary/deploy/tools"
)

// pathVariable names the environment variable that holds the path of libchdb and so overrides
// every other place [Find] looks at.
const pathVariable = "TRIBUTARY_LIBCHDB"

// ErrNotInstalled is returned by [Find] when libchdb is nowhere to be found.
// Its text says what to do.
var ErrNotInstalled = errors.New("libchdb, the embedded ClickHouse engine, is not installed " +
	"(hint: run make tools, or set " + pathVariable + " to the path of libchdb.so)")

// Find returns the path of libchdb. It looks at $TRIBUTARY_LIBCHDB, then at
// node_modules/@chdb/lib-<platform>/libchdb.so in this project's .tools directory (see
// [tools.Dir]), then in the user's cache directory under tributary/. The error is
// [ErrNotInstalled], wraps [tools.ErrNotTrusted], or says that the environment variable points at
// nothing.
func Find() (path string, err error) {
	if p := os.Getenv(pathVariable); p != "" {
		if !isFile(p) {
			return "", fmt.Errorf("%s is set to %s, which is not a file "+
				"(hint: correct it, or unset it and run make tools)", pathVariable, p)
		}
		return p, nil
	}
	inside := filepath.Join("node_modules", "@chdb", "lib-"+platform(), "libchdb.so")
	var candidates []string
	refused := ErrNotInstalled
	switch dir, err := tools.Dir(); {
	case err == nil:
		candidates = append(candidates, filepath.Join(dir, inside))
	case errors.Is(err, tools.ErrNotTrusted):
		refused = fmt.Errorf("find libchdb, the embedded ClickHouse engine: %w", err)
	}
	if cache, err := os.UserCacheDir(); err == nil {
		base := filepath.Join(cache, "tributary")
		candidates = append(candidates, filepath.Join(base, inside), filepath.Join(base, "libchdb.so"))
	}
	for _, p := range candidates {
		if !isFile(p) {
			continue
		}
		if err := tools.Trust(p); err != nil {
			refused = fmt.Errorf("find libchdb, the embedded ClickHouse engine: %w", err)
			continue
		}
		return p, nil
	}
	return "", refused
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
