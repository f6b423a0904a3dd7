package msbuild

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestIncremental_oneFolderTwice publishes one project twice at once, with other settings: the second comes in between two stages of the
// first. The second has its image; the first, whose documents it overwrote, says so and pushes nothing: no repository has the image
// of the other.
func TestIncremental_oneFolderTwice(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, "matrix")
	m.must(m.line(row{})...)
	waiting, goOn := m.script+".waiting", m.script+".go-on"
	testenv.Edit(t, m.script, "exec", `if [ "$1" = create-layers ] && [ -n "$HOLD" ]; then touch '`+waiting+`'; while [ ! -e '`+goOn+`' ]; do sleep 0.05; done; fi
exec`)
	m.forget()
	first := testenv.DotnetCommand(t, m.dir, append(m.env, "HOLD=1"), m.line(row{}, "--no-build", "-p:ContainerRepository=first", "-p:Team=first")...)
	var said strings.Builder
	first.Stdout, first.Stderr = &said, &said
	m.check(first.Start())
	for {
		if _, err := os.Stat(waiting); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	second := m.dotnet(m.line(row{}, "--no-build", "-p:ContainerRepository=second", "-p:Team=second")...)
	m.check(os.WriteFile(goOn, nil, 0o644))
	if err := first.Wait(); err == nil || strings.Count(said.String(), "error GANTRY9005") == 0 {
		t.Errorf("the first ended with %v:\n%s", err, said.String())
	}
	if second.Code != 0 {
		t.Errorf("the second failed:\n%s", second.Stdout+second.Stderr)
	}
	if tags := m.registry.Tags("first"); len(tags) != 0 {
		t.Errorf("first has %v", tags)
	}
	if got := m.config("second", "latest").Config.Labels["org.example.team"]; got != "second" {
		t.Errorf("second has the image of %s", got)
	}
}
