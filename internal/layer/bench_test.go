package layer

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// BenchmarkWrite makes a layer of the .NET runtime of this machine, or of the folder GANTRY_BENCH_FOLDER. MB/s counts the files' bytes.
func BenchmarkWrite(b *testing.B) {
	dir := os.Getenv("GANTRY_BENCH_FOLDER")
	if dir == "" {
		testenv.Require(b, "dotnet")
		dotnet, err := testenv.Look("dotnet")
		must(b, err)
		dotnet, err = filepath.EvalSymlinks(dotnet)
		must(b, err)
		dir = filepath.Join(filepath.Dir(dotnet), "shared")
	}
	folder, files := folderAt(b, dir), list(b, dir)
	var total int64
	for i := range files {
		d, err := Digest(context.Background(), folder, &files[i])
		must(b, err)
		files[i].Digest = d
		total += files[i].Size
	}
	for _, c := range []Compression{
		{None, 0},
		{Gzip, 1},
		{Gzip, 4},
		{Gzip, 5},
		{Gzip, 6},
		{Zstd, 1},
		{Zstd, 3},
	} {
		b.Run(fmt.Sprintf("%s-%d", c.Algorithm, c.Level), func(b *testing.B) {
			spec := &Spec{WorkingDirectory: "/app", Time: DefaultTime, Compression: c, Files: files}
			out := &counter{w: io.Discard}
			b.SetBytes(total)
			for b.Loop() {
				out.n = 0
				_, err := Write(context.Background(), out, folder, spec, runtime.GOMAXPROCS(0))
				must(b, err)
			}
			b.ReportMetric(float64(out.n), "layer-bytes")
		})
	}
}
