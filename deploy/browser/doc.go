// Package browser tests the tracking script in headless Chromium: real pages, the real edge, an
// embedded Kafka.
//
// Each test has a browser profile of its own and host names of its own, which Chromium resolves to
// this machine.
package browser
