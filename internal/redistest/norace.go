//go:build !race

package redistest

// Race says that the tests are built with the race detector, which makes them slow.
const Race = false
