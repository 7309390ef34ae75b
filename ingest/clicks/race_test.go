//go:build race

package clicks

// raceDetector reports whether the race detector is on, which takes several times the memory.
const raceDetector = true
