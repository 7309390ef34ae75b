package query

import (
	"testing"

	"tributary/deploy/local/chdb/chdbtest"
)

func TestMain(m *testing.M) { chdbtest.Main(m) }
