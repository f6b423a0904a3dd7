package publish

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/nearest"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/resolvelayers"
)

// itemKeys are the names that --layer knows: Include, and the metadata of ContainerLayer items but those by which MSBuild groups them.
var itemKeys = []string{
	"Include", "Type", "Registry", "Repository", "Reference", "MediaType", "Size", "Files", "Except", "TargetPath", "Mode", "Owner",
	"From", "Base", "Order", "Platform", "Description",
}

// nextKey is where a further KEY=VALUE begins: a comma before anything else is part of a value, as in a glob {a,b}.
var nextKey = regexp.MustCompile(`,[A-Za-z]+=`)

// parseItem reads INCLUDE[,KEY=VALUE]... as a ContainerLayer item. What the values mean is resolve-layers' to say.
func parseItem(text string) (item resolvelayers.Item, err error) {
	fields := map[string]*string{
		"Include": &item.Include, "Type": &item.Type, "Registry": &item.Registry, "Repository": &item.Repository, "Reference": &item.Reference,
		"MediaType": &item.MediaType, "Size": &item.Size, "Files": &item.Files, "Except": &item.Except, "TargetPath": &item.TargetDirectory,
		"Mode": &item.Mode, "Owner": &item.Owner, "From": &item.From, "Base": &item.Base, "Order": &item.Order, "Platform": &item.Platform,
		"Description": &item.Description,
	}
	const hint = "write --layer INCLUDE,KEY=VALUE,…, for example --layer models,Files=models/**,TargetPath=/models"
	rest, _ := strings.CutPrefix(text, "Include=")
	rest = "Include=" + rest
	seen := map[string]bool{}
	for rest != "" {
		key, value, _ := strings.Cut(rest, "=")
		rest = ""
		if at := nextKey.FindStringIndex(value); at != nil {
			value, rest = value[:at[0]], value[at[0]+1:]
		}
		name := nearest.Name(key, itemKeys)
		switch {
		case !strings.EqualFold(name, key) && name != "":
			return item, badOption(fmt.Sprintf("--layer %q has the unknown key %s", text, key), "did you mean "+name+"? "+hint)
		case name == "":
			return item, badOption(fmt.Sprintf("--layer %q has the unknown key %s", text, key), "there are "+strings.Join(itemKeys, ", "))
		case seen[name]:
			return item, badOption(fmt.Sprintf("--layer %q has %s twice", text, name), hint)
		case value == "":
			return item, badOption(fmt.Sprintf("--layer %q has nothing for %s", text, name), hint)
		}
		seen[name], *fields[name] = true, value
	}
	return item, nil
}

// items runs resolve-layers, and returns the file of its response; empty when no layers are named. Globs and tarballs are relative to the
// working folder.
func (b *build) items(ctx context.Context) (file string, err error) {
	if len(b.layerItems) == 0 {
		return "", nil
	}
	base, _, err := tasks.ReadBase(b.file("select-base"))
	if err != nil {
		return "", err
	}
	trust := !b.MakeLayers
	record := cas.DigestOf([]byte("layers of "+b.Folder)).Hex() + ".json"
	_, err = b.call(ctx, resolvelayers.Stage, &resolvelayers.Request{
		Items:             b.layerItems,
		ProjectFolderPath: b.env.Dir,
		RuntimeIdentifier: b.RuntimeIdentifier,
		BaseRegistry:      base.Registry,
		OutputRegistry:    b.name.Registry,
		WorkingDirectory:  b.WorkingDirectory,
		User:              b.User,
		PullPolicy:        b.Pull,
		Strict:            b.Strict,
		TrustLayerKeys:    &trust,
		RecallRequestPath: b.recallRequest(),
		RecordPath:        filepath.Join(b.env.Store.Dir(), "published", record),
	})
	return b.file(resolvelayers.Stage), err
}
