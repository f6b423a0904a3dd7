// Bench compares Gantry with the SDK's own container publish: the same sources, the same registry, in turns, in one run. scripts/bench
// calls it.
//
//	bench -package FEED -version V [-rounds N] [-cases REGEX] [-latency MS,MS] [-memory=false] [-out DIR]
//	bench -graph GANTRY [-rounds N] [-cases REGEX] [-out DIR]
//
// It also measures the plans of a graph of 12,800 images (graph.go); the second form measures these alone. A part of which no case is
// selected stays in the results as it is.
//
// It writes results.json, results.md, summary.md and two charts into -out. What is measured, and of the product of all dimensions
// what is left out, is in apps.go.
//
// The binary is also started by itself: as "bench exec COMMAND…" to measure a process tree (exec.go), and in place of gantry to
// measure its memory (peak.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// options are what the command line says.
type options struct {
	feed, version, out string
	gantry             string // the binary, for the graph alone
	rounds             int
	cases              *regexp.Regexp
	latencies          []int
	memory             bool
}

func main() {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "exec":
		os.Exit(execMain(os.Args[2:]))
	case os.Getenv(peakTool) != "":
		os.Exit(peakMain(os.Args[1:]))
	}
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = runUntilSignal(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func runUntilSignal(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, o)
}

func parse(args []string) (options, error) {
	var o options
	var cases, latencies string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.feed, "package", "", "folder with the packed package")
	flags.StringVar(&o.version, "version", "", "version of the package")
	flags.StringVar(&o.gantry, "graph", "", "measure the plans of a graph alone, with this `BINARY` of gantry in place of a package")
	flags.StringVar(&o.out, "out", "bench", "folder for the results")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each case is measured with each tool")
	flags.StringVar(&cases, "cases", "", "measure only cases whose name, such as \"160 MB/nothing changed/0\" or \"graph/80 repositories/warm/5\", this matches (app, case, latency in ms)")
	flags.StringVar(&latencies, "latency", "0,5,30", "milliseconds that the proxy adds to each request, where a case is measured with several")
	flags.BoolVar(&o.memory, "memory", true, "a round of its own for the memory of gantry's processes")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.cases, err = regexp.Compile("(?i)" + cases); err != nil {
		return o, err
	}
	for _, s := range strings.Split(latencies, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return o, fmt.Errorf("-latency: %q is no number of milliseconds", s)
		}
		o.latencies = append(o.latencies, n)
	}
	if packed := o.feed != "" && o.version != ""; o.rounds < 1 || packed == (o.gantry != "") || flags.NArg() > 0 {
		return o, errors.New("usage: bench {-package FEED -version V | -graph GANTRY} [-rounds N] [-cases REGEX] [-latency MS,MS] [-memory=false] [-out DIR]")
	}
	return o, nil
}
