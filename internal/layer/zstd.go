package layer

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	zstdModule = "github.com/klauspost/compress v1.20.3"
	// zstdWindow is how far back a match may lie. A window of 1 MiB makes layers 2 % smaller and takes three times the memory.
	zstdWindow = 256 << 10
	// zstdJob is the number of bytes that are compressed as one: what the compressor makes of the window.
	zstdJob = 4 * zstdWindow
	// zstdWorkers is the number of jobs at once, whatever the number of cores, as each keeps some 15 MiB of buffers waiting. With one
	// there would be no jobs, and the bytes would be others.
	zstdWorkers = 2
)

// zstdLevel is the compressor's level for one of zstd's own 22, of which it has four. The last is not used: it takes ten times as long
// as the second and 35 MiB of tables for each core, for layers that are a twentieth smaller than those of the third.
func zstdLevel(level int) zstd.EncoderLevel {
	if level == 0 {
		level = DefaultZstdLevel
	}
	return min(zstd.EncoderLevelFromZstd(level), zstd.SpeedBetterCompression)
}

// zstdCompressor writes one frame, whose jobs are compressed side by side.
type zstdCompressor struct{ *zstd.Encoder }

func newZstd(w io.Writer, level int) (*zstdCompressor, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.EncoderLevel(level)), zstd.WithWindowSize(zstdWindow),
		zstd.WithConcurrentBlocks(true), zstd.WithEncoderConcurrency(zstdWorkers),
		zstd.WithEncoderCRC(false)) // the digest of the layer says more than a checksum
	if err != nil {
		return nil, err
	}
	return &zstdCompressor{z}, nil
}

func (c *zstdCompressor) abort() { c.Reset(io.Discard) }
