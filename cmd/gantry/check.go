package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/check"
	"github.com/gantry-build/gantry/tasks/runner"
)

// checkName is the stage that has a form for people and scripts, too.
const checkName = "check"

// checkCommand adds that form to the stage's command: with a destination as its argument it makes the request from flags.
func (p *process) checkCommand(s runner.Stage, c *cli.Command) *cli.Command {
	c.UsageText = "gantry check REGISTRY/REPOSITORY --key KEY [--base REFERENCE] [--rid RUNTIME ...] [--tag TAG ...]\n" + c.UsageText
	c.Flags = append(c.Flags, checkFlags()...)
	run := c.Action
	c.Action = func(c *cli.Context) error {
		if !c.Args().Present() && !c.IsSet("key") {
			return run(c)
		}
		return p.check(c, s)
	}
	return c
}

func checkFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "key", Usage: "look for the image of the cache key `KEY`"},
		&cli.BoolFlag{Name: "hash-key", Usage: "allow characters in the key that no tag can have"},
		&cli.StringFlag{Name: "key-repository", Usage: "look for the key in `REPOSITORY` (default: the image's own)"},
		&cli.StringFlag{Name: "base", Usage: "the image must be built on `REFERENCE` as it is now (default: on the base that the image names)"},
		&cli.BoolFlag{Name: "any-base", Usage: "the key stands for the base too: do not look at it"},
		&cli.StringSliceFlag{Name: "rid", Usage: "the image must be for this `RUNTIME` identifier; again for an index of several (default: whatever it is for)"},
		&cli.StringFlag{Name: "format", Usage: "the image must be `oci` or docker (default: as the base)"},
		&cli.StringSliceFlag{Name: "also-push-to", Usage: "on a hit, take the image over to `REGISTRY/REPOSITORY` too; again for more"},
		&cli.StringSliceFlag{Name: "tag", Usage: "on a hit, give the image this `TAG`; again for more"},
		&cli.StringFlag{Name: "tags-on-hit", Value: check.TagsMove, Usage: "`move` the tags on a hit, or none"},
		&cli.BoolFlag{Name: "platform-tags", Usage: "on a hit, give each image of an index the tags with its runtime identifier"},
		&cli.StringFlag{Name: "verify", Usage: "look at `manifest`, blobs, tags, or blobs,tags (default: manifest)"},
	}
}

// check answers on standard output.
func (p *process) check(c *cli.Context, s runner.Stage) error {
	if c.IsSet("request") || c.IsSet("response") {
		return badUsage("--request and --response leave nothing to say by flags or arguments")
	}
	if err := arguments(c, "REGISTRY/REPOSITORY"); err != nil {
		return err
	}
	to := c.Args().First()
	host, repository, found := strings.Cut(to, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return badUsage(fmt.Sprintf("%q names no registry", to))
	}
	format, known := map[string]string{"": "", "oci": "OCI", "docker": "Docker"}[strings.ToLower(c.String("format"))]
	if !known {
		return badUsage(fmt.Sprintf("--format %q is not oci or docker", c.String("format")))
	}
	env, done, err := p.environment(c)
	if err != nil {
		return err
	}
	defer done()
	base := !c.Bool("any-base")
	resp, err := s.Write(c.Context, env, &check.Request{
		RequestHeader:      tasks.RequestHeader{SchemaVersion: tasks.SchemaVersion, Stage: s.Name},
		Reference:          c.String("base"),
		Registry:           host,
		Repository:         repository,
		AlsoPushTo:         c.StringSlice("also-push-to"),
		KeyRepository:      c.String("key-repository"),
		CacheKey:           c.String("key"),
		HashCacheKey:       c.Bool("hash-key"),
		KeyIncludesBase:    &base,
		Tags:               c.StringSlice("tag"),
		TagsOnHit:          c.String("tags-on-hit"),
		PlatformTags:       c.Bool("platform-tags"),
		RuntimeIdentifiers: c.StringSlice("rid"),
		Verify:             c.String("verify"),
		ImageFormat:        format,
	}, runner.Dash)
	if err != nil {
		return err
	}
	return runner.Status(resp)
}
