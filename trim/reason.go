package trim

// Reason says which limit removed an entry; it is a metric's label.
type Reason string

// The reasons.
const (
	ByLength   Reason = "length"
	ByAge      Reason = "age"
	ByPressure Reason = "pressure"
)

// Reasons lists every reason, for metrics that start at 0.
var Reasons = []Reason{ByLength, ByAge, ByPressure}
