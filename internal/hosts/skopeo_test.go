package hosts_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// TestLikeSkopeo: the same registries.conf leads Skopeo, which uses containers/image, to the same places in the same order.
func TestLikeSkopeo(t *testing.T) {
	testenv.Require(t, "skopeo")
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "full/app", "1", basemaker.TinyOptions{Layers: 1})
	testenv.PushTinyBase(t, reg, "none/app", "other", basemaker.TinyOptions{Layers: 1, Seed: "other"})
	a, b, c := testenv.StartProxy(t, reg), testenv.StartProxy(t, reg), testenv.StartProxy(t, reg)
	mirror := func(p *testenv.Proxy, path, more string) string {
		return fmt.Sprintf("[[registry.mirror]]\nlocation = '%s/%s'\ninsecure = true\n%s\n", p.Host(), path, more)
	}
	primary := func(prefix, more string) string {
		return fmt.Sprintf("[[registry]]\nprefix = '%s'\nlocation = '%s/full'\ninsecure = true\n%s\n", prefix, c.Host(), more)
	}
	confs := map[string]string{
		"first has it":      primary("up.invalid", "") + mirror(a, "full", "") + mirror(b, "full", ""),
		"second has it":     primary("up.invalid", "") + mirror(a, "none", "") + mirror(b, "full", ""),
		"no mirror has it":  primary("up.invalid", "") + mirror(a, "none", "") + mirror(b, "none", ""),
		"digests by entry":  primary("up.invalid", "mirror-by-digest-only = true") + mirror(a, "full", ""),
		"digests by mirror": primary("up.invalid", "") + mirror(a, "full", "pull-from-mirror = 'digest-only'") + mirror(b, "full", ""),
		"tags by mirror":    primary("up.invalid", "") + mirror(a, "full", "pull-from-mirror = 'tag-only'") + mirror(b, "full", ""),
		"longest prefix":    primary("up.invalid/app", "") + "[[registry]]\nprefix = 'up.invalid'\nlocation = '" + a.Host() + "/full'\ninsecure = true\n",
		"one prefix twice":  primary("up.invalid", "") + "[[registry]]\nprefix = 'up.invalid'\nlocation = '" + a.Host() + "/full'\ninsecure = true\n",
		"no location":       "[[registry]]\nprefix = 'up.invalid'\nblocked = true\n",
		"mirror by a part":  primary("up.invalid/app", "") + mirror(a, "full/app", ""),
		"empty pull":        primary("up.invalid", "") + mirror(a, "full", "pull-from-mirror = ''"),
		"unknown keys":      "short-name-mode = 'permissive'\n" + primary("up.invalid", "other = 5") + mirror(a, "full", "other = 5"),
		"wildcard":          primary("*.invalid", "") + mirror(a, "full", ""),
		"blocked, mirrored": primary("up.invalid", "blocked = true") + mirror(a, "full", ""),
		"blocked mirror":    primary("up.invalid", "") + mirror(a, "full", "") + "[[registry]]\nlocation = '" + a.Host() + "'\nblocked = true\n",
		"blocked location":  "[[registry]]\nprefix = 'up.invalid'\nlocation = '" + a.Host() + "/full'\n[[registry]]\nlocation = '" + a.Host() + "'\nblocked = true\n",
		"insecure mirror":   primary("up.invalid", "") + "[[registry.mirror]]\nlocation = 'm.invalid'\n" + mirror(a, "full", ""),
	}
	asked := func() (out []string) {
		for i, p := range []*testenv.Proxy{a, b, c} {
			for _, r := range p.Requests() {
				if strings.Contains(r.Path, "/manifests/") {
					out = append(out, fmt.Sprintf("%c %d", 'a'+i, r.Status))
				}
			}
			p.Reset()
		}
		return out
	}
	for name, conf := range confs {
		for _, ref := range []string{":1", "@" + base.Digest} {
			t.Run(name+ref[:2], func(t *testing.T) {
				host, path := "up.invalid", "app"
				switch {
				case name == "wildcard":
					host = "x.up.invalid"
				case name == "longest prefix", name == "mirror by a part": // the location is the whole name then
					conf = strings.Replace(conf, c.Host()+"/full", c.Host()+"/full/app", 1)
				}
				file := write(t, filepath.Join(t.TempDir(), "registries.conf"), conf)
				asked()
				cmd := exec.Command("skopeo", "--registries-conf", file, "inspect", "--raw", "docker://"+host+"/"+path+ref)
				cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=")
				out, skopeoErr := cmd.CombinedOutput()
				theirs := asked()
				_, err := client(t, conf, nil, registry.Options{}).Repository(registry.Name{Registry: host, Repository: path}, registry.ModePull).Manifest(t.Context(), ref[1:])
				if d := cmp.Diff(theirs, asked()); d != "" || (err == nil) != (skopeoErr == nil) {
					t.Errorf("Skopeo -, Gantry +\n%s\n%v\n%s", d, err, out)
				}
			})
		}
	}
}
