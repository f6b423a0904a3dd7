package msbuild

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/testenv"
)

func differentialCases() []differentialCase {
	return slices.Concat(projectCases, imageCases, indexCases, configCases, entrypointCases, nameCases, archiveCases)
}

// TestDifferential holds Gantry to the SDK: the same projects, published by both into registries of their own.
func TestDifferential(t *testing.T) {
	testenv.Require(t, "dotnet", "docker-registry")
	cases := differentialCases()
	r := &differentialRun{
		t: t, root: t.TempDir(), since: time.Now().Add(-time.Second),
		sdk: testenv.StartRegistry(t), gantry: testenv.StartRegistry(t), other: testenv.StartRegistry(t),
	}
	r.bases = pushDifferentialBases(t, r.sdk, r.gantry, r.other)
	r.build()
	for _, c := range cases {
		r.write(c)
	}
	r.publish(cases)
	occurred := map[factPair]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			side := *r
			side.t = t
			side.compare(t, c, occurred)
		})
	}
	r.nothingElse(t, cases)
	for _, d := range differencesEverywhere {
		for _, f := range d.facts {
			if !occurred[f] {
				t.Errorf("%q differs in no case", f.name)
			}
		}
	}
}

// compare checks that one case differs exactly as it says.
func (r *differentialRun) compare(t *testing.T, c differentialCase, everywhere map[factPair]bool) {
	sdk, gantry := r.facts(c, "sdk"), r.facts(c, "gantry")
	if sdk["error"] != c.code {
		t.Errorf("the SDK's error is %q, the case says %q", sdk["error"], c.code)
	}
	if sdk["warnings"] != c.warnings {
		t.Errorf("the SDK's warnings are %q, the case says %q", sdk["warnings"], c.warnings)
	}
	if sdk["error"] == "" && len(sdk) == 0 != c.nothing {
		t.Errorf("the SDK did nothing and raised no error: %v", len(sdk) == 0)
	}
	if s, g := sdk.summary(), gantry.summary(); (s["error"] == "") != (g["error"] == "") || s["lands"] != g["lands"] {
		// all of an image against nothing says no more than this
		sdk, gantry = sdk.summary(), gantry.summary()
	}
	stated := map[factPair]bool{}
	names := maps.Clone(sdk)
	maps.Copy(names, gantry)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if sdk[name] == gantry[name] {
			continue
		}
		if !mark(c.differs, stated, name, sdk[name], gantry[name]) && !mark(differencesEverywhere, everywhere, name, sdk[name], gantry[name]) {
			t.Errorf("%s\n   SDK:    %s\n   Gantry: %s", name, show(sdk, name), show(gantry, name))
		}
	}
	for _, d := range c.differs {
		for _, f := range d.facts {
			if !stated[f] {
				t.Errorf("the case says that %q differs, %q from %q, and it does not", f.name, f.sdk, f.gantry)
			}
		}
	}
	if t.Failed() {
		for _, side := range []string{"sdk", "gantry"} {
			for _, line := range r.log[r.place(c, side)] {
				t.Logf("%s: %s %s: %s", side, line.level, line.code, line.text)
			}
		}
	}
}

// nothingElse checks that no side pushed to a repository that no case names.
func (r *differentialRun) nothingElse(t *testing.T, cases []differentialCase) {
	t.Helper()
	known := map[string]bool{"bases": true}
	for _, c := range cases {
		known[c.landsIn()] = true
	}
	for side, registry := range map[string]*testenv.Registry{"the SDK": r.sdk, "Gantry": r.gantry} {
		var catalog struct {
			Repositories []string `json:"repositories"`
		}
		code, _, body := registry.Get("/v2/_catalog?n=1000")
		if err := json.Unmarshal(body, &catalog); err != nil || code != http.StatusOK {
			t.Fatalf("catalog: %d %s", code, body)
		}
		for _, name := range catalog.Repositories {
			if !known[name] && len(registry.Tags(name)) > 0 {
				t.Errorf("%s pushed to %s, which no case expects", side, name)
			}
		}
	}
}

func show(f facts, name string) string {
	value, ok := f[name]
	if !ok {
		return "(nothing)"
	}
	return fmt.Sprintf("%q", value)
}

// mark notes which difference states a fact; it returns false for none.
func mark(list []difference, seen map[factPair]bool, name, sdk, gantry string) bool {
	for _, d := range list {
		for _, f := range d.facts {
			if like(f.name, name) && like(f.sdk, sdk) && like(f.gantry, gantry) {
				seen[f] = true
				return true
			}
		}
	}
	return false
}

// summary is whether it failed and whether anything landed.
func (f facts) summary() facts {
	short := facts{"lands": "no"}
	for name := range f {
		if strings.HasPrefix(name, "tag ") {
			short["lands"] = "yes"
		}
	}
	if f["error"] != "" {
		short["error"] = f["error"]
	}
	return short
}
