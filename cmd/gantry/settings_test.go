package main

import (
	"context"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestTrustsLayerKeys: the flag decides over the setting.
func TestTrustsLayerKeys(t *testing.T) {
	tests := []struct {
		setting string
		args    []string
		want    bool
	}{
		{"", nil, true},
		{"false", nil, false},
		{"false", []string{"--trust-layer-keys"}, true},
		{"true", []string{"--trust-layer-keys=false"}, false},
	}
	for _, test := range tests {
		p := &process{getenv: func(k string) string { return map[string]string{"GANTRY_TRUST_LAYER_KEYS": test.setting}[k] }}
		command, ran := p.publishCommand(), false
		p.useSettings(command)
		command.Action = func(c *cli.Context) error {
			if ran = true; p.trustsLayerKeys(c) != test.want {
				t.Errorf("%q %q: want %v", test.setting, test.args, test.want)
			}
			return nil
		}
		app := &cli.App{Commands: []*cli.Command{command}}
		if err := app.RunContext(context.Background(), append([]string{"gantry", "publish"}, test.args...)); err != nil || !ran {
			t.Errorf("%q %q: %v", test.setting, test.args, err)
		}
	}
}
