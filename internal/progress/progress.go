// Package progress says how far the transfer of each blob is.
//
// The stages speak to the interface alone; what a person sees (a bar, plain lines, nothing) is chosen by the command line.
package progress

// Progress is told about transfers. Its methods may be called by several goroutines at once; id names one blob, usually by
// its digest, and is started before it advances.
type Progress interface {
	// Started says that the transfer of id begins; total is its size in bytes, -1 when it is not known.
	Started(id string, total int64)
	// Advanced says that n more bytes of id were moved. A transfer that starts over reports a negative n.
	Advanced(id string, n int64)
	// Done says that id is finished; outcome is a word such as "uploaded", "mounted", "exists" or "failed".
	Done(id string, outcome string)
}

// Discard is a Progress that says nothing.
type Discard struct{}

// Started does nothing.
func (Discard) Started(string, int64) {}

// Advanced does nothing.
func (Discard) Advanced(string, int64) {}

// Done does nothing.
func (Discard) Done(string, string) {}
