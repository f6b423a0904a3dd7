// Bench compares Gantry with the SDK's own container publish: the same
// project, the same registry, in turns, in one run. scripts/bench calls it.
//
//	bench -root DIR -package FEED -version V -gantry FILE [-pairs N] [-out DIR]
//
// It writes results.json and results.md into -out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

// setup is what the command line says.
type setup struct {
	root, feed, version, gantry, out string
	pairs                            int
}

func main() {
	var s setup
	flag.StringVar(&s.root, "root", ".", "top of the source tree")
	flag.StringVar(&s.feed, "package", "", "folder with the packed package")
	flag.StringVar(&s.version, "version", "", "version of the package")
	flag.StringVar(&s.gantry, "gantry", "", "the gantry binary, for its start time")
	flag.StringVar(&s.out, "out", "bench", "folder for the results")
	flag.IntVar(&s.pairs, "pairs", 5, "how often each case is measured with each tool")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s setup) error {
	work, err := os.MkdirTemp("", "gantry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	r, err := startRegistry(ctx, work)
	if err != nil {
		return err
	}
	defer r.close()
	results := newResults(s.pairs, r.about)
	tools, err := prepare(ctx, s, work, r)
	if err != nil {
		return err
	}
	for i := range s.pairs {
		// who goes first changes: neither always finds warm caches
		order := []*tool{tools[i%2], tools[1-i%2]}
		for _, t := range order {
			fmt.Fprintf(os.Stderr, "bench: pair %d of %d, %s\n", i+1, s.pairs, t.name)
			if err := t.measure(ctx, i, results); err != nil {
				return err
			}
		}
	}
	if results.StartMilliseconds, err = startTime(ctx, s.gantry, 50); err != nil {
		return err
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	return results.write(filepath.Join(s.out, "results.json"), filepath.Join(s.out, "results.md"))
}
