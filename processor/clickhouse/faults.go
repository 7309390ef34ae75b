package clickhouse

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"
)

// ErrRejected is returned when rows can never be stored, because of their own values. The caller
// finds the record that makes such a row, and sets it aside.
var ErrRejected = errors.New("ClickHouse cannot take these rows")

// errSilent is returned for a server that takes a connection, or should, and does not answer.
var errSilent = errors.New("it did not answer in time")

// errNoTable is returned for an insert into a table that is not there.
var errNoTable = errors.New("the table is missing")

// errNoColumn is returned for an insert into a table that has not all of its columns.
var errNoColumn = errors.New("the column is missing")

// class of a fault: what ends it.
type class int

const (
	transient     class = iota // it may end by itself: what failed is tried again
	needsOperator              // somebody must change rights, settings or tables first
	badValue                   // nothing: a value in the rows cannot be stored
)

// fault is what an error of a statement means.
type fault struct {
	name  string // ClickHouse's, or what else failed; few different ones: it is a metric's label
	class class
	hint  string // what an operator can do
}

const (
	hintAddress = "--clickhouse-dsn names it: the port of HTTP is 8123, with TLS (https://) 8443, and the native one " +
		"(clickhouse://) 9000, with ?secure=true 9440"
	hintUser   = "--clickhouse-dsn names the user, --clickhouse-password-file has the password"
	hintRights = "grant its user the role of this program: processor roles prints the statements"
	hintTables = "run processor migrate; --clickhouse-dsn names the database"
	hintLimit  = "the profile of its user sets this limit: processor roles prints one that suffices"
	hintQuota  = "the quota of its user is spent until the interval ends: raise it"
	hintKeeper = "look at Keeper and at system.replicas: is_readonly, last_exception"
	hintQuorum = "too few replicas answer: start them, or lower insert_quorum of --clickhouse-dsn"
	hintDisk   = "a part on ClickHouse's disk is broken: look at the disk, restart ClickHouse, which sets the part " +
		"aside, then run processor audit --since all --repair"
	hintSpace   = "free space on ClickHouse's disks: system.disks"
	hintMemory  = "give ClickHouse, or the profile of its user, more memory"
	hintCluster = "the server that is asked does not reach another one of the cluster: look at system.clusters, " +
		"errors_count"
	hintHosts = "a server of the cluster does not answer (system.distributed_ddl_queue, system.replicas): start it, " +
		"or take it out of the cluster, then execute the same command again"
	hintServer = "ClickHouse has too much to do: look at system.processes and system.merges"
	hintSilent = "its host is away, or it has too much to do, or another program listens there: " + hintAddress
	hintInUse  = "each has waited for seconds: look at system.processes; or allow more by max_open_conns of " +
		"--clickhouse-dsn, which is 10 without it"
)

// faults are the server's errors by code (src/Common/ErrorCodes.cpp). What is not listed may end by
// itself: trying too long loses nothing, while giving up too early would set good records aside.
var faults = map[int32]fault{
	6:   {"CANNOT_PARSE_TEXT", badValue, ""},
	53:  {"TYPE_MISMATCH", badValue, ""},
	69:  {"ARGUMENT_OUT_OF_BOUND", badValue, ""},
	70:  {"CANNOT_CONVERT_TYPE", badValue, ""},
	131: {"TOO_LARGE_STRING_SIZE", badValue, ""},
	321: {"VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE", badValue, ""},
	349: {"CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN", badValue, ""},
	407: {"DECIMAL_OVERFLOW", badValue, ""},
	469: {"VIOLATED_CONSTRAINT", badValue, ""},
	691: {"UNKNOWN_ELEMENT_OF_ENUM", badValue, ""},

	192: {"UNKNOWN_USER", needsOperator, hintUser},
	193: {"WRONG_PASSWORD", needsOperator, hintUser},
	194: {"REQUIRED_PASSWORD", needsOperator, hintUser},
	195: {"IP_ADDRESS_NOT_ALLOWED", needsOperator, "the user may not come from this host: CREATE USER … HOST says from where"},
	516: {"AUTHENTICATION_FAILED", needsOperator, hintUser},

	164: {"READONLY", needsOperator, hintRights},
	291: {"DATABASE_ACCESS_DENIED", needsOperator, hintRights},
	497: {"ACCESS_DENIED", needsOperator, hintRights},
	511: {"UNKNOWN_ROLE", needsOperator, hintRights},
	452: {"SETTING_CONSTRAINT_VIOLATION", needsOperator, "the profile of its user refuses a setting that this program needs: " +
		"processor roles prints a profile that does not"},
	115: {"UNKNOWN_SETTING", needsOperator, "a setting of --clickhouse-dsn is not known, or ClickHouse is older than 26.2"},

	16: {"NO_SUCH_COLUMN_IN_TABLE", needsOperator, hintTables},
	36: {"BAD_ARGUMENTS", needsOperator, hintTables},
	43: {"ILLEGAL_TYPE_OF_ARGUMENT", needsOperator, hintTables},
	46: {"UNKNOWN_FUNCTION", needsOperator, hintTables},
	47: {"UNKNOWN_IDENTIFIER", needsOperator, hintTables},
	60: {"UNKNOWN_TABLE", needsOperator, hintTables},
	62: {"SYNTAX_ERROR", needsOperator, "ClickHouse may be older than 26.2"},
	81: {"UNKNOWN_DATABASE", needsOperator, hintTables},
	288: {"DISTRIBUTED_IN_JOIN_SUBQUERY_DENIED", needsOperator, "distributed_product_mode is global unless --clickhouse-dsn or " +
		"a profile sets it"},

	158: {"TOO_MANY_ROWS", needsOperator, hintLimit},
	307: {"TOO_MANY_BYTES", needsOperator, hintLimit},
	161: {"TOO_MANY_COLUMNS", needsOperator, hintLimit},
	162: {"TOO_DEEP_SUBQUERIES", needsOperator, hintLimit},
	167: {"TOO_DEEP_AST", needsOperator, hintLimit},
	168: {"TOO_BIG_AST", needsOperator, hintLimit},
	191: {"SET_SIZE_LIMIT_EXCEEDED", needsOperator, hintLimit},
	277: {"INDEX_NOT_USED", needsOperator, "force_primary_key or force_index_by_date of its profile refuses statements of " +
		"this program: take it out"},
	392: {"QUERY_IS_PROHIBITED", needsOperator, hintRights},
	396: {"TOO_MANY_ROWS_OR_BYTES", needsOperator, hintLimit},
	201: {"QUOTA_EXCEEDED", needsOperator, hintQuota},

	32:  {"ATTEMPT_TO_READ_AFTER_EOF", needsOperator, hintDisk},
	33:  {"CANNOT_READ_ALL_DATA", needsOperator, hintDisk},
	107: {"FILE_DOESNT_EXIST", needsOperator, hintDisk},
	226: {"NO_FILE_IN_DATA_PART", needsOperator, hintDisk},
	228: {"BAD_SIZE_OF_FILE_IN_DATA_PART", needsOperator, hintDisk},
	246: {"CORRUPTED_DATA", needsOperator, hintDisk},
	271: {"CANNOT_DECOMPRESS", needsOperator, hintDisk},
	432: {"UNKNOWN_CODEC", needsOperator, hintDisk},

	40:  {"CHECKSUM_DOESNT_MATCH", transient, hintDisk}, // of an insert it ends by itself
	159: {"TIMEOUT_EXCEEDED", transient, hintServer},
	341: {"UNFINISHED", transient, hintHosts},
	160: {"TOO_SLOW", transient, hintServer},
	202: {"TOO_MANY_SIMULTANEOUS_QUERIES", transient, hintServer},
	439: {"CANNOT_SCHEDULE_TASK", transient, hintServer},
	745: {"SERVER_OVERLOADED", transient, hintServer},
	173: {"CANNOT_ALLOCATE_MEMORY", transient, hintMemory},
	241: {"MEMORY_LIMIT_EXCEEDED", transient, hintMemory},
	252: {"TOO_MANY_PARTS", transient, "merges are behind: look at system.merges and at the disks"},
	243: {"NOT_ENOUGH_SPACE", transient, hintSpace},
	75:  {"CANNOT_WRITE_TO_FILE_DESCRIPTOR", transient, hintSpace}, // what a write says that finds no space
	198: {"DNS_ERROR", transient, hintCluster},
	203: {"NO_FREE_CONNECTION", transient, hintCluster},
	209: {"SOCKET_TIMEOUT", transient, hintCluster},
	210: {"NETWORK_ERROR", transient, hintCluster},
	279: {"ALL_CONNECTION_TRIES_FAILED", transient, hintCluster},
	225: {"NO_ZOOKEEPER", transient, hintKeeper},
	242: {"TABLE_IS_READ_ONLY", transient, hintKeeper},
	999: {"KEEPER_EXCEPTION", transient, hintKeeper},
	285: {"TOO_FEW_LIVE_REPLICAS", transient, hintQuorum},
	286: {"UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE", transient, hintQuorum},
	319: {"UNKNOWN_STATUS_OF_INSERT", transient, hintQuorum},

	395: {"FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", transient, "a question refuses the values that it is asked with"},
	457: {"BAD_QUERY_PARAMETER", transient, "a value is not of the type of the question's parameter"},
}

// ErrorName returns ClickHouse's name of an error code; "" for one that faults does not list.
func ErrorName(code int) string { return faults[int32(code)].name }

// Names of faults that are no error of the server with a name of ours.
const (
	otherCode   = "other"      // a code that faults does not list
	unreachable = "connection" // the server did not answer, or not in time
	inUse       = "in_use"     // all connections of this program wait for the server's answers
	unfitValue  = "value"      // the driver cannot put a value into a column
	unreadable  = "result"     // the driver cannot read a column into what this program expects
	noTable     = "table"
)

// misfit is a value that does not fit: of a row into a column, as one that is too long for a
// FixedString, or of a result's column into this program.
type misfit struct {
	column string // "" of a result
	err    error
}

func (m *misfit) Error() string {
	if m.column == "" {
		return fmt.Sprintf("read a row: %v", m.err)
	}
	return fmt.Sprintf("column %s: %v", m.column, m.err)
}
func (m *misfit) Unwrap() error { return m.err }

// faultOf returns what an error of a statement means.
func faultOf(err error) fault {
	var value *misfit
	var unfitType *chcolumn.ColumnConverterError // whatever the value: the table is of another version
	switch {
	case !errors.As(err, &value):
	case value.column == "":
		return fault{unreadable, needsOperator, hintTables}
	case errors.As(err, &unfitType):
		return fault{noTable, needsOperator, hintTables}
	default:
		return fault{unfitValue, badValue, ""}
	}
	if errors.Is(err, errNoTable) || errors.Is(err, errNoColumn) {
		return fault{noTable, needsOperator, hintTables}
	}
	switch {
	case errors.Is(err, errSilent):
		return fault{unreachable, transient, hintSilent}
	case errors.Is(err, clickhouse.ErrAcquireConnTimeout):
		return fault{inUse, transient, hintInUse}
	}
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) {
		return fault{unreachable, transient, hintAddress}
	}
	known := faults[exception.Code]
	known.name = cmp.Or(known.name, otherCode)
	if exception.Code == 159 && strings.Contains(exception.Message, "DDL task") { // waits for the other servers
		known.hint = hintHosts
	}
	return known
}

// faultOfLookup is faultOf for a statement that stores nothing: whatever value is wrong is no
// record's.
func faultOfLookup(err error) fault {
	f := faultOf(err)
	if f.class == badValue {
		f.class, f.hint = needsOperator, hintTables
	}
	return f
}

// Unreached returns the error of a ClickHouse that was asked whether it answers, with a hint.
func Unreached(err error) error {
	return fmt.Errorf("reach ClickHouse: %w", hinted(err, faultOfLookup(err)))
}

// WithHint adds to an error of ClickHouse what an operator can do, if that is known and no hint is
// there. Other errors stay as they are.
func WithHint(err error) error {
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) || strings.Contains(err.Error(), "(hint: ") {
		return err
	}
	return hinted(err, faultOfLookup(err))
}

func hinted(err error, f fault) error {
	if f.hint == "" {
		return err
	}
	return fmt.Errorf("%w (hint: %s)", err, f.hint)
}
