// Package sourcehash folds all that makes an image into one hash: the instructions and arguments that its target reaches, the files that they
// read, the platform, the frontend, and the digest of every image that the build reads, those of intermediate stages included.
//
// The list that is folded has no line numbers, no comments, no names of stages and nothing that the target does not reach, so that what cannot
// change the image does not change the hash. It is kept beside the hash by those who want to say later what changed.
//
// A hash says nothing of what a Dockerfile's own commands fetch, nor of what dockerfile.Reach calls unknown.
package sourcehash

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/dockerfile"
)

// salt is folded first. It changes when the meaning of a line does, and so do all hashes then.
const salt = "gantry source hash 1"

// Line is one thing that is folded. Kind and Name say what it is, Value what it is like; two lines may have the same name.
type Line struct {
	Kind  Kind   `json:"kind"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Kind is a kind of line.
type Kind string

// The kinds beside those of dockerfile.Item.
const (
	Platform Kind = "platform"
	Parent   Kind = "parent"
	Source   Kind = "source"
	File     Kind = "file"
)

// Append appends the lines of an image to a list, in the order in which they are folded. digests are those of the platforms' manifests of
// Reach.Images, in their order, and files what Files returns for the contexts, in the order of their names. An image without a digest is an
// error: the hash is not known before it is.
func Append(list []Line, r *dockerfile.Reach, platform dockerfile.Platform, digests []cas.Digest, files []Line) ([]Line, error) {
	if len(digests) != len(r.Images) {
		return nil, fmt.Errorf("%d digests of %d images", len(digests), len(r.Images))
	}
	list = slices.Grow(list, 1+len(r.Content)+len(r.Images)+len(r.Sources)+len(files))
	list = append(list, Line{Platform, "", platform.String()})
	for _, item := range r.Content {
		list = append(list, Line{Kind(item.Kind), item.Name, item.Value})
	}
	first := len(list)
	for i, image := range r.Images {
		if _, err := cas.ParseDigest(string(digests[i])); err != nil {
			return nil, fmt.Errorf("the digest of %s for %s is not known", image.Name(), image.Platform)
		}
		list = append(list, Line{Parent, image.Name() + " for " + image.Platform.String(), string(digests[i])})
	}
	sortLines(list[first:])
	first = len(list)
	for _, s := range r.Sources {
		list = append(list, Line{Source, s.URL, s.Pin})
	}
	sortLines(list[first:])
	return append(list, files...), nil
}

func sortLines(list []Line) {
	slices.SortFunc(list, func(a, b Line) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value)) })
}

// Files returns the lines of what is read of the context of a name; that of the main one is empty.
func Files(context string, entries []buildcontext.Entry) []Line {
	list := make([]Line, 0, len(entries))
	for _, e := range entries {
		list = append(list, Line{File, fileName(context, e.Path), fileValue(e)})
	}
	return list
}

// fileName is a path, with the quoted name of the named context before it. A path that begins like that is quoted itself, and one that is no text,
// which no record could keep.
func fileName(context, path string) string {
	if strings.HasPrefix(path, `"`) || !utf8.ValidString(path) {
		path = strconv.Quote(path)
	}
	if context == "" {
		return path
	}
	return strconv.Quote(context) + ": " + path
}

// fileValue is the mode as ls writes it, and what a link leads to, what a file has or which device it is.
func fileValue(e buildcontext.Entry) string {
	value := e.Mode.String()
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		value = "link to " + strconv.Quote(e.Link)
	case e.Mode.IsRegular():
		value += " " + string(e.Digest)
	case e.Mode&fs.ModeDevice != 0:
		value += " " + strconv.FormatUint(e.Device, 10)
	}
	if e.Attributes != "" {
		value += " attributes " + string(e.Attributes)
	}
	return value
}

// Hash folds a list: every field with its length before it, and the number of lines before them.
func Hash(list []Line) cas.Digest {
	h := sha256.New()
	b := make([]byte, 0, 8<<10)
	field := func(s string) {
		if len(b)+8+len(s) > cap(b) {
			h.Write(b)
			b = b[:0]
		}
		b = append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
	}
	field(salt)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(list)))
	for _, l := range list {
		field(string(l.Kind))
		field(l.Name)
		field(l.Value)
	}
	h.Write(b)
	return cas.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// TagPrefix begins the tag of every source hash.
const TagPrefix = "src-"

// Tag is the tag that an image with a source hash has in its repository: src- and 64 hexadecimal digits.
func Tag(hash cas.Digest) string { return TagPrefix + hash.Hex() }

// Change is a line that came, went or has another value.
type Change struct {
	Kind     Kind
	Name     string
	Was, Now string // values; empty where there was or is none
	Added    bool
	Removed  bool
}

// Diff says what is different in two lists. Lines of one kind and name, such as several RUN, are compared in their order. When nothing but the
// order of lines is different, it returns one change that says so.
func Diff(was, now []Line) []Change {
	old, oldKeys := group(was)
	fresh, freshKeys := group(now)
	var changes []Change
	for _, k := range oldKeys {
		changes = append(changes, compare(k, old[k], fresh[k])...)
	}
	for _, k := range freshKeys {
		if _, ok := old[k]; !ok {
			changes = append(changes, compare(k, nil, fresh[k])...)
		}
	}
	if len(changes) == 0 && !slices.Equal(was, now) {
		changes = []Change{{Kind: "instruction", Name: "order"}}
	}
	return changes
}

type lineKey struct {
	kind Kind
	name string
}

func group(list []Line) (map[lineKey][]string, []lineKey) {
	values := map[lineKey][]string{}
	var keys []lineKey
	for _, l := range list {
		k := lineKey{l.Kind, l.Name}
		if _, ok := values[k]; !ok {
			keys = append(keys, k)
		}
		values[k] = append(values[k], l.Value)
	}
	return values, keys
}

// compare leaves out what both begin with and what both end with.
func compare(k lineKey, was, now []string) []Change {
	for len(was) > 0 && len(now) > 0 && was[0] == now[0] {
		was, now = was[1:], now[1:]
	}
	for len(was) > 0 && len(now) > 0 && was[len(was)-1] == now[len(now)-1] {
		was, now = was[:len(was)-1], now[:len(now)-1]
	}
	var changes []Change
	for i := range max(len(was), len(now)) {
		c := Change{Kind: k.kind, Name: k.name, Added: i >= len(was), Removed: i >= len(now)}
		if !c.Added {
			c.Was = was[i]
		}
		if !c.Removed {
			c.Now = now[i]
		}
		changes = append(changes, c)
	}
	return changes
}
