package oracle

// Unknowable tells an answer that says nothing of whether something is there, which counts as absent, from an outage. The reason is for people.
func Unknowable(err error) (reason string, ok bool) { return unknowable(err) }
