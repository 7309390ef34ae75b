package sql

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// pinned are settings of ClickHouse by which the same statement has another answer, or none. The
// tables, views and statements of this repository are written for ClickHouse's own values, which
// these are, but for the time zone. Text, so that roles can be given them too.
var pinned = map[string]string{
	// What a statement means.
	"enable_analyzer":                                "1",
	"join_use_nulls":                                 "0",
	"join_default_strictness":                        "ALL",
	"any_join_distinct_right_table_keys":             "0",
	"join_any_take_last_row":                         "0",
	"transform_null_in":                              "0",
	"group_by_use_nulls":                             "0",
	"cast_keep_nullable":                             "0",
	"data_type_default_nullable":                     "0",
	"aggregate_functions_null_for_empty":             "0",
	"empty_result_for_aggregation_by_empty_set":      "0",
	"except_default_mode":                            "ALL",
	"prefer_column_name_to_alias":                    "0",
	"enable_positional_arguments":                    "1",
	"final":                                          "0",
	"apply_deleted_mask":                             "1",
	"decimal_check_overflow":                         "1",
	"short_circuit_function_evaluation":              "enable", // what a branch excludes may divide by zero
	"session_timezone":                               "UTC",    // whatever the server's is
	"enable_extended_results_for_datetime_functions": "0",
	// Texts that a statement makes of times and of true and false.
	"date_time_output_format":   "simple",
	"bool_true_representation":  "true",
	"bool_false_representation": "false",
	// Which rows are in an answer: all that there are, no older ones, and no others.
	"limit":                   "0",
	"offset":                  "0",
	"extremes":                "0",
	"use_query_cache":         "0",
	"skip_unavailable_shards": "0",
	// A limit that is reached is an error. With break or any, a part would be taken for the whole.
	"read_overflow_mode":         "throw",
	"read_overflow_mode_leaf":    "throw",
	"group_by_overflow_mode":     "throw",
	"sort_overflow_mode":         "throw",
	"result_overflow_mode":       "throw",
	"timeout_overflow_mode":      "throw",
	"timeout_overflow_mode_leaf": "throw",
	"set_overflow_mode":          "throw",
	"join_overflow_mode":         "throw",
	"transfer_overflow_mode":     "throw",
	"distinct_overflow_mode":     "throw",
	// An INSERT that is acknowledged is stored, in the tables of the views as well.
	"async_insert":                     "0",
	"materialized_views_ignore_errors": "0",
}

// Pinned returns the settings that every connection of a program has, whatever the server's
// configuration and the profile of the user say. Who connects may put others over them.
func Pinned() map[string]string { return maps.Clone(pinned) }

// pinnedOfProfile are the same as the statements of access/ have them: for those who ask with tools
// of their own, which give no settings.
func pinnedOfProfile() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(pinned)) {
		list = append(list, fmt.Sprintf("%s = '%s'", name, pinned[name]))
	}
	return strings.Join(list, ",\n    ")
}
