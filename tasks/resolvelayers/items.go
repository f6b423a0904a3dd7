package resolvelayers

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/tasks"
)

// Types of items.
const (
	typeDigest  = "Digest"
	typeFiles   = "Files"
	typeTarball = "Tarball"
	typeImage   = "Image"
)

var types = []string{typeDigest, typeFiles, typeTarball, typeImage}

// Bounds of texts that go into an image's history, in bytes.
const (
	maxName        = 250
	maxDescription = 1000
)

// item is an Item whose metadata were read.
type item struct {
	*Item
	kind      string
	order     string
	name      string
	platforms []string
	digest    cas.Digest // of a Digest
	size      int64      // that a Digest must have; 0 for any
	from      int        // of an Image; -1 for what lies above its base
	uid, gid  int64      // of Files
	owned     bool       // Owner was given
}

// problem is GANTRY4018 for an item.
func (i *Item) problem(what, hint string) error {
	return diag.New(diag.InvalidLayerItem, i.label()+" "+what, hint)
}

// label names an item in messages.
func (i *Item) label() string { return fmt.Sprintf("ContainerLayer %q", i.Include) }

// parse reads all items and returns all that is wrong with them.
func (r *Request) parse() (items []*item, errs []error) {
	for n := range r.Items {
		it := &item{Item: &r.Items[n], from: -1}
		if found := it.parse(r); len(found) > 0 {
			errs = append(errs, found...)
			continue
		}
		items = append(items, it)
	}
	return items, append(errs, repeated(items)...)
}

func (i *item) parse(r *Request) (errs []error) {
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if err := i.text(); err != nil {
		return []error{err}
	}
	if err := i.chooseType(); err != nil {
		return []error{err}
	}
	note(i.misplaced())
	note(i.parseOrder())
	note(i.parsePlatform(r))
	switch i.kind {
	case typeDigest:
		note(i.parseDigest(r))
	case typeFiles:
		note(i.parseFiles())
	case typeImage:
		note(i.parseImage(r))
	}
	return errs
}

// text refuses names that cannot be in an image's history.
func (i *item) text() error {
	i.name = cmp.Or(i.Layer, i.Include)
	switch {
	case i.Include == "":
		return i.problem("has an empty Include", "name a digest, a layer, a tarball or an image")
	case len(i.name) > maxName || len(i.Description) > maxDescription:
		return i.problem("has a name or Description that is too long", fmt.Sprintf("a name has at most %d bytes, a Description %d",
			maxName, maxDescription))
	case !printable(i.name) || !printable(i.Description):
		return i.problem("has a name or Description with a control character, or that is not UTF-8",
			"these texts go into the image's history: write a plain line")
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// algorithms are those of digests, so that one that cannot be used is not taken for a file.
var algorithms = []string{"sha256:", "sha512:", "sha384:", "sha1:", "md5:", "blake3:"}

func looksLikeDigest(s string) bool {
	return slices.ContainsFunc(algorithms, func(a string) bool { return len(s) >= len(a) && strings.EqualFold(s[:len(a)], a) })
}

// tarballs are the names that a tarball has by its end.
var tarballs = []string{".tar", ".tar.gz", ".tgz", ".tar.zst"}

func looksLikeTarball(s string) bool {
	s = strings.ToLower(s)
	return slices.ContainsFunc(tarballs, func(end string) bool { return strings.HasSuffix(s, end) })
}

// chooseType reads Type, or infers it. An image is never inferred: its reference looks like many other things.
func (i *item) chooseType() error {
	known := "Type is one of " + strings.Join(types, ", ")
	switch {
	case i.Type != "":
		for _, t := range types {
			if strings.EqualFold(i.Type, t) {
				i.kind = t
				return nil
			}
		}
		return i.problem(fmt.Sprintf("has the unknown Type %q", i.Type), known)
	case looksLikeDigest(i.Include):
		i.kind = typeDigest
	case i.Files != "" || i.Layer != "":
		i.kind = typeFiles
	case looksLikeTarball(i.Include):
		i.kind = typeTarball
	default:
		return i.problem("does not say what it is: it is no digest, no tarball ("+strings.Join(tarballs, ", ")+"), and has neither Files nor Layer",
			"set Type; "+known)
	}
	return nil
}

// misplaced refuses metadata that mean nothing for the type: whoever wrote them expects something of them.
func (i *item) misplaced() error {
	of := map[string][]string{
		"Registry": {typeDigest, typeImage}, "Repository": {typeDigest, typeImage}, "Reference": {typeDigest, typeImage},
		"MediaType": {typeDigest}, "Size": {typeDigest},
		"Files": {typeFiles}, "Except": {typeFiles}, "TargetPath": {typeFiles}, "Mode": {typeFiles}, "Owner": {typeFiles}, "Layer": {typeFiles},
		"From": {typeImage}, "Base": {typeImage},
	}
	for _, m := range []struct{ name, value string }{
		{"Registry", i.Registry},
		{"Repository", i.Repository},
		{"Reference", i.Reference},
		{"MediaType", i.MediaType},
		{"Size", i.Size},
		{"Files", i.Files},
		{"Except", i.Except},
		{"TargetPath", i.TargetDirectory},
		{"Mode", i.Mode},
		{"Owner", i.Owner},
		{"Layer", i.Layer},
		{"From", i.From},
		{"Base", i.Base},
	} {
		if m.value != "" && !slices.Contains(of[m.name], i.kind) {
			return i.problem(fmt.Sprintf("is of the Type %s, for which the metadata %s means nothing", i.kind, m.name),
				"remove it, or set another Type: it is for "+strings.Join(of[m.name], " and "))
		}
	}
	return nil
}

func (i *item) parseOrder() error {
	i.order = tasks.OrderBeforeApp
	switch {
	case i.Order == "" || strings.EqualFold(i.Order, tasks.OrderBeforeApp):
	case strings.EqualFold(i.Order, tasks.OrderAfterApp):
		i.order = tasks.OrderAfterApp
	default:
		return i.problem(fmt.Sprintf("has the unknown Order %q", i.Order), "Order is BeforeApp or AfterApp")
	}
	return nil
}

func (i *item) parsePlatform(r *Request) error {
	i.platforms = list(i.Platform)
	for _, p := range i.platforms {
		if strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != "" {
			return i.problem(fmt.Sprintf("has the Platform %q, which is no runtime identifier", p),
				"write for example linux-x64, or several with semicolons between them")
		}
	}
	if len(i.platforms) > 0 && r.RuntimeIdentifier == "" {
		return i.problem("has a Platform, and the image's runtime identifier is not known", "set ContainerRuntimeIdentifier")
	}
	return nil
}

// list splits at semicolons, as MSBuild does.
func list(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ";") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// serves says whether the item is for the image's platform: its RID is that of the image, or one that the image's RID may be served by.
func (i *item) serves(g *image.Graph, rid string) bool {
	if len(i.platforms) == 0 {
		return true
	}
	all := g.Expand(rid)
	return slices.ContainsFunc(i.platforms, func(p string) bool {
		return slices.ContainsFunc(all, func(r string) bool { return strings.EqualFold(p, r) })
	})
}

// knownPlatforms refuses a Platform that no image can be for: the layer would be in none. What serves the image is known, whatever the graph has.
func (i *item) knownPlatforms(g *image.Graph, rid string) error {
	all := g.Expand(rid)
	for _, p := range i.platforms {
		serves := func(r string) bool { return strings.EqualFold(p, r) }
		if !g.Knows(p) && !image.BuiltinGraph().Knows(p) && !slices.ContainsFunc(all, serves) {
			return i.problem(fmt.Sprintf("has the Platform %q, which is no runtime identifier that is known", p),
				fmt.Sprintf("write for example linux-x64 or linux-arm64; that of this image is %s", rid))
		}
	}
	return nil
}

func (i *item) parseDigest(r *Request) (err error) {
	if i.digest, err = cas.ParseDigest(i.Include); err != nil {
		return i.problem("has a digest that is malformed",
			"write sha256: and 64 lower-case hexadecimal digits; other algorithms are not supported")
	}
	if i.Size != "" {
		if i.size, err = strconv.ParseInt(i.Size, 10, 64); err != nil || i.size < 1 {
			return i.problem(fmt.Sprintf("has the Size %q", i.Size), "write the number of bytes of the layer's blob, in decimal digits")
		}
	}
	if err := i.checkMediaType(); err != nil {
		return err
	}
	_, err = i.blobName(r)
	if err == nil && i.Reference != "" {
		_, err = i.reference(r)
	}
	return err
}

// checkMediaType refuses a MediaType that no layer can have.
func (i *item) checkMediaType() error {
	if i.MediaType == "" {
		return nil
	}
	return checkLayerType(i.label()+" has the MediaType "+i.MediaType, i.MediaType, nil)
}

// checkLayerType refuses what a descriptor says that is no layer which can be used. what begins the message.
func checkLayerType(what, mediaType string, urls []string) error {
	_, err := image.LayerType(mediaType, image.FormatOCI)
	switch {
	case len(urls) > 0 || image.IsForeign(mediaType):
		return diag.New(diag.ForeignLayer, what+": such a layer lies at addresses of its own, which are not followed",
			"copy the image to a registry that stores its layers, and name that one")
	case image.IsManifest(mediaType) || image.IsIndex(mediaType) || mediaType == image.DockerConfig || mediaType == image.OCIConfig:
		return diag.New(diag.NotALayer, what+": that is no layer", "name the digest of a layer, as the manifest lists it")
	case err != nil:
		return diag.New(diag.UnknownCompression, what+", which is unknown: layers are a tar, alone or with gzip or zstd",
			"compress the layer with gzip or zstd, or not at all")
	}
	return nil
}

// repeated finds what is there twice.
func repeated(items []*item) (errs []error) {
	type id struct{ kind, what string }
	seen := map[id][]*item{}
	for _, it := range items {
		key := id{it.kind, it.Include}
		if it.kind == typeFiles {
			key.what = it.name
		}
		for _, other := range seen[key] {
			if it.kind == typeImage || it.kind == typeFiles && it.Layer != "" && other.Layer != "" || !overlap(it, other) {
				continue
			}
			errs = append(errs, it.problem("is there twice",
				"name each layer once; files of several items get into one layer by the same Layer metadata"))
			break
		}
		seen[key] = append(seen[key], it)
	}
	return errs
}

// overlap says whether both may be in one image, as far as their platforms tell.
func overlap(a, b *item) bool {
	return len(a.platforms) == 0 || len(b.platforms) == 0 ||
		slices.ContainsFunc(a.platforms, func(p string) bool { return slices.Contains(b.platforms, p) })
}
