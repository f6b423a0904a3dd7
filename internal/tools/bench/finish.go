package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/gantry-build/gantry/internal/tools/bench/results"
)

// finish measures what has a round of its own: the machine's limits and the memory of gantry's processes.
func (b *bench) finish(ctx context.Context) error {
	for _, a := range b.selected() {
		s := b.sessions[a.name][1]
		if a.name == results.Large {
			dir, err := s.publishDir()
			if err != nil {
				return err
			}
			if b.doc.Limits, err = b.registry.limitsOf(ctx, a.name, dir); err != nil {
				return err
			}
		}
		if b.memory && a.cases[0].situation == results.Cold {
			if err := b.peaks(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// peaks publishes in each situation with this binary in gantry's place, which notes how much memory it took. Its start costs time,
// so nothing else is measured here.
func (b *bench) peaks(ctx context.Context, s *session) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	file := filepath.Join(b.work, "peaks")
	s.env = append(s.env, "GANTRY_PATH="+self, peakTool+"="+b.tool(), peakFile+"="+file)
	if err := s.beforePlain(ctx, results.Cold); err != nil {
		return err
	}
	for _, m := range s.app.cases {
		b.say("memory, %s, %s", s.app.name, m.situation)
		if err := s.beforeContainer(ctx, m.situation); err != nil {
			return err
		}
		if _, err := s.publish(ctx, m.situation, 0); err != nil {
			return err
		}
		stages, err := readPeaks(file)
		if err != nil {
			return err
		}
		b.doc.Peaks = append(b.doc.Peaks, results.Peak{Key: results.Key{App: s.app.name, Situation: m.situation}, Stages: stages})
	}
	return nil
}
