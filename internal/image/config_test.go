package image

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

const goodConfig = `{"architecture":"arm","os":"linux","variant":"v7","created":"2020-01-02T03:04:05Z","future":{"b":1,"a":2},` +
	`"config":{"Env":["PATH=/bin","A=1"],"Labels":{"l":"1"},"ExposedPorts":{"80":{},"81/udp":{}},"User":"u","Entrypoint":["e"],"Healthcheck":{"Test":["NONE"]}},` +
	`"rootfs":{"type":"layers","diff_ids":["` + digestA + `"]},"history":[{"created_by":"x","comment":"c"},{"empty_layer":true}]}`

// derive derives from a configuration without changing anything on purpose.
func derive(t require, c *Config) json.RawMessage {
	t.Helper()
	out, err := c.Derive(Changes{Environment: c.Environment, Ports: c.Ports, Labels: c.Labels, User: c.User, Created: "2021-01-01T00:00:00Z"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type require interface {
	Helper()
	Fatal(...any)
}

func TestAddLayers(t *testing.T) {
	c, err := ParseConfig([]byte(goodConfig))
	if err != nil {
		t.Fatal(err)
	}
	layers := []NewLayer{
		{DiffID: digestB, CreatedBy: "made so", Comment: "key"},
		{DiffID: cas.DigestOf([]byte("app")), CreatedBy: "gantry: app"},
	}
	got, err := AddLayers(derive(t, c), layers)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"architecture":"arm","config":{"Env":["PATH=/bin","A=1"],"ExposedPorts":{"80/tcp":{},"81/udp":{}},"Healthcheck":{"Test":["NONE"]},"Labels":{"l":"1"},"User":"u"},` +
		`"created":"2021-01-01T00:00:00Z","future":{"b":1,"a":2},"history":[{"created_by":"x","comment":"c"},{"empty_layer":true},` +
		`{"comment":"key","created":"2021-01-01T00:00:00Z","created_by":"made so"},{"created":"2021-01-01T00:00:00Z","created_by":"gantry: app"}],` +
		`"os":"linux","rootfs":{"diff_ids":["` + digestA + `","` + digestB + `","` + string(cas.DigestOf([]byte("app"))) + `"],"type":"layers"},"variant":"v7"}`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if _, err := AddLayers([]byte(`{}`), nil); err == nil {
		t.Error("an empty configuration is accepted")
	}
}

// TestDerive_history: whatever the base says, entries that stand for a layer are as many as layers, unless the base has too many.
func TestDerive_history(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		layers := rapid.IntRange(0, 6).Draw(rt, "layers")
		entries := rapid.SliceOfN(rapid.Bool(), 0, 8).Draw(rt, "empty")
		var history []string
		filled := 0
		for _, empty := range entries {
			if empty {
				history = append(history, `{"empty_layer":true}`)
			} else {
				history = append(history, `{}`)
				filled++
			}
		}
		ids := strings.TrimSuffix(strings.Repeat(`"`+digestA+`",`, layers), ",")
		c, err := ParseConfig([]byte(`{"os":"linux","architecture":"a","rootfs":{"type":"layers","diff_ids":[` + ids + `]},"history":[` + strings.Join(history, ",") + `]}`))
		if err != nil {
			rt.Fatal(err)
		}
		app := make([]NewLayer, rapid.IntRange(0, 3).Draw(rt, "app"))
		for i := range app {
			app[i] = NewLayer{DiffID: digestB}
		}
		final, err := AddLayers(derive(rt, c), app)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := ParseConfig(final)
		if err != nil {
			rt.Fatal(err)
		}
		if want := max(layers, filled) + len(app); got.filled != want || len(got.DiffIDs) != layers+len(app) {
			rt.Errorf("%d entries for %d layers, want %d", got.filled, len(got.DiffIDs), want)
		}
	})
}

func TestEnvironment(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := rapid.SampledFrom([]string{"A", "B", "C", "a"})
		e, model := ParseEnvironment(nil), map[string]string{}
		var order []string
		for range rapid.IntRange(0, 20).Draw(rt, "n") {
			k, v := names.Draw(rt, "name"), rapid.String().Draw(rt, "value")
			if _, ok := model[k]; !ok {
				order = append(order, k)
			}
			model[k] = v
			e.Set(k, v)
		}
		for i, s := range ParseEnvironment(e.Entries()).Entries() {
			if want := order[i] + "=" + model[order[i]]; s != want {
				rt.Errorf("entry %d is %q, want %q", i, s, want)
			}
		}
	})
}

func TestParseEpoch(t *testing.T) {
	for _, s := range []string{"-1", "+1", " 1", "1 ", "0x1", "1.5", "1e3", "253402300800", "99999999999999999999", "now"} {
		_, ok, err := ParseEpoch(s)
		if ok {
			t.Errorf("%q is accepted", s)
		}
		wantCode(t, err, diag.InvalidEpoch)
	}
	for s, want := range map[string]int64{"0": 0, "00": 0, "1700000000": 1700000000, "253402300799": 253402300799} {
		if got, ok, err := ParseEpoch(s); err != nil || !ok || got.Unix() != want {
			t.Errorf("%q: %v, %v, %v", s, got, ok, err)
		}
	}
	if _, ok, err := ParseEpoch(""); ok || err != nil {
		t.Errorf("empty: %v, %v", ok, err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(goodConfig))
	f.Add([]byte(`{"os":"windows","architecture":"amd64","rootfs":{"type":"layers"},"config":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseConfig(body)
		if err != nil {
			if diag.CodeOf(err) != diag.InvalidBaseConfig {
				t.Errorf("got %v", err)
			}
			return
		}
		once := derive(t, c)
		again, err := ParseConfig(once)
		if err != nil {
			t.Fatalf("what was derived cannot be read: %v\n%s", err, once)
		}
		if twice := derive(t, again); !bytes.Equal(once, twice) {
			t.Errorf("deriving without changes changes:\n%s\n%s", once, twice)
		}
	})
}
