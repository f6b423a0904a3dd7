package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/doctor"
	"github.com/gantry-build/gantry/internal/prunetags"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/upkeep"
	"github.com/gantry-build/gantry/tasks"
)

// registryCommand looks into registries.
func (p *process) registryCommand() *cli.Command {
	return &cli.Command{
		Name:      "registry",
		Usage:     "probes a registry, removes old cache keys from it",
		UsageText: "gantry registry doctor|prune REGISTRY/REPOSITORY",
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return badUsage(fmt.Sprintf("there is no command registry %q", c.Args().First()))
			}
			return badUsage("registry needs one of doctor and prune")
		},
		Subcommands: []*cli.Command{p.registryDoctor(), p.registryPrune()},
	}
}

// repository is what the only argument names.
func (p *process) repository(c *cli.Context) (*registry.Repository, registry.Name, error) {
	if err := arguments(c, "REGISTRY/REPOSITORY"); err != nil {
		return nil, registry.Name{}, err
	}
	ref, err := registry.ParseReference(c.Args().First())
	if err != nil {
		return nil, registry.Name{}, err
	}
	if ref.String() != ref.Name.String()+":latest" || ref.Name.Registry == "docker.io" && c.Args().First() != ref.Name.String() {
		return nil, registry.Name{}, badUsage(fmt.Sprintf("%q is not REGISTRY/REPOSITORY", c.Args().First()))
	}
	env, done, err := p.environment(c)
	if err != nil {
		return nil, registry.Name{}, err
	}
	done()
	return env.Registry.Repository(ref.Name, registry.ModePush), ref.Name, nil
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "as JSON"} }

func (p *process) registryDoctor() *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "probes what a registry can do, in a repository that it writes to, and says what that means for a publish",
		UsageText: "gantry registry doctor REGISTRY/REPOSITORY [--json]",
		Flags:     append([]cli.Flag{jsonFlag()}, commonFlags()...),
		Action: func(c *cli.Context) error {
			repo, name, err := p.repository(c)
			if err != nil {
				return err
			}
			report, err := doctor.Run(c.Context, repo, name)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				if err := p.json(struct {
					SchemaVersion int `json:"schemaVersion"`
					*doctor.Report
				}{tasks.SchemaVersion, report}); err != nil {
					return err
				}
				return report.Err()
			}
			report.Print(p.stdout)
			return report.Err()
		},
	}
}

func (p *process) registryPrune() *cli.Command {
	return &cli.Command{
		Name:      "prune",
		Usage:     "removes old cache keys (tags content-*, src-*) and their records from a repository; without --yes it says what it would remove",
		UsageText: "gantry registry prune REGISTRY/REPOSITORY --keep AGE [--keep-last N] [--by-created] [--delete-manifests] [--yes] [--json]",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "keep", Usage: "remove no tag that was moved within this `AGE`, such as 30d"},
			&cli.IntFlag{Name: "keep-last", Usage: "keep the newest `N` tags, whatever their age"},
			&cli.BoolFlag{Name: "by-created", Usage: "take what an image says of its creation for its age; needs --keep-last"},
			&cli.BoolFlag{Name: "delete-manifests", Usage: "delete images that nothing else names too, also for those who name them by digest"},
			&cli.BoolFlag{Name: "yes", Usage: "do it"},
			jsonFlag(),
		}, commonFlags()...),
		Action: p.pruneRegistry,
	}
}

func (p *process) pruneRegistry(c *cli.Context) error {
	repo, name, err := p.repository(c)
	if err != nil {
		return err
	}
	if c.String("keep") == "" {
		return badUsage("--keep is needed")
	}
	if c.Bool("by-created") && !c.IsSet("keep-last") {
		return badUsage("--by-created needs --keep-last: when an image was created says nothing of whether it is in use")
	}
	if c.Int("keep-last") < 0 {
		return badUsage("--keep-last is negative")
	}
	o := prunetags.Options{
		Name: name, KeepLast: c.Int("keep-last"), ByCreated: c.Bool("by-created"), DeleteManifests: c.Bool("delete-manifests"), Now: time.Now(),
	}
	if o.Keep, err = upkeep.ParseAge(c.String("keep")); err != nil {
		return fmt.Errorf("--keep: %w", err)
	}
	result, err := prunetags.Plan(c.Context, repo, o)
	if err != nil {
		return err
	}
	if c.Bool("yes") {
		err = result.Apply(c.Context, repo)
	}
	if c.Bool("json") {
		if jsonErr := p.json(struct {
			SchemaVersion int  `json:"schemaVersion"`
			DryRun        bool `json:"dryRun"`
			*prunetags.Result
		}{tasks.SchemaVersion, !c.Bool("yes"), result}); jsonErr != nil {
			return jsonErr
		}
		return err
	}
	result.Print(p.stdout, !c.Bool("yes"))
	return err
}
