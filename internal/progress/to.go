package progress

// To is p for transfers to one of several destinations, which may get the same blob at the same time: lines say where to.
func To(p Progress, where string) Progress { return to{p, " to " + where} }

type to struct {
	Progress
	where string
}

func (t to) Started(id string, total int64) { t.Progress.Started(Short(id)+t.where, total) }
func (t to) Advanced(id string, n int64)    { t.Progress.Advanced(Short(id)+t.where, n) }
func (t to) Done(id string, outcome string) { t.Progress.Done(Short(id)+t.where, outcome) }
