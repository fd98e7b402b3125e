package cleanup

// BoundLooks sets what all looks of a run read and keep, in bytes.
func (c *Cleaner) BoundLooks(read, kept int64) { c.lookBounds = lookBounds{read, kept} }
