package chdbtest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// WithProfile returns the DSN of the same database for a user whose settings profile has these
// settings: a statement has them unless it is sent with others or says others itself. They hold
// for what is sent to this DSN only. What answers there ends with the test.
func WithProfile(tb testing.TB, dsn string, profile map[string]string) string {
	tb.Helper()
	server, err := url.Parse(Address(tb))
	if err != nil {
		tb.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(server)
		query := r.Out.URL.Query()
		for name, value := range profile {
			if !query.Has(name) {
				query.Set(name, value)
			}
		}
		r.Out.URL.RawQuery = query.Encode()
	}, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}})
	tb.Cleanup(proxy.Close)
	return strings.Replace(dsn, server.Host, strings.TrimPrefix(proxy.URL, "http://"), 1)
}

// OddProfile is what operators set for all users of a server, each for a good reason, and by which
// statements that are written for ClickHouse's own values mean something else.
var OddProfile = map[string]string{
	"aggregate_functions_null_for_empty": "1", "any_join_distinct_right_table_keys": "1", "async_insert": "1",
	"bool_false_representation": "no", "bool_true_representation": "yes", "cast_keep_nullable": "1",
	"compatibility": "22.3", "data_type_default_nullable": "1", "date_time_input_format": "best_effort",
	"date_time_output_format": "iso", "empty_result_for_aggregation_by_empty_set": "1",
	"enable_analyzer": "0", "enable_extended_results_for_datetime_functions": "1", "enable_positional_arguments": "0",
	"except_default_mode": "DISTINCT", "extremes": "1", "final": "1", "format_csv_delimiter": ";",
	"format_csv_null_representation": "NULL", "group_by_use_nulls": "1",
	"join_any_take_last_row": "1", "join_default_strictness": "ANY", "join_use_nulls": "1",
	"limit": "2", "materialized_views_ignore_errors": "1", "offset": "1", "output_format_csv_crlf_end_of_line": "1",
	"output_format_decimal_trailing_zeros": "1", "output_format_float_precision": "2",
	"output_format_json_map_as_array_of_tuples": "1", "output_format_json_named_tuples_as_objects": "0",
	"output_format_json_quote_64bit_floats": "1", "output_format_json_quote_64bit_integers": "0",
	"prefer_column_name_to_alias": "1", "query_cache_nondeterministic_function_handling": "save",
	"query_cache_system_table_handling": "save", "session_timezone": "Asia/Tokyo",
	"short_circuit_function_evaluation": "disable", "skip_unavailable_shards": "1",
	"transform_null_in": "1", "use_query_cache": "1", "wait_for_async_insert": "0",
}
