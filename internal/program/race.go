//go:build race

package program

// raceDetector says that the tests are built with the race detector, and so is
// the program then.
const raceDetector = true
