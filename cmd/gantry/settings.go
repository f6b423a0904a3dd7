package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/hosts"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/settings"
	"github.com/gantry-build/gantry/tasks"
)

// withoutSettings are the commands that work whatever a gantry.toml says.
var withoutSettings = []string{"schema", "stages", "version"}

// useSettings makes a command and those below it read the settings before they do anything.
func (p *process) useSettings(c *cli.Command) {
	if slices.Contains(withoutSettings, c.Name) {
		return
	}
	if len(c.Subcommands) == 0 {
		c.Flags = append(c.Flags, &cli.StringFlag{Name: "config", Usage: "read settings from `FILE`, before the repository's and the user's gantry.toml (default: $" + settings.EnvConfig + ")"})
		c.Before = p.loadSettings
	}
	for _, sub := range c.Subcommands {
		p.useSettings(sub)
	}
}

// loadSettings reads all settings. From then on the environment says what holds: code below knows variables alone.
func (p *process) loadSettings(c *cli.Context) error {
	dir, err := os.Getwd()
	if err != nil {
		return diag.Wrap(diag.Internal, err, "the working directory is not known", "change to a folder that exists")
	}
	p.settings, err = settings.Load(settings.Source{
		Getenv: p.getenv, Dir: cmp.Or(p.getenv(settings.EnvDir), dir), Config: c.String("config"),
		CacheDir: cas.DefaultDir(func(string) string { return "" }),
	})
	if err != nil {
		return err
	}
	p.getenv = p.settings.Getenv(p.getenv)
	return nil
}

// network is the user's part of how registries are spoken to.
func (p *process) network(o registry.Options) registry.Options {
	s := p.settings
	o.Network = hosts.New(hosts.DefaultFiles(p.getenv))
	o.Limits = registry.Limits{
		Requests: s.Count("limits.requests"), Uploads: s.Count("limits.uploads"), Downloads: s.Count("limits.downloads"),
		Connect: s.Duration("timeouts.connect"), Stall: s.Duration("timeouts.stall"),
		Attempts: s.Count("retries.attempts"), Wait: s.Duration("retries.max-wait"), Budget: s.Duration("retries.max-time"),
	}
	return o
}

// trustsLayerKeys is the flag where it is set, else the setting.
func (p *process) trustsLayerKeys(c *cli.Context) bool {
	const flag = "trust-layer-keys"
	if c.IsSet(flag) {
		return c.Bool(flag)
	}
	return p.settings.Bool("trust.layer-keys")
}

func (p *process) settingsCommand() *cli.Command {
	return &cli.Command{
		Name:      "settings",
		Usage:     "says every setting, its value, and where that comes from",
		UsageText: "gantry settings [--json]",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as JSON"}, errorFileFlag()},
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			if c.Bool("json") {
				return p.json(settingsDocument(p.settings))
			}
			w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
			for _, v := range p.settings.Values {
				fmt.Fprintf(w, "%s\t%s\t%s\n", v.Name, v.Text, v.From)
			}
			return w.Flush()
		},
	}
}

type settingRow struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	From     string `json:"from"`
	Kind     string `json:"kind"`
	Default  string `json:"default,omitempty"`
	Variable string `json:"variable"`
	Property string `json:"property"`
	Meaning  string `json:"meaning"`
}

func settingsDocument(s *settings.Settings) any {
	rows := []settingRow{}
	for _, v := range s.Values {
		rows = append(rows, settingRow{
			Name: v.Name, Value: v.Text, From: v.From, Kind: string(v.Kind), Default: v.Default,
			Variable: v.Env(), Property: v.Property(), Meaning: v.Meaning,
		})
	}
	files := s.Files
	if files == nil {
		files = []string{}
	}
	return struct {
		SchemaVersion int          `json:"schemaVersion"`
		Files         []string     `json:"files"`
		Settings      []settingRow `json:"settings"`
	}{tasks.SchemaVersion, files, rows}
}
