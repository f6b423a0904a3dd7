package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/place"
	"github.com/gantry-build/gantry/internal/records"
)

func (p *process) copyCommand() *cli.Command {
	return &cli.Command{
		Name:      "copy",
		Usage:     "copies an image between registries, OCI layouts, archives, Docker and Podman; prints the digest",
		UsageText: "gantry copy SOURCE DESTINATION [--platform OS/ARCHITECTURE] [--tag TAG ...]",
		Description: "Places are docker://REGISTRY/REPOSITORY:TAG (or without docker://), oci:FOLDER[:NAME], oci-archive:FILE[:NAME],\n" +
			"docker-archive:FILE[:NAME], docker-daemon:NAME and podman:NAME. What the destination has is not sent. Docker and\n" +
			"Podman get the image for their platform where they cannot hold an index.",
		Flags: append(append([]cli.Flag{
			&cli.StringFlag{Name: "platform", Usage: "copy the image for `OS/ARCHITECTURE[/VARIANT]` alone (default: all of an index)"},
			&cli.StringSliceFlag{Name: "tag", Usage: "give the image this `TAG` too; again for more"},
		}, outcomeFlags()...), commonFlags()...),
		Action: p.copy,
	}
}

func (p *process) copy(c *cli.Context) error {
	if err := arguments(c, "SOURCE", "DESTINATION"); err != nil {
		return err
	}
	from, err := place.Parse(c.Args().Get(0))
	if err != nil {
		return err
	}
	to, err := place.Parse(c.Args().Get(1))
	if err != nil {
		return err
	}
	env, done, err := p.environment(c)
	if err != nil {
		return err
	}
	result, err := place.Copy(c.Context, place.Deps{
		Registry: env.Registry, Records: records.Of(env.Store), Log: env.Log, Progress: env.Progress, Getenv: p.getenv,
	}, from, to, place.Options{Platform: c.String("platform"), Tags: c.StringSlice("tag")})
	switch {
	case err != nil:
	case result.Pushed != nil:
		err = env.Outcome(*result.Pushed)
	default:
		err = env.Saved(*result.Saved)
	}
	done() // before the answer, as drawing clears what stands below the lines
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, result.Digest)
	return err
}
