package doctor

import (
	"errors"
	"slices"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// fact is a part of what is read. Where it could not be, the checks that need it
// say so, and nothing else.
type fact int

const (
	factTime fact = iota
	factRights
	factCount
	factDatabases
	factNodes
	factNodeLimits
	factInstances
	factPauses
	factHistory
	factLease
	factState
	factStreams
	factTrims
	factSizes
	factGroups
	factSessions
	factJSONs
	factExpiry
	factCounter
	factMessages
	factAttended
	factUnlisted
	facts
)

// unread says why facts could not be read.
type unread map[fact]error

// note keeps the first reason, and reports whether the reading goes on: what
// breaks the connection ends it.
func (u unread) note(f fact, err error) (goesOn bool) {
	if err == nil {
		return true
	}
	if isBroken(err) {
		return false
	}
	if u[f] == nil {
		u[f] = err
	}
	return true
}

// isDenied reports whether an error is a right that is missing.
func isDenied(err error) bool {
	return redisconn.ClassOf(err) == redisconn.ClassAuth || errors.Is(err, redisconn.ErrProbing)
}

// anyDenied reports whether a right was missing.
func (u unread) anyDenied() bool {
	for _, err := range u {
		if isDenied(err) {
			return true
		}
	}
	return false
}

// allNeeds are the facts without which a check says nothing.
func (c *Check) allNeeds() []fact {
	needs := slices.Clone(c.needs)
	if c.stream != nil {
		needs = append(needs, factTime, factStreams)
	}
	if c.session != nil {
		needs = append(needs, factTime, factSessions)
	}
	if c.sample != nil {
		needs = append(needs, factTime, factStreams, factMessages)
	}
	return needs
}

// lacks says why a check cannot be made, nil if it can.
func (u unread) lacks(c *Check) error {
	if len(u) == 0 {
		return nil
	}
	for _, f := range c.allNeeds() {
		if u[f] != nil {
			return u[f]
		}
	}
	return nil
}
