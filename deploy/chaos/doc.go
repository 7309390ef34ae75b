// Package chaos holds one test: the programs as they are deployed, three real Kafka brokers and a
// real engine, under a steady load of clicks, leads and signed Stripe events, while all of them are
// killed, frozen, restarted and moved about. What was answered 2xx must be there in the end, once,
// and the ledger must be the truth to the cent, movement by movement. The programs reach Kafka by
// TLS and SCRAM only.
//
//	make chaos MINUTES=30
//	TRIBUTARY_CHAOS_SEED=7 make chaos   the business and the order of faults of seed 7, not 1
//	TRIBUTARY_CHAOS_KEEP=1 make chaos   keep the logs and the data, and not only of a failure
//
// It needs java and mvn, and skips without them; with CI_REAL_SERVICES=1 it fails instead. The seed
// decides what is sent and which faults come in which order. When they happen is up to the machine.
package chaos
