package query

import (
	"testing"

	"tributary/processor/clickhouse"
)

// What ClickHouse's error codes mean to who asks (src/Common/ErrorCodes.cpp).
func TestFaults(t *testing.T) {
	for want, codes := range map[string][]int{
		"no_tables":              {46, 47, 60, 81},
		"clickhouse_denied":      {164, 192, 193, 194, 195, 291, 452, 497, 511, 516},
		"bad_parameter":          {36, 69, 395, 457},
		"answer_too_large":       {158, 307, 396},
		"question_too_large":     {241},
		"question_too_slow":      {159, 160},
		"quota_exceeded":         {201},
		"busy":                   {202},
		"clickhouse_unavailable": {0, 1, 210, 999},
	} {
		for _, code := range codes {
			if got := faultOf(clickhouse.ErrorName(code), "Code: 1. DB::Exception: no. (X)", timeout); got.Code != want {
				t.Errorf("error %d is %s, want %s", code, got.Code, want)
			}
		}
	}
}
