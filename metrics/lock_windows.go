package metrics

// lockFolder locks nothing: Windows has no lock of a folder. The next run mends
// what two that end at once lose of each other's.
func lockFolder(string) (unlock func()) { return func() {} }
