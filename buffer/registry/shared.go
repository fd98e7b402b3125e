package registry

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/streamkeeper/streamkeeper/burst"
)

// This file decides to which of the layouts that share a Hash an entry belongs:
// its field may be a session's identity, or another's identity and a property,
// so its value decides.

// isProperty reports whether a value is a property of a session rather than an
// entry of the object layout that lies where the property would.
func isProperty(property, value string) bool {
	switch property {
	case propStream:
		return isPlain(value) || !looksLikeEntry(value)
	case propJSON:
		return isSimple(value) || !isPlain(value) && !looksLikeEntry(value)
	}
	// The others are numbers.
	return isSimple(value)
}

// isPlain reports whether a value holds no object and no array, in whatever
// way it may be encoded.
func isPlain(value string) bool { return !strings.ContainsAny(value, "{[") }

// isSimple reports whether a value is plain, and no entry in another encoding
// than JSON either, which may own a stream. The scripts that remove have the same
// rule.
func isSimple(value string) bool { return isPlain(value) && !strings.Contains(value, propStream) }

// looksLikeEntry reports whether a value that is not plain is an entry of the
// object layout. A Session JSON is an object too, and may hold anything; but it
// has no time of an entry, or nothing that marks it as RTA's.
func looksLikeEntry(value string) bool {
	marked, timed, inner := false, false, ""
	err := scanObject(value, func(key, raw string, _ int) {
		marked = marked || isMark(key) && raw != "null"
		switch key {
		case propUpdated, propUpdatedOld:
			timed = true
		case propJSON:
			inner = scalar(raw).text
		}
	})
	switch {
	case err != nil:
		return mentionsMark(value)
	case !marked:
		return inner != "" && burst.IsSessionJSON([]byte(inner))
	}
	return timed || !burst.IsSessionJSON([]byte(value))
}

// mayBeProperty reports whether an entry of the object layout, by its identity,
// may be a property of another session after all, and gives what goes before the
// names of that session's properties. Where a number is expected it cannot be.
func mayBeProperty(field string) (prefix string, ok bool) {
	identity, property, ok := cutField(field)
	if !ok || property != propStream && property != propJSON {
		return "", false
	}
	return identity + ":", true
}

// markAmbiguous marks the entries of the object layout that may as well be
// properties of a session that is there: they stay until it has gone.
func (r *Registry) markAmbiguous(ctx context.Context, page []Session) error {
	var identities []string
	var places []int
	for i := range page {
		if prefix, ok := mayBeProperty(page[i].Identity); ok {
			identities, places = append(identities, strings.TrimSuffix(prefix, ":")), append(places, i)
		}
	}
	if len(identities) == 0 {
		return nil
	}
	all, err := r.readProperties(ctx, identities)
	if err != nil {
		return err
	}
	for k, i := range places {
		for p, value := range all[k] {
			text, ok := value.(string)
			if ok && p > 0 && isProperty(properties[p], text) && page[i].Malformed == nil {
				page[i].Malformed = ErrTwoLayouts
			}
		}
	}
	return nil
}

// unknownNames are names of properties that the documentation does not have,
// and that sessions of the fields layout were seen with. They go with their
// sessions.
type unknownNames struct {
	mu    sync.Mutex
	names []string
}

// Bounds of what is kept of them.
const (
	maxUnknown        = 32
	maxUnknownLen     = 64
	maxUnknownLookups = 8 // a page
)

func (u *unknownNames) all() []any {
	u.mu.Lock()
	defer u.mu.Unlock()
	names := make([]any, len(u.names))
	for i, name := range u.names {
		names[i] = name
	}
	return names
}

// wants reports whether a name is new, and could be kept.
func (u *unknownNames) wants(name string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.names) < maxUnknown && len(name) <= maxUnknownLen && !slices.Contains(u.names, name)
}

func (u *unknownNames) add(name string) {
	if u.wants(name) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.names = append(u.names, strings.Clone(name))
	}
}

// withoutProperties takes out of a page what is no entry of the object layout but
// a property, with one of those names, of a session of the fields layout.
func (r *Registry) withoutProperties(ctx context.Context, page []Session) ([]Session, error) {
	names := r.unknown.all()
	var identities []string
	var places []int
	for i := range page {
		s := &page[i]
		at := strings.LastIndexByte(s.Identity, ':')
		if s.Layout == Object && !s.marked && at >= 0 && isSimple(s.value) && slices.Contains(names, any(s.Identity[at+1:])) {
			identities, places = append(identities, s.Identity[:at]), append(places, i)
		}
	}
	if len(identities) == 0 {
		return page, nil
	}
	all, err := r.readProperties(ctx, identities)
	if err != nil {
		return nil, err
	}
	for k, place := range slices.Backward(places) {
		if fieldsSession(identities[k], all[k]).marked {
			page = slices.Delete(page, place, place+1)
		}
	}
	return page, nil
}

// unknownField is a field that may be a property that nobody knows.
type unknownField struct{ identity, name string }

func (f *fieldsReader) noteUnknown(field, value string) {
	i := strings.LastIndexByte(field, ':')
	if i < 0 || len(f.unknown) >= maxUnknownLookups || !isSimple(value) || !f.r.unknown.wants(field[i+1:]) {
		return
	}
	f.unknown = append(f.unknown, unknownField{field[:i], field[i+1:]})
}

// resolve keeps the names of those that belong to a session: one that is RTA's
// and has a time.
func (f *fieldsReader) resolve(ctx context.Context) error {
	if len(f.unknown) == 0 {
		return nil
	}
	identities := make([]string, len(f.unknown))
	for i, u := range f.unknown {
		identities[i] = u.identity
	}
	all, err := f.r.readProperties(ctx, identities)
	if err != nil {
		return err
	}
	for i, values := range all {
		if s := fieldsSession(identities[i], values); s.marked && s.Malformed == nil {
			f.r.unknown.add(f.unknown[i].name)
		}
	}
	f.unknown = f.unknown[:0]
	return nil
}
