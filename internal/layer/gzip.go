package layer

import (
	"io"
	"time"

	"github.com/klauspost/pgzip"
)

const (
	// BlockSize is the number of bytes of the tar that gzip compresses as one; it decides the compressed bytes.
	BlockSize = 1 << 20
	// maxGzipWorkers bounds the memory: each has some 4 MiB.
	maxGzipWorkers = 12
	// gzipModule makes the bytes: pgzip cuts the blocks, and its deflate is that of klauspost/compress.
	gzipModule = "github.com/klauspost/pgzip v1.3.0, " + zstdModule
)

// gzipCompressor is a gzip whose blocks are compressed side by side.
type gzipCompressor struct{ *pgzip.Writer }

func newGzip(w io.Writer, level, workers int) (*gzipCompressor, error) {
	z, err := pgzip.NewWriterLevel(w, level)
	if err != nil {
		return nil, err
	}
	if err := z.SetConcurrency(BlockSize, min(max(1, workers), maxGzipWorkers)); err != nil {
		return nil, err
	}
	z.ModTime = time.Unix(0, 0) // the zero time would be written as some date
	z.OS = 255                  // unknown
	return &gzipCompressor{z}, nil
}

func (c *gzipCompressor) abort() { c.Reset(io.Discard) }
