package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/tasks/publish"
)

func (p *process) publishCommand() *cli.Command {
	return &cli.Command{
		Name:      "publish",
		Usage:     "makes an image of a published folder and pushes it; prints the digest",
		UsageText: "gantry publish FOLDER --to REGISTRY/REPOSITORY [--base REFERENCE] [--tag TAG ...]",
		Flags:     append(append(publishFlags(), outcomeFlags()...), commonFlags()...),
		Action:    p.publish,
	}
}

func publishFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "to", Usage: "push to `REGISTRY/REPOSITORY`"},
		&cli.StringSliceFlag{Name: "also-push-to", Usage: "push to `REGISTRY/REPOSITORY` too, under the same tags; again for more"},
		&cli.StringSliceFlag{Name: "tag", Usage: "give the image this `TAG`; again for more (default: latest)"},
		&cli.StringFlag{Name: "base", Usage: "build on the image `REFERENCE` (default: Microsoft's for the app's framework)"},
		&cli.StringFlag{Name: "rid", Usage: "choose the base's variant for this `RUNTIME` identifier (default: the app's, else linux on this machine's CPU)"},
		&cli.StringSliceFlag{Name: "entrypoint", Usage: "start with this `WORD`; again for each further one (default: the app in the folder)"},
		&cli.StringSliceFlag{Name: "env", Usage: "set `NAME=VALUE` in the container's environment; again for more"},
		&cli.StringSliceFlag{Name: "label", Usage: "give the image the label `NAME=VALUE`; again for more"},
		&cli.StringSliceFlag{Name: "port", Usage: "expose `NUMBER[/TYPE]`; again for more"},
		&cli.StringFlag{Name: "user", Usage: "run as `USER` (default: APP_UID of the base, else the base's user)"},
		&cli.StringFlag{Name: "workdir", Usage: "put the app into `FOLDER` of the image (default: /app/)"},
		&cli.StringFlag{Name: "format", Usage: "make an `oci` or docker image (default: as the base)"},
		&cli.StringFlag{Name: "layers", Value: "auto", Usage: "make layers by origin (`auto`) or one (single)"},
		&cli.StringSliceFlag{Name: "own-layer", Usage: "put files into a layer of their own: `NAME=GLOB[;GLOB]`, globs relative to FOLDER; again for more"},
		&cli.StringSliceFlag{Name: "layer", Usage: "add a layer: `INCLUDE[,KEY=VALUE...]`, the metadata of a ContainerLayer item; again for more"},
		&cli.BoolFlag{Name: "strict", Usage: "fail when two layers put different content at one path"},
		&cli.StringFlag{Name: "compression", Usage: "compress layers with `gzip`, zstd (oci only) or none (default: gzip)"},
		&cli.StringFlag{Name: "compression-level", Usage: "compress at `LEVEL`, 1 (fast) to 9 for gzip, to 22 for zstd"},
		&cli.StringSliceFlag{Name: "cache-from", Usage: "take layers from the image `REFERENCE` too, for example another branch's; again for more"},
		&cli.StringFlag{Name: "cache-tag", Usage: "move `TAG` with every push, so that the next one finds the last image"},
		&cli.BoolFlag{Name: "trust-layer-keys", Value: true, Usage: "take layers by the keys that an image has; =false makes all and compares"},
		&cli.StringFlag{Name: "pull", Usage: "ask for the base `WHEN`: always, missing or never (default: always)"},
		&cli.StringFlag{Name: "source-date-epoch", Usage: "the app's time in `SECONDS` since 1970 (default: $SOURCE_DATE_EPOCH, else none)"},
		&cli.BoolFlag{Name: "no-skip", Usage: "push without asking whether the image is there"},
		&cli.BoolFlag{Name: "force-push", Usage: "send everything again, whatever the registry says it has"},
		&cli.StringFlag{Name: "verify", Value: "manifest", Usage: "look at `WHAT` of an image that is there: manifest, blobs, tags, or blobs,tags"},
		&cli.BoolFlag{Name: "dry-run", Usage: "say what would be done, and write nothing to the registry"},
	}
}

func (p *process) publish(c *cli.Context) error {
	if err := arguments(c, "FOLDER"); err != nil {
		return err
	}
	if c.String("to") == "" {
		return badUsage("--to is needed")
	}
	env, done, err := p.environment(c)
	if err != nil {
		return err
	}
	env.MakeLayers = !p.trustsLayerKeys(c)
	epoch := c.String("source-date-epoch")
	if !c.IsSet("source-date-epoch") {
		epoch = p.getenv("SOURCE_DATE_EPOCH")
	}
	digest, err := publish.Run(c.Context, env, publish.Options{
		Folder:            c.Args().First(),
		To:                c.String("to"),
		AlsoPushTo:        c.StringSlice("also-push-to"),
		Tags:              c.StringSlice("tag"),
		Base:              c.String("base"),
		RuntimeIdentifier: c.String("rid"),
		Entrypoint:        c.StringSlice("entrypoint"),
		Environment:       c.StringSlice("env"),
		Labels:            c.StringSlice("label"),
		Ports:             c.StringSlice("port"),
		User:              c.String("user"),
		WorkingDirectory:  c.String("workdir"),
		Format:            c.String("format"),
		Layers:            c.String("layers"),
		OwnLayers:         c.StringSlice("own-layer"),
		LayerItems:        c.StringSlice("layer"),
		Strict:            c.Bool("strict"),
		Compression:       c.String("compression"),
		CompressionLevel:  c.String("compression-level"),
		CacheFrom:         c.StringSlice("cache-from"),
		CacheTag:          c.String("cache-tag"),
		MakeLayers:        env.MakeLayers,
		Pull:              c.String("pull"),
		SourceDateEpoch:   epoch,
		OwnOutputs:        []string{c.String("report"), p.refsFile(c)},
		DryRun:            c.Bool("dry-run"),
		NoSkip:            c.Bool("no-skip"),
		ForcePush:         c.Bool("force-push"),
		Verify:            c.String("verify"),
	})
	done() // before the answer, as drawing clears what stands below the lines
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, digest)
	return err
}
