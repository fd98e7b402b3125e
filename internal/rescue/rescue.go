// Package rescue makes errors of panics, so that one bad reply ends one job and
// not the process.
package rescue

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic as an error.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Call runs f and returns its panic as an error. A goroutine that others wait
// for begins with it: a recover elsewhere does not reach it.
func Call(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}
