package chdb

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

func (e *Engine) runInsert(w http.ResponseWriter, r *http.Request, q *request, c *connection, started time.Time) {
	rows := q.rows
	announced := uint64(0)
	if q.insert.format == "Native" {
		head := make([]byte, 20)
		n, err := fill(rows, head)
		announced = firstBlockRows(head[:n])
		rows = io.MultiReader(strings.NewReader(string(head[:n])), failing{err}, rows)
	}
	readBack := e.beginInsert(c)
	written, err := c.insert(q.insert.query, q.insert.format, q.params, rows)
	if err != nil {
		if isTruncated(err) {
			err = &Exception{Code: codeCannotReadAllData,
				Message: fmt.Sprintf("Cannot read the rows to insert: %v. (CANNOT_READ_ALL_DATA)", err)}
		}
		e.writeError(w, r, err)
		return
	}
	if written.rowsWritten < announced {
		e.writeError(w, r, &Exception{Code: codeUnknownException, Message: fmt.Sprintf(
			"The engine wrote %d rows of at least %d and gave no error", written.rowsWritten, announced)})
		return
	}
	if err := errors.Join(e.doubtWrite(), readBack()); err != nil {
		e.writeError(w, r, err)
		return
	}
	e.writeResult(w, r, q, nil, written, started)
}

// doubtWrite turns a success into an error when the disk ran so low during the
// statement that the engine may have lost rows unnoticed.
func (e *Engine) doubtWrite() error {
	free, err := freeBytes(e.dataDir)
	if err == nil && free >= e.minFree/4 {
		return nil
	}
	return &Exception{Code: codeNotEnoughSpace, Message: fmt.Sprintf(
		"Not enough space: only %d bytes are left in %s, so rows of this statement may be lost although the engine "+
			"reported success. (NOT_ENOUGH_SPACE)", free, e.dataDir)}
}
