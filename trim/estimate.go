package trim

import "github.com/streamkeeper/streamkeeper/buffer"

// EstimateAbove estimates how many entries have an id not below limit, as if the
// stream grew evenly; it is exact where none or all of them have.
func EstimateAbove(info buffer.StreamInfo, limit buffer.ID) int64 {
	switch {
	case info.Length == 0, info.Newest.Less(limit):
		return 0
	case !info.First.Less(limit):
		return info.Length
	}
	whole := float64(info.Newest.Ms - info.First.Ms)
	if whole == 0 {
		return 1
	}
	part := float64(info.Newest.Ms-limit.Ms) / whole
	return min(info.Length-1, max(1, int64(part*float64(info.Length))))
}

// NodeEntries is how many entries the full macro nodes of a stream hold, at
// least 1. All but the last are full where only whole ones were removed, so the
// number lies between two bounds that meet in a long stream.
func NodeEntries(info buffer.StreamInfo) int64 {
	if info.Nodes < 1 {
		return 1
	}
	if info.Nodes == 1 {
		return max(1, info.Length)
	}
	least := (info.Length + info.Nodes - 1) / info.Nodes
	most := (info.Length - 1) / (info.Nodes - 1)
	if byDefault := buffer.DefaultNodeLimits.Entries; least <= byDefault && byDefault <= most {
		return byDefault
	}
	return max(1, most)
}
