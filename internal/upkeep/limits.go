package upkeep

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

// Limits are what a store may hold: at most MaxSize bytes in blobs, and none that was not used for MaxAge.
type Limits struct {
	MaxSize int64
	MaxAge  time.Duration
}

// DefaultLimits are those of a user who says nothing.
func DefaultLimits() Limits { return Limits{MaxSize: 10e9, MaxAge: 30 * day} }

const day = 24 * time.Hour

// Names of the environment variables that change the limits, written as ParseSize and ParseAge read them.
const (
	EnvMaxSize = "GANTRY_CACHE_MAX_SIZE"
	EnvMaxAge  = "GANTRY_CACHE_MAX_AGE"
)

// LimitsFrom returns the limits of a user: those of the environment, else the default. A variable that cannot be read is GANTRY1009, and
// its limit the default.
func LimitsFrom(getenv func(string) string) (l Limits, err error) {
	l = DefaultLimits()
	if text := getenv(EnvMaxSize); text != "" {
		if size, e := ParseSize(text); e == nil {
			l.MaxSize = size
		} else {
			err = fmt.Errorf("%s: %w", EnvMaxSize, e)
		}
	}
	if text := getenv(EnvMaxAge); text != "" {
		if age, e := ParseAge(text); e == nil {
			l.MaxAge = age
		} else {
			err = fmt.Errorf("%s: %w", EnvMaxAge, e)
		}
	}
	return l, err
}

var sizeUnits = map[string]float64{
	"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// number is the form of numbers with a unit.
const number = `^([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)$`

// ParseSize reads a number of bytes such as 10GB, 1.5 GiB or 4096; kB, MB, GB and TB are powers of 1000, KiB, MiB, GiB and TiB of 1024,
// in any case. The error is GANTRY1009.
func ParseSize(text string) (int64, error) {
	const hint = "write a number and B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, as in 10GB"
	m := regexp.MustCompile(number).FindStringSubmatch(text)
	if m == nil {
		return 0, diag.New(diag.BadUsage, fmt.Sprintf("%q is no size", text), hint)
	}
	unit, known := sizeUnits[strings.ToLower(m[2])]
	value, err := strconv.ParseFloat(m[1], 64)
	if !known || err != nil || value*unit >= math.MaxInt64 {
		return 0, diag.New(diag.BadUsage, fmt.Sprintf("%q is no size", text), hint)
	}
	return int64(value * unit), nil
}

var ageUnits = map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": day, "w": 7 * day}

// ParseAge reads a time span such as 30d, 2w, 12h or 90m. The error is GANTRY1009.
func ParseAge(text string) (time.Duration, error) {
	const hint = "write a number and m, h, d or w for minutes, hours, days or weeks, as in 30d"
	m := regexp.MustCompile(number).FindStringSubmatch(text)
	if m == nil {
		return 0, diag.New(diag.BadUsage, fmt.Sprintf("%q is no age", text), hint)
	}
	unit, known := ageUnits[strings.ToLower(m[2])]
	value, err := strconv.ParseFloat(m[1], 64)
	if !known || err != nil || value*float64(unit) >= math.MaxInt64 {
		return 0, diag.New(diag.BadUsage, fmt.Sprintf("%q is no age", text), hint)
	}
	return time.Duration(value * float64(unit)), nil
}
