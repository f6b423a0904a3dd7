// Package published keeps the record of a publish folder: one file that says of each published file which content it had when it was last
// read, what it was copied from, and whether the project named it.
//
// It serves two ends. A file that the file system says is untouched need not be read again: its digest is taken from the record, and from
// nothing less than size, time of modification, change time, device and inode, all equal, of a file that was settled (see Stat). And a scan
// can tell a copy that fell behind its source from one that was changed on purpose, and a file that an earlier publish left behind from
// one that somebody put there.
//
// A record may be lost, torn, of another folder or another machine: what is wrong with it makes it as good as none, never an error of the
// build. It is replaced as a whole, so scans may run side by side; the last one's record stays.
package published

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/cas"
)

// version is that of the file; a record of another one is none.
const version = 1

// MaxBytes bounds a record: at some 350 bytes a file it is enough for 180,000 of them.
const MaxBytes = 64 << 20

// Record is what is known of one publish folder; paths are relative to it, with slashes. The zero value knows nothing.
type Record struct {
	Files map[string]File
	// Emptied are folders that held files of the project and hold none now, in order.
	Emptied []string
}

// Content is what is known of the content of a file.
type Content struct {
	Stat   Stat
	Digest cas.Digest
	// Settled says that a file with this Stat has this content; without it both are what was seen last.
	Settled bool
}

// Of returns the digest of the file that has the Stat s, if it is known.
func (c *Content) Of(s Stat) (cas.Digest, bool) {
	return c.Digest, c.Settled && c.Digest != "" && c.Stat == s
}

// File is what is known of one published file.
type File struct {
	Content
	// Source is the file that it was copied from, as it was then; its Digest is empty when there is none, or none that is known. Both
	// together say that this file may stand for that source, equal to it or not.
	Source Content
	// Named says that an item of the project named the file, in this publish or in an earlier one after which it was not written.
	Named bool
}

// document is the file's form.
type document struct {
	Version int `json:"version"`
	// Folder is the digest of the folder's path.
	Folder cas.Digest `json:"folder"`
	Files  []entry    `json:"files"`
	// Emptied is in order too.
	Emptied []string `json:"emptied,omitempty"`
}

// entry is one file. A record is read in every publish, so what is known of a content is one string and not a list of values: see text.
type entry struct {
	Path   string `json:"path"`
	File   string `json:"file"`
	Source string `json:"source,omitempty"`
	Named  bool   `json:"named,omitempty"`
}

// Read returns the record of folder, an absolute path, that the file at path holds. The error says why there is none.
func Read(path, folder string) (Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	var data bytes.Buffer
	if fi, err := f.Stat(); err == nil {
		data.Grow(int(min(fi.Size(), MaxBytes)) + bytes.MinRead)
	}
	if _, err := data.ReadFrom(io.LimitReader(f, MaxBytes+1)); err != nil {
		return Record{}, err
	}
	return parse(data.Bytes(), nameOf(folder))
}

// Equal says whether both are the same record.
func (r *Record) Equal(other *Record) bool {
	return maps.Equal(r.Files, other.Files) && slices.Equal(r.Emptied, other.Emptied)
}

// Write replaces the file at path, and makes its folder, unless it holds this very record.
func Write(path, folder string, r Record) error {
	data, err := encode(r, nameOf(folder))
	if err != nil {
		return err
	}
	if _, err := atomicfile.WriteIfDifferent(path, data); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	_, err = atomicfile.WriteIfDifferent(path, data)
	return err
}

func nameOf(folder string) cas.Digest { return cas.DigestOf([]byte(filepath.Clean(folder))) }

func encode(r Record, folder cas.Digest) ([]byte, error) {
	doc := document{Version: version, Folder: folder, Files: make([]entry, 0, len(r.Files)), Emptied: r.Emptied}
	for _, path := range slices.Sorted(maps.Keys(r.Files)) {
		f := r.Files[path]
		e := entry{Path: path, File: f.text(), Named: f.Named}
		if f.Source.Digest != "" {
			e.Source = f.Source.text()
		}
		doc.Files = append(doc.Files, e)
	}
	data, err := json.Marshal(&doc)
	if err == nil && len(data) > MaxBytes {
		err = fmt.Errorf("it would have %d bytes, and %d are the most", len(data), MaxBytes)
	}
	return data, err
}

// parse is strict: a file that differs in anything from what encode writes may have been cut, mixed or written by another version.
func parse(data []byte, folder cas.Digest) (Record, error) {
	if len(data) > MaxBytes {
		return Record{}, errors.New("it is too large")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var doc document
	if err := d.Decode(&doc); err != nil {
		return Record{}, err
	}
	if d.InputOffset() != int64(len(data)) {
		return Record{}, errors.New("something follows it")
	}
	switch {
	case doc.Version != version:
		return Record{}, fmt.Errorf("it is of version %d", doc.Version)
	case doc.Folder != folder:
		return Record{}, errors.New("it is that of another folder")
	}
	return doc.record()
}

func (doc *document) record() (Record, error) {
	r := Record{Files: make(map[string]File, len(doc.Files)), Emptied: doc.Emptied}
	last := ""
	for i := range doc.Files {
		e := &doc.Files[i]
		f, err := e.file()
		if err == nil && !follows(e.Path, last) {
			err = errDisorder
		}
		if err != nil {
			return Record{}, fmt.Errorf("entry %d: %w", i, err)
		}
		r.Files[e.Path], last = f, e.Path
	}
	last = ""
	for _, path := range doc.Emptied {
		if !follows(path, last) {
			return Record{}, errDisorder
		}
		last = path
	}
	return r, nil
}

var errDisorder = errors.New("the paths are not in order")

func follows(path, last string) bool { return path > last && fs.ValidPath(path) }

func (e *entry) file() (f File, err error) {
	f.Named = e.Named
	if f.Content, err = parseContent(e.File); err != nil || e.Source == "" {
		return f, err
	}
	f.Source, err = parseContent(e.Source)
	return f, err
}

// text is the form of a content: digest, size, time of modification, change time, device, inode and whether it was settled, with a space
// between two.
func (c *Content) text() string {
	b := append(make([]byte, 0, 160), c.Digest...)
	for _, n := range []int64{c.Stat.Size, c.Stat.ModTime, c.Stat.ChangeTime} {
		b = strconv.AppendInt(append(b, ' '), n, 10)
	}
	for _, n := range []uint64{c.Stat.Device, c.Stat.Inode} {
		b = strconv.AppendUint(append(b, ' '), n, 10)
	}
	return string(strconv.AppendBool(append(b, ' '), c.Settled))
}

func parseContent(text string) (c Content, err error) {
	parts := strings.Split(text, " ")
	if len(parts) != 7 {
		return c, errIncomplete
	}
	if c.Digest, err = parseDigest(parts[0]); err != nil {
		return Content{}, err
	}
	for i, into := range []*int64{&c.Stat.Size, &c.Stat.ModTime, &c.Stat.ChangeTime} {
		if *into, err = strconv.ParseInt(parts[1+i], 10, 64); err != nil {
			return Content{}, err
		}
	}
	for i, into := range []*uint64{&c.Stat.Device, &c.Stat.Inode} {
		if *into, err = strconv.ParseUint(parts[4+i], 10, 64); err != nil {
			return Content{}, err
		}
	}
	c.Settled = parts[6] == "true"
	if c.Stat.Size < 0 || c.text() != text { // a sign, a zero in front, another word for true
		return Content{}, errIncomplete
	}
	return c, nil
}

// parseDigest is cas.ParseDigest without its regular expression, which costs more than all else here.
func parseDigest(s string) (cas.Digest, error) {
	hex, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", errIncomplete
	}
	return cas.Digest(s), nil
}

var errIncomplete = errors.New("it is not complete")
