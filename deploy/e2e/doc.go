// Package e2e tests the built programs together, as `make run` starts them: each in a process of
// its own, over the network of this machine. Some tests kill processes with kill -9.
//
// The tests need the embedded ClickHouse engine (make tools). Without it they are skipped, unless
// CI_REAL_SERVICES=1 says that absence is a failure. E2E_KILLS sets how often the whole run is
// killed (20), and E2E_SEED what is sent meanwhile (1).
package e2e
