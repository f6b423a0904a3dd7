package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Environment variables that make this binary stand for gantry: the binary to run, and the file that gets a line "STAGE BYTES" for
// each process.
const (
	peakTool = "GANTRY_BENCH_TOOL"
	peakFile = "GANTRY_BENCH_PEAKS"
)

// peakMain runs gantry and notes its largest resident size.
func peakMain(args []string) int {
	cmd := exec.Command(os.Getenv(peakTool), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.ProcessState != nil {
		name := "none"
		if len(args) > 0 {
			name = args[0]
		}
		if err := notePeak(name, residentPeak(cmd.ProcessState)); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 1
		}
	}
	if err != nil {
		return exitCode(err)
	}
	return 0
}

// notePeak appends one short line, which the kernel keeps whole.
func notePeak(name string, bytes int64) error {
	f, err := os.OpenFile(os.Getenv(peakFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, "%s %d\n", name, bytes); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// readPeaks gives the largest of each stage, and removes the file. There is none when no process ran.
func readPeaks(file string) (map[string]int64, error) {
	peaks := map[string]int64{}
	f, err := os.Open(file)
	if os.IsNotExist(err) {
		return peaks, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var name string
		var bytes int64
		if _, err := fmt.Fscanf(strings.NewReader(lines.Text()), "%s %d", &name, &bytes); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", file, lines.Text(), err)
		}
		peaks[name] = max(peaks[name], bytes)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return peaks, os.Remove(file)
}
