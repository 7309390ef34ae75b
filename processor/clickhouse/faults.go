package clickhouse

import (
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// ErrRejected is returned when rows can never be stored, because of their own values. The caller
// finds the record that makes such a row, and sets it aside.
var ErrRejected = errors.New("ClickHouse cannot take these rows")

// rejections are the server's errors about a value in the rows, by code (ErrorCodes.cpp). All
// others are retried: a full disk (243), too many parts (252), a table being altered, memory (241),
// a missing table. Retrying too long loses nothing; giving up too early would set good records
// aside.
var rejections = map[int32]string{
	6:   "CANNOT_PARSE_TEXT",
	53:  "TYPE_MISMATCH",
	69:  "ARGUMENT_OUT_OF_BOUND",
	70:  "CANNOT_CONVERT_TYPE",
	131: "TOO_LARGE_STRING_SIZE",
	321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
	349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
	407: "DECIMAL_OVERFLOW",
	469: "VIOLATED_CONSTRAINT",
	691: "UNKNOWN_ELEMENT_OF_ENUM",
}

// unfit is a value that the driver could not put into a column: too long for a FixedString, too
// late for a DateTime.
type unfit struct {
	column string
	err    error
}

func (u *unfit) Error() string { return fmt.Sprintf("column %s: %v", u.column, u.err) }
func (u *unfit) Unwrap() error { return u.err }

// rejected reports whether err is about a value in the rows.
func rejected(err error) bool {
	var value *unfit
	if errors.As(err, &value) {
		return true
	}
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		_, ok := rejections[exception.Code]
		return ok
	}
	return false
}
