package results

import (
	"math"
	"slices"
)

// quantile of a set that is not empty, by linear interpolation: q is 0.5 for the median.
func quantile(all []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// seconds is the median of times, to a tenth of a millisecond.
func seconds(samples []Sample, value func(Sample) float64) float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, value(s))
	}
	return round4(quantile(all, 0.5))
}

// count is the median of whole numbers, cut to one.
func count[T int | int64](samples []Sample, value func(Sample) T) T {
	return T(seconds(samples, func(s Sample) float64 { return float64(value(s)) }))
}

// summarize computes what a series says of its samples.
func (x *Series) summarize() {
	all := x.Samples
	x.Median = Sample{
		Round:               -1,
		Seconds:             seconds(all, func(s Sample) float64 { return s.Seconds }),
		CPUSeconds:          seconds(all, func(s Sample) float64 { return s.CPUSeconds }),
		PlainSeconds:        seconds(all, func(s Sample) float64 { return s.PlainSeconds }),
		PlainCPUSeconds:     seconds(all, func(s Sample) float64 { return s.PlainCPUSeconds }),
		ContainerSeconds:    seconds(all, func(s Sample) float64 { return s.ContainerSeconds }),
		ContainerCPUSeconds: seconds(all, func(s Sample) float64 { return s.ContainerCPUSeconds }),
		Traffic: Traffic{
			Requests:      count(all, func(s Sample) int { return s.Requests }),
			BytesUp:       count(all, func(s Sample) int64 { return s.BytesUp }),
			BytesDown:     count(all, func(s Sample) int64 { return s.BytesDown }),
			BlobsUploaded: count(all, func(s Sample) int { return s.BlobsUploaded }),
			BlobsMounted:  count(all, func(s Sample) int { return s.BlobsMounted }),
			LayerBytes:    count(all, func(s Sample) int64 { return s.LayerBytes }),
			LayersMade:    count(all, func(s Sample) int { return s.LayersMade }),
		},
	}
	var container []float64
	for _, s := range all {
		container = append(container, s.ContainerSeconds)
	}
	x.ContainerSpread = [2]float64{round4(quantile(container, 0.25)), round4(quantile(container, 0.75))}
}

func round4(x float64) float64 { return math.Round(x*1e4) / 1e4 }
