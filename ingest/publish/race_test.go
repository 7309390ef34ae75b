//go:build race

package publish

// raceDetector reports whether the race detector is on, under which kfake answers more slowly than a leader would.
const raceDetector = true
