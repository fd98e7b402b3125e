package jobs

import (
	"sync/atomic"

	"github.com/streamkeeper/streamkeeper/trim"
)

// LivePolicies are the policies that count now: a daemon reads their file again
// when it changes. The methods may be called by several goroutines at once.
type LivePolicies struct{ now atomic.Pointer[trim.Policies] }

// NewLivePolicies are the ones given, until they are replaced.
func NewLivePolicies(p trim.Policies) *LivePolicies {
	l := new(LivePolicies)
	l.Replace(p)
	return l
}

// Now are those that count, which are not to be changed.
func (l *LivePolicies) Now() *trim.Policies { return l.now.Load() }

// Replace makes others count from the next run on.
func (l *LivePolicies) Replace(p trim.Policies) { l.now.Store(&p) }

// policies are those of the environment, or else of the options.
func (e Env) policies() *LivePolicies {
	if e.Policies != nil {
		return e.Policies
	}
	return NewLivePolicies(e.Options.Trim.Policies)
}
