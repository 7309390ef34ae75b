package chdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// defaultMinFreeBytes is the free disk space in bytes below which writing is
// refused, unless [WithMinFreeBytes] says otherwise.
const defaultMinFreeBytes = 256 << 20

// ErrAlreadyOpen is returned by [Open] while the process has an engine open.
var ErrAlreadyOpen = errors.New("open chdb: this process already has an engine open, and libchdb allows one")

// Option changes how [Open] sets an engine up.
type Option func(*Engine)

// WithMinFreeBytes sets the free disk space in bytes below which writing is
// refused with NOT_ENOUGH_SPACE (243).
func WithMinFreeBytes(n uint64) Option { return func(e *Engine) { e.minFree = n } }

// WithConfiguration adds elements of a server's configuration
// (https://clickhouse.com/docs/operations/configuration-files), for tests: clusters, so that
// Distributed tables can be made and queries of them analysed, macros, or a Keeper. The engine's
// user may then also make tables of the engines Distributed and KeeperMap.
func WithConfiguration(elements string) Option { return func(e *Engine) { e.configuration = elements } }

// WithoutReadBack acknowledges inserts without reading their parts back, as a ClickHouse server
// does: for measurements. An insert into a full or broken disk may then be lost without an error.
func WithoutReadBack() Option { return func(e *Engine) { e.unread = true } }

// Engine is an open ClickHouse engine with its data directory. Its methods are
// safe for concurrent use.
type Engine struct {
	lib           *library
	dataDir       string
	minFree       uint64
	queueTimeout  time.Duration
	slots         chan struct{}
	identity      identity
	usual         map[string]string // settings with the value that every session has
	passwords     map[string]string // nil: none are asked
	grants        string            // what the engine's one user may do
	usersXML      string            // of [WithUsers]; "": the engine's own
	configFile    string            // the argument that confines the engine
	configuration string            // added to its own
	unread        bool              // see [WithoutReadBack]

	// keeper is never lent: libchdb shuts the engine down when the last
	// connection closes, and booting it repeatedly in one process is
	// documented to corrupt memory on macOS. It also carries KILL QUERY.
	keeper     *connection
	keeperLock sync.Mutex

	readBacks readBacks

	lock    sync.Mutex
	idle    []*connection
	closed  bool
	running sync.WaitGroup
	serial  atomic.Uint64
	// databasesChanged counts the statements that may have dropped or renamed
	// a database. A session stays in a database that is gone, without an
	// error, so a connection whose count is older enters its database anew.
	databasesChanged atomic.Uint64
}

// identity is what the engine says about itself.
type identity struct {
	displayName, version, timezone string
}

var (
	processLock sync.Mutex
	processOpen bool
	processLib  *library
	processPath string
)

// Open loads libchdb from libPath (see [Find]) and opens dataDir, which is made
// when absent. There can be one engine per process at a time, and one process
// per data directory. The caller closes it; data that a statement reported as
// written is on disk as durably as a ClickHouse server makes it with the same
// settings (fsync_after_insert is off by default).
func Open(libPath, dataDir string, options ...Option) (*Engine, error) {
	processLock.Lock()
	defer processLock.Unlock()
	if processOpen {
		return nil, ErrAlreadyOpen
	}
	if processLib == nil {
		lib, err := loadLibrary(libPath)
		if err != nil {
			return nil, fmt.Errorf("open chdb: %w", err)
		}
		processLib, processPath = lib, libPath
	} else if processPath != libPath {
		return nil, fmt.Errorf("open chdb: this process has loaded %s and cannot load %s as well", processPath, libPath)
	}
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, fmt.Errorf("open chdb: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open chdb: %w", err)
	}
	e := &Engine{
		lib:          processLib,
		dataDir:      dir,
		minFree:      defaultMinFreeBytes,
		queueTimeout: 30 * time.Second,
		grants:       grants,
		slots:        make(chan struct{}, max(8, 2*runtime.NumCPU())),
	}
	for _, o := range options {
		o(e)
	}
	if e.configFile, err = e.confine(); err != nil {
		return nil, fmt.Errorf("open chdb: %w", err)
	}
	if e.keeper, err = e.connect(false); err != nil {
		return nil, fmt.Errorf("open chdb: %w", err)
	}
	if err := e.identify(); err != nil {
		e.keeper.close()
		return nil, fmt.Errorf("open chdb: %w", err)
	}
	processOpen = true
	return e, nil
}

// Version is the engine's ClickHouse version, as SELECT version() returns it.
func (e *Engine) Version() string { return e.identity.version }

func (e *Engine) identify() error {
	r, err := e.keeper.query("SELECT displayName(), version(), timezone()", "TabSeparated", nil)
	if err != nil {
		return fmt.Errorf("ask for the version: %w", err)
	}
	defer r.free()
	fields := strings.Split(strings.TrimSuffix(string(r.data), "\n"), "\t")
	if len(fields) != 3 {
		return fmt.Errorf("ask for the version: unexpected answer %q", r.data)
	}
	e.identity = identity{fields[0], fields[1], fields[2]}
	settings, err := e.keeper.query("SELECT name, value FROM system.settings WHERE NOT changed AND value = default "+
		"AND name != 'readonly'", "TSVRaw", nil)
	if err != nil {
		return fmt.Errorf("ask for the settings: %w", err)
	}
	defer settings.free()
	e.usual = make(map[string]string)
	for line := range strings.Lines(string(settings.data)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		e.usual[name] = value
	}
	return nil
}

// Close waits for running statements, closes the data directory and lets
// [Open] be called again. It does not interrupt statements: stop the HTTP
// server first. A second call does nothing. libchdb's authors warn against
// opening and closing many times in one process, above all on macOS.
//
// A process that ends without Close loses nothing that was reported as written.
func (e *Engine) Close() error {
	e.lock.Lock()
	if e.closed {
		e.lock.Unlock()
		return nil
	}
	e.closed = true
	e.lock.Unlock()
	e.running.Wait()
	for _, c := range e.idle {
		c.close()
	}
	e.idle = nil
	e.keeperLock.Lock()
	defer e.keeperLock.Unlock()
	// The last connection takes the engine down with it. chdb_shutdown would
	// also do that, but no engine could be opened after it.
	e.lib.signals.around(e.keeper.close)
	processLock.Lock()
	processOpen = false
	processLock.Unlock()
	return nil
}

// checkSpace refuses to write when the disk is nearly full, since libchdb would
// lose the rows without an error.
func (e *Engine) checkSpace(need uint64) error {
	free, err := freeBytes(e.dataDir)
	if err != nil {
		return &Exception{Code: codeNotEnoughSpace, Message: err.Error() + " (NOT_ENOUGH_SPACE)"}
	}
	if free < e.minFree+need {
		return &Exception{Code: codeNotEnoughSpace, Message: fmt.Sprintf(
			"Not enough space: %d bytes are free in %s, and the embedded engine writes only with more than %d, because it "+
				"does not notice a full disk. (NOT_ENOUGH_SPACE)",
			free, e.dataDir, e.minFree+need)}
	}
	return nil
}
