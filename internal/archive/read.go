package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layout"
	"github.com/gantry-build/gantry/internal/registry"
)

// Limits of an archive that is read.
const (
	maxEntries = 20_000
	maxLinks   = 8
)

// Reader is an archive that is read: a content.Source. It is safe for concurrent use until it is closed.
type Reader struct {
	name  string
	file  *os.File
	size  int64
	files map[string]section
	// made are documents that the archive does not have: those of Docker archives.
	made map[cas.Digest]deliver.Document
	// blobs are the places of a Docker archive's blobs.
	blobs map[cas.Digest]section
	temp  bool
}

// section is where a file of the archive lies, or what it links to.
type section struct {
	offset, size int64
	link         string
}

// Open reads the list of files of an archive and nothing of their content. Fails with GANTRY5015 for what is no archive of an image:
// compressed, cut short, names that lead out of it or occur twice, entries that are no files.
func Open(name string) (*Reader, error) {
	r := &Reader{name: name}
	fi, err := os.Stat(name)
	if err == nil && !fi.Mode().IsRegular() { // before it is opened: a pipe would wait for its writer
		return nil, r.invalid(errors.New("it is not a file"))
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(name)
	}
	if err != nil {
		return nil, diag.Wrap(diag.InvalidArchive, err, fmt.Sprintf("the archive %s cannot be read", name), "check the path and the file's rights")
	}
	r = &Reader{name: name, file: f, files: map[string]section{}, made: map[cas.Digest]deliver.Document{}, blobs: map[cas.Digest]section{}}
	if err := r.list(); err != nil {
		f.Close()
		return nil, r.invalid(err)
	}
	return r, nil
}

// OpenTemporary is Open for a file that goes away: at once, where the system lets go of the name of an open file, so that nothing is left
// of a process that is killed; else when it is closed.
func OpenTemporary(name string) (*Reader, error) {
	r, err := Open(name)
	gone := os.Remove(name) == nil
	if err != nil {
		return nil, err
	}
	r.temp = !gone
	return r, nil
}

// Close ends the use of the file.
func (r *Reader) Close() error {
	err := r.file.Close()
	if r.temp {
		err = errors.Join(err, os.Remove(r.name))
	}
	return err
}

func (r *Reader) invalid(err error) error {
	var coded *diag.Error
	if errors.As(err, &coded) {
		return err
	}
	return diag.Wrap(diag.InvalidArchive, err, r.name+" is no archive of an image", "make it anew, with docker save, podman save, skopeo copy or gantry copy")
}

func (r *Reader) list() error {
	fi, err := r.file.Stat()
	if err != nil {
		return err
	}
	r.size = fi.Size()
	if err := r.refuseCompressed(); err != nil {
		return err
	}
	t := tar.NewReader(r.file)
	for n := 0; ; n++ {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n == maxEntries {
			return fmt.Errorf("it has more than %d entries", maxEntries)
		}
		if err := r.add(h); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
}

// refuseCompressed: what is read must be found again by its place.
func (r *Reader) refuseCompressed() error {
	head := make([]byte, 4)
	if _, err := r.file.ReadAt(head, 0); err != nil {
		return err
	}
	for magic, tool := range map[string]string{"\x1f\x8b": "gunzip", "\x28\xb5\x2f\xfd": "unzstd", "BZh": "bunzip2", "\xfd7zX": "unxz"} {
		if strings.HasPrefix(string(head), magic) {
			return fmt.Errorf("it is compressed: use %s first", tool)
		}
	}
	return nil
}

// add takes one entry. Go's reader seeks and holds nothing back, so the file's position is where the content begins.
func (r *Reader) add(h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader { // a comment, as of git archive
		return nil
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") {
			return errors.New("it is a sparse file")
		}
	}
	s := section{size: h.Size}
	switch h.Typeflag {
	case tar.TypeDir:
		return nil
	case tar.TypeReg:
		if s.offset, err = r.file.Seek(0, io.SeekCurrent); err != nil {
			return err
		}
		if s.size < 0 || s.offset+s.size > r.size {
			return errors.New("it ends behind the end of the archive")
		}
	case tar.TypeSymlink, tar.TypeLink: // docker save of old: a layer that is there already
		target := h.Linkname
		if h.Typeflag == tar.TypeSymlink {
			target = path.Join(path.Dir(name), h.Linkname)
		}
		if path.IsAbs(h.Linkname) {
			return errors.New("it links out of the archive")
		}
		if s.link, err = cleanName(target); err != nil {
			return errors.New("it links out of the archive")
		}
	default:
		return fmt.Errorf("it is of type %q, neither a file nor a link", h.Typeflag)
	}
	if _, twice := r.files[name]; twice {
		return errors.New("it is there twice")
	}
	r.files[name] = s
	return nil
}

// cleanName is a name below the archive's top, "." for the top itself.
func cleanName(name string) (string, error) {
	clean := path.Clean(name)
	if path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsAny(name, "\\\x00") {
		return "", errors.New("it leads out of the archive")
	}
	return clean, nil
}

// find follows links to a file.
func (r *Reader) find(name string) (section, bool) {
	for range maxLinks {
		s, ok := r.files[name]
		if !ok || s.link == "" {
			return s, ok
		}
		name = s.link
	}
	return section{}, false
}

// absent is a file that the archive does not have.
type absent string

func (a absent) Error() string { return string(a) }

func (a absent) Is(target error) bool { return target == content.ErrAbsent }

func (r *Reader) open(s section) io.ReadCloser {
	return io.NopCloser(io.NewSectionReader(r.file, s.offset, s.size))
}

// small reads a file of at most limit bytes.
func (r *Reader) small(name string, limit int64) ([]byte, error) {
	s, ok := r.find(name)
	if !ok {
		return nil, absent(name + " is missing")
	}
	if s.size > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, s.size, limit)
	}
	return io.ReadAll(r.open(s))
}

// Resolve finds an image by a name: as the archive has it (RefName, ImageName, RepoTag), its tag alone, or its digest; "" is for an archive
// with one image. Errors are GANTRY5016, which lists the images that there are, and 5010.
func (r *Reader) Resolve(ctx context.Context, name string) (deliver.Document, error) {
	entries, err := r.entries(ctx)
	if err != nil {
		return deliver.Document{}, r.invalid(err)
	}
	d, err := layout.Choose(entries, name, r.name)
	if err != nil {
		return deliver.Document{}, err
	}
	return content.Document(ctx, r, d)
}

// entries are the images of the archive, one for each name.
func (r *Reader) entries(ctx context.Context) ([]image.Descriptor, error) {
	if _, oci := r.find(indexFile); !oci {
		return r.dockerEntries(ctx)
	}
	mark, err := r.small(layoutFile, layout.MaxMark)
	if err != nil {
		return nil, err
	}
	if err := layout.CheckMark(mark); err != nil {
		return nil, err
	}
	body, err := r.small(indexFile, image.MaxManifestBytes)
	if err != nil {
		return nil, err
	}
	x, err := image.ParseIndex(body, image.OCIIndex)
	if err != nil {
		return nil, err
	}
	return x.Manifests, nil
}

// Manifest reads a manifest or index by its digest.
func (r *Reader) Manifest(_ context.Context, digest string) (*registry.Manifest, error) {
	d, err := cas.ParseDigest(digest)
	if err != nil {
		return nil, r.invalid(err)
	}
	if doc, ok := r.made[d]; ok {
		return &registry.Manifest{MediaType: doc.Descriptor.MediaType, Digest: d, Body: doc.Body}, nil
	}
	body, err := r.small(blobName(d), image.MaxManifestBytes)
	if err != nil {
		return nil, r.invalid(err)
	}
	if got := cas.DigestOf(body); got != d {
		return nil, diag.New(diag.DigestMismatch, fmt.Sprintf("the manifest %s in %s has the digest %s", d, r.name, got), "make the archive anew")
	}
	return &registry.Manifest{MediaType: image.Sniff(body), Digest: d, Body: body}, nil
}

// Blob opens a blob, which is verified as it is read.
func (r *Reader) Blob(_ context.Context, d cas.Digest, size int64) (io.ReadCloser, error) {
	s, ok := r.blobs[d]
	if !ok {
		s, ok = r.find(blobName(d))
	}
	if !ok {
		return nil, r.invalid(fmt.Errorf("the blob %s is missing", d))
	}
	if s.size != size {
		return nil, r.invalid(fmt.Errorf("the blob %s has %d bytes and is announced with %d", d, s.size, size))
	}
	return content.Verify(r.open(s), d, size, r.name), nil
}
