package layer

import (
	"strconv"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
)

const (
	// DefaultTime is 2000-01-01T00:00:00Z in seconds since 1970: the time of everything that no epoch changes.
	DefaultTime = 946684800
	// MaxTime is the last second that a tar header can hold, in the year 2242.
	MaxTime = 1<<33 - 1
	// StaticWindow is the length in seconds (12 days) of the time before T0 in which the times of static files lie.
	StaticWindow = 1 << 20
)

// StaticBase returns T0, from which the times of static files are counted: the epoch if there is one, else the time at which
// the base image was created (RFC 3339; a fraction is dropped). A base without a creation time, or with one that no clock
// showed (before 2000: reproducible images have 1970 or the year 1), counts as DefaultTime.
func StaticBase(epoch *int64, baseCreated string) int64 {
	if epoch != nil {
		return *epoch
	}
	t, err := time.Parse(time.RFC3339, baseCreated)
	if err != nil || t.Unix() < DefaultTime || t.Unix() > MaxTime {
		return DefaultTime
	}
	return t.Unix()
}

// StaticTime returns the time of a static file with the content d: t0 - 2^20 s + (d mod 2^20) s, the digest being read as one
// big-endian number; t0 - 2^20 counts as 0 where it is less.
//
// So a file whose content changes changes its time (but once in a million), all times are close to t0, which is recent (RFC
// 9111, 4.2.2 lets a browser keep a file for a tenth of its age), and none lies after it.
func StaticTime(t0 int64, d cas.Digest) int64 {
	hex := d.Hex()
	low, err := strconv.ParseInt(hex[len(hex)-5:], 16, 64)
	if err != nil {
		panic("layer: not a digest: " + string(d)) // digests are checked when they come in
	}
	return StaticStart(t0) + low
}

// StaticStart returns the earliest time that StaticTime gives.
func StaticStart(t0 int64) int64 { return max(0, t0-StaticWindow) }
