package layer

import (
	"io"
	"runtime"
	"time"

	"github.com/klauspost/pgzip"
)

const (
	// BlockSize is the number of bytes of the tar that are compressed as one; it decides the compressed bytes.
	BlockSize = 1 << 20
	// DefaultLevel is the gzip level where none is asked for.
	DefaultLevel = 6
	// MinLevel and MaxLevel bound the level: faster, smaller.
	MinLevel = 1
	MaxLevel = 9
)

// compressor is a gzip whose goroutines have all ended when close or abort return.
type compressor struct{ *pgzip.Writer }

func newCompressor(w io.Writer, level int) (*compressor, error) {
	z, err := pgzip.NewWriterLevel(w, level)
	if err != nil {
		return nil, err
	}
	if err := z.SetConcurrency(BlockSize, runtime.GOMAXPROCS(0)); err != nil {
		return nil, err
	}
	z.ModTime = time.Unix(0, 0) // the zero time would be written as some date
	z.OS = 255                  // unknown
	return &compressor{z}, nil
}

// abort ends the compressor's goroutines after a failure, so that none writes to a file that the caller closes.
func (c *compressor) abort() { c.Reset(io.Discard) }
