package registry

import (
	"context"
	"slices"
)

// MaxSessionJSON is the length in bytes past which a Session JSON is not read:
// what is longer is no description of a session.
const MaxSessionJSON = 256 << 10

// jsonBatch is how many of them are read in one pipeline.
const jsonBatch = 64

// SessionJSONs gives the Session JSON of each session; "" where there is none,
// where it is too long, and where the session is no longer as it was read.
func (r *Registry) SessionJSONs(ctx context.Context, sessions []Session) ([]string, error) {
	all := make([]string, len(sessions))
	err := eachLayout(sessions, func(l layout, indexes []int) error {
		for part := range slices.Chunk(indexes, jsonBatch) {
			jsons, err := l.jsons(ctx, r, pick(sessions, part))
			if err != nil {
				return err
			}
			for k, i := range part {
				all[i] = jsons[k]
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// HoldsJSON reports whether a session is still as it was read, with that
// Session JSON.
func (r *Registry) HoldsJSON(ctx context.Context, s Session, json string) (bool, error) {
	return of(s).compareJSON(ctx, r, s, json, nil)
}

// SetJSON gives a session another Session JSON if it is still as it was read:
// the server compares. All else of the session stays, TTLs too. It reports
// whether it did.
func (r *Registry) SetJSON(ctx context.Context, s Session, old, updated string) (bool, error) {
	return of(s).compareJSON(ctx, r, s, old, &updated)
}
