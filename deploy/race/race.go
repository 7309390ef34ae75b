// Package race reports whether the race detector is on.
//
// A test that books many histories, orders or schedules takes several times as long under it, and
// finds no more wrong rows. Such a test plays some of them under the race detector, as make test
// does, and all of them without it, as make proof does.
package race

// Enabled reports whether the race detector is on.
const Enabled = enabled
