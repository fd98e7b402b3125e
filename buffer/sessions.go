package buffer

import "github.com/streamkeeper/streamkeeper/buffer/registry"

// What other rooms still call by its former name.
type (
	// Session is one entry of the registry.
	Session = registry.Session
	// Layout is one of the ways in which producers keep sessions.
	Layout = registry.Layout
)

// The layouts.
const (
	LayoutKeys   = registry.Keys
	LayoutObject = registry.Object
	LayoutFields = registry.Fields
)

// AllLayouts are the names of all layouts.
var AllLayouts = registry.Layouts()
