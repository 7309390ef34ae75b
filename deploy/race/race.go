// Package race reports whether the race detector is on.
//
// A test that books many histories, orders or schedules takes several times as long under it, and
// finds no more wrong rows. Such a test plays some of them under the race detector, and all of them
// without it; make test does both.
package race

// Enabled reports whether the race detector is on.
const Enabled = enabled
