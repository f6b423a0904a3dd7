package createlayers

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/internal/layertoc"
)

// conflicts looks for paths at which two layers have different content, one of them at least a ContainerLayer item's: a message, and with
// Strict an error, GANTRY4026. Layers whose contents are not known are left out.
func (s *scene) conflicts(groups []*group) error {
	c := comparison{at: map[string]place{}, within: map[string]*group{}}
	for _, g := range groups { // lowest first
		entries, err := s.contents(g)
		if err != nil {
			return err
		}
		c.add(g, entries)
	}
	if c.count == 0 {
		return nil
	}
	what := c.first
	if c.count > 1 {
		what += fmt.Sprintf("; so it is with %d more paths", c.count-1)
	}
	if s.req.Strict {
		return diag.New(diag.LayerConflict, what, "leave the file out of one of them, or let GantryStrict be false")
	}
	s.log.Info(diag.MessageLine(diag.LayerConflict, what))
	return nil
}

// contents is what a layer has at which path, relative to the root of the image; nil when that is not known.
func (s *scene) contents(g *group) ([]layertoc.Entry, error) {
	if g.blob == nil {
		root := layer.ContainerPath(g.spec.WorkingDirectory, g.spec.Windows)
		var entries []layertoc.Entry
		for _, f := range g.spec.Folders {
			entries = append(entries, layertoc.Entry{Path: path.Join(root, f), Kind: layertoc.Folder})
		}
		for i := range g.spec.Files {
			f := &g.spec.Files[i]
			content, err := f.ContentDigest()
			if err != nil {
				return nil, err
			}
			entries = append(entries, layertoc.Entry{Path: path.Join(root, f.Path), Kind: layertoc.File, Digest: content})
		}
		return entries, nil
	}
	var data []byte
	var entries []layertoc.Entry
	err := errors.New("the layer was not read")
	if g.blob.Contents != "" {
		data, err = s.store.ReadAll(g.blob.Contents)
	}
	if err == nil {
		entries, err = layertoc.Parse(data)
	}
	if err != nil { // the layer is what its digest says all the same
		s.log.Info("the paths of layer "+g.name+" are not compared with those of others", "stage", Stage, "reason", err.Error())
		return nil, nil
	}
	if s.in.base.Windows() {
		return entries, windowsLayer(g, entries)
	}
	return entries, nil
}

// windowsLayer refuses a layer that Windows could not mount: all of it must be in these folders (hcsshim, internal/wclayer).
func windowsLayer(g *group, entries []layertoc.Entry) error {
	for _, e := range entries {
		switch top, _, _ := strings.Cut(e.Path, "/"); top {
		case "Files", "Hives", "UtilityVM":
		default:
			return diag.New(diag.NotALayer, fmt.Sprintf("the layer %q is none for Windows: it has %q, which is neither in Files nor in Hives", g.name, e.Path),
				"name a layer of an image for Windows, or set Platform on the item")
		}
	}
	return nil
}

// comparison is what the layers so far have.
type comparison struct {
	at map[string]place
	// within are the folders that something lies in, with a layer that has it.
	within map[string]*group
	first  string // the first conflict, as a sentence
	count  int
}

// place is what the topmost layer has at a path. A folder is implied when the layer only has something in it.
type place struct {
	layertoc.Entry
	group   *group
	implied bool
}

// add compares a layer with those below.
func (c *comparison) add(g *group, entries []layertoc.Entry) {
	for _, e := range entries {
		switch e.Kind {
		case layertoc.Deleted:
			if below, there := c.at[e.Path]; there {
				c.note(e.Path, below.group, g, "deletes it")
			}
		case layertoc.Opaque:
			dir := strings.TrimSuffix(e.Path, "/")
			if below := c.within[dir]; below != nil {
				c.note(dir, below, g, "deletes all that is in it")
			}
		}
	}
	for _, e := range entries {
		if e.Kind == layertoc.Deleted || e.Kind == layertoc.Opaque {
			continue
		}
		c.put(place{e, g, false})
		for dir := path.Dir(e.Path); ; dir = path.Dir(dir) {
			if dir == "." {
				dir = ""
			}
			seen := c.within[dir] == g
			c.within[dir] = g
			if dir == "" || seen {
				break
			}
			c.put(place{layertoc.Entry{Path: dir, Kind: layertoc.Folder}, g, true})
		}
	}
}

// put notes what a layer has at a path, over what is there.
func (c *comparison) put(p place) {
	below, there := c.at[p.Path]
	if there && below.group == p.group && p.implied {
		return
	}
	// a folder that is only implied may be reached through a link of the other layer
	through := p.implied && below.Kind == layertoc.Link || below.implied && p.Kind == layertoc.Link
	if there && below.group != p.group && !through && !below.Same(p.Entry) {
		c.note(p.Path, below.group, p.group, "has other content there, which counts, as it lies above")
	}
	if !there || !p.implied {
		c.at[p.Path] = p
	}
}

// note notes a conflict, unless none of the layers is that of an item.
func (c *comparison) note(at string, below, above *group, how string) {
	if !below.extra && !above.extra {
		return
	}
	if c.count++; c.count == 1 {
		c.first = fmt.Sprintf("the layer %q has /%s, and the layer %q %s", below.name, at, above.name, how)
	}
}
