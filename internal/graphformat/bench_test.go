package graphformat

import (
	"io"
	"testing"
)

// BenchmarkWrite writes a plan of 12,800 images.
func BenchmarkWrite(b *testing.B) {
	steps := largePlan()
	for _, format := range Formats() {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(io.Discard, format, steps, Options{Root: "/src", Brief: true, MaxJobs: 1000}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
