//go:build !race

package clicks

// raceDetector reports whether the race detector is on, which takes several times the memory and
// the time.
const raceDetector = false
