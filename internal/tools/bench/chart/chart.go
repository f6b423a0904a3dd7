// Package chart writes line charts as SVG: panels side by side, with axes, units, legend and value labels, readable on light and dark
// pages. It knows what the bench's charts need and no more.
package chart

import (
	"fmt"
	"math"
	"strconv"
)

// Chart is a picture of one or more panels under one legend. All panels have the same series, in the same order.
type Chart struct {
	Title string
	// About is read to those who do not see the picture, and stands below the title.
	About  string
	Panels []Panel
}

// Panel is one pair of axes.
type Panel struct {
	X, Y   Axis
	Series []Series
	// Marks name places on the x axis.
	Marks []Mark
	// EndLabels puts the labels of the last points beside them, for panels without a label at each point.
	EndLabels bool
}

// Axis is a scale from 0 on.
type Axis struct {
	// Label names what is measured, with its unit.
	Label string
	// Log is a logarithmic scale; 0 has a place of its own left of it.
	Log bool
	// Format writes the value at a tick.
	Format func(float64) string
}

// Series is one line.
type Series struct {
	Name string
	// Color is 0 or 1, which differ in the shape of the points too.
	Color  int
	Dashed bool
	Points []Point
}

// Point is one value, with a text beside it unless that is empty. Neither coordinate is negative.
type Point struct {
	X, Y  float64
	Label string
}

// Mark is a name for a place on the x axis.
type Mark struct {
	X    float64
	Name string
}

// scale maps values to pixels.
type scale struct {
	log      bool
	low, top float64 // of values; with log, powers of ten
	from, to float64 // in pixels
	ticks    []float64
}

const (
	// headroom above the highest value is for its label.
	headroom = 1.1
	// zeroAt is how many powers of ten 0 stands below the lowest on a logarithmic scale, which begins a bit further left.
	zeroAt, beginsAt = 1, 1.4
)

// newScale covers 0 and all values.
func newScale(axis Axis, values []float64, from, to float64) scale {
	s := scale{log: axis.Log, from: from, to: to}
	most, least := 0.0, math.Inf(1)
	for _, v := range values {
		most = max(most, v)
		if v > 0 {
			least = min(least, v)
		}
	}
	if most == 0 {
		most, least = 1, 1
	}
	if s.log {
		s.low, s.top = math.Floor(math.Log10(least)), math.Ceil(math.Log10(most))
		s.top = max(s.top, s.low+1)
		s.ticks = []float64{0}
		for e := s.low; e <= s.top; e++ {
			s.ticks = append(s.ticks, math.Pow(10, e))
		}
		return s
	}
	step := niceStep(most)
	n := int(math.Ceil(most*headroom/step - 1e-9))
	for i := range n + 1 {
		s.ticks = append(s.ticks, float64(i)*step)
	}
	s.top = float64(n) * step
	return s
}

// niceStep is 1, 2 or 5 times a power of ten, four to eight of which reach most.
func niceStep(most float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, m := range []float64{5, 2} {
		if most/(m*power) >= 4 {
			return m * power
		}
	}
	return power
}

// at is the pixel of a value.
func (s scale) at(v float64) float64 {
	low, top := s.low, s.top
	if s.log {
		low -= beginsAt
		if v = math.Log10(v); math.IsInf(v, -1) {
			v = s.low - zeroAt
		}
	}
	return s.from + (v-low)/(top-low)*(s.to-s.from)
}

// Seconds writes a time for people: "58 ms" below a second, else "3.2 s".
func Seconds(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.Abs(v) < 0.9995:
		return fmt.Sprintf("%.0f ms", v*1000)
	}
	return trim(fmt.Sprintf("%.1f", v)) + " s"
}

// Bytes writes a number of bytes for people, in powers of ten.
func Bytes(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 1e3:
		return fmt.Sprintf("%.0f B", v)
	case v < 999.5e3:
		return trim(threeDigits(v/1e3)) + " kB"
	case v < 999.5e6:
		return trim(threeDigits(v/1e6)) + " MB"
	}
	return trim(threeDigits(v/1e9)) + " GB"
}

func threeDigits(v float64) string {
	switch {
	case v < 9.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// trim removes a fraction of zero.
func trim(s string) string {
	if n := len(s); n > 2 && s[n-2:] == ".0" {
		return s[:n-2]
	}
	return s
}
