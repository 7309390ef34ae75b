// Package simulation tries "exactly once": its tests run whole processors, their production code
// from the poll to the commit, against a Kafka and a ClickHouse that fail in every way we know of,
// in virtual time, and compare the tables with what truly happened.
//
//	make sim SCHEDULES=10000
//	make sim SEED=17
//	go test ./processor/simulation -schedules 10000 -first 20001   other ones
//
// One schedule is one seed: some buyers (traffic_test.go), when and in which order their clicks and
// webhooks reach Kafka, a list of faults, each with its virtual time and target (faults_test.go),
// what is done to topics (topics_test.go), commands of an operator (operator_test.go), an upgrade
// to other rules (upgrade_test.go), and clocks that jump (clocks_test.go). Kafka is kfake, over
// connections in memory (network_test.go); ClickHouse is one to three of clickhousetest.Model
// (replicas_test.go) behind a server that loses answers, hangs, and crashes (server_test.go).
// history_test.go writes down what was asked, for other checkers. invariants_test.go states what
// must hold in the end, and broken_test.go shows that a broken rule is noticed.
//
// A seed fixes the schedule and the end, not the order in which goroutines run: a failing seed
// fails again most of the time, not always. Add -count to try it more often.
package simulation
