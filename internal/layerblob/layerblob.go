// Package layerblob reads a layer's blob once from end to end and says all that can be known of it: its digest and size, how it is
// compressed, the digest of the tar inside (the diff ID), and what that tar has.
//
// The blob is foreign input: it may be anything, and is judged by its bytes alone. Memory is bounded by the compression's window and the
// list of paths, whatever the blob's size.
package layerblob

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layertoc"
)

// Layer is what a blob is.
type Layer struct {
	// MediaType is OCI's for a tar with this compression.
	MediaType string
	Digest    cas.Digest
	// Size is that of the blob in bytes.
	Size   int64
	DiffID cas.Digest
	layertoc.Contents
}

// NotALayerError says why a blob is no layer.
type NotALayerError struct{ Why string }

func (e *NotALayerError) Error() string { return e.Why }

// CompressionError says that a blob is compressed with something that container tools do not read.
type CompressionError struct{ Name string }

func (e *CompressionError) Error() string { return "it is compressed with " + e.Name }

const (
	bufferSize = 256 << 10
	// maxWindow is the largest window of zstd in bytes, that of zstd --long=27.
	maxWindow = 128 << 20
	tarBlock  = 512
	// maxPlain is the most that a layer may have uncompressed, in bytes: nobody makes one with more, but to exhaust who reads it.
	maxPlain = 64 << 30
)

// Read reads a blob to its end. What it says of the content holds only when the source gave all of it without an error, which is
// returned before any other. Errors of the content are a *NotALayerError or a *CompressionError.
func Read(ctx context.Context, r io.Reader) (*Layer, error) {
	source := &sourceReader{ctx: ctx, r: r, sum: sha256.New()}
	in := bufio.NewReaderSize(source, bufferSize)
	l, err := read(in, maxPlain)
	// To the end also when the content is wrong: only then the source says whether it is what was asked for. What stands behind the
	// compressed stream is a part of the blob, too.
	if _, drained := io.Copy(io.Discard, in); drained != nil {
		return nil, drained
	}
	if err != nil {
		return nil, err
	}
	l.Digest, l.Size = digestOf(source.sum), source.n
	return l, nil
}

// sourceReader counts and hashes what is read.
type sourceReader struct {
	ctx context.Context // of Read, for one call
	r   io.Reader
	sum hash.Hash
	n   int64
}

func (s *sourceReader) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	s.n += int64(n)
	return n, err
}

func digestOf(h hash.Hash) cas.Digest { return cas.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))) }

func read(in *bufio.Reader, most int64) (*Layer, error) {
	plain, mediaType, done, err := open(in)
	if err != nil {
		return nil, err
	}
	defer done()
	inner := sha256.New()
	content := io.TeeReader(&limited{plain, most}, inner)
	toc, err := layertoc.Read(content)
	if err == nil {
		_, err = io.Copy(io.Discard, content)
	}
	if err != nil {
		return nil, notALayer(mediaType, err)
	}
	return &Layer{MediaType: mediaType, DiffID: digestOf(inner), Contents: *toc}, nil
}

// limited fails, unlike io.LimitReader, when there is more.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n, errors.New("it has more bytes than any layer should")
	}
	return n, err
}

func notALayer(mediaType string, err error) error {
	if mediaType != image.OCILayerTar {
		return &NotALayerError{fmt.Sprintf("its content, uncompressed, cannot be read as a tar: %s", oneLine(err))}
	}
	return &NotALayerError{fmt.Sprintf("it cannot be read as a tar: %s", oneLine(err))}
}

// oneLine is the last reason of an error that was joined.
func oneLine(err error) string {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		all := joined.Unwrap()
		return all[len(all)-1].Error()
	}
	return err.Error()
}

// open chooses by the first bytes: media types of layers and names of files are wrong more often.
func open(in *bufio.Reader) (plain io.Reader, mediaType string, done func(), err error) {
	head, _ := in.Peek(tarBlock) // a shorter blob has less
	switch {
	case len(head) == 0:
		return nil, "", nil, &NotALayerError{"it is empty"}
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, "", nil, &NotALayerError{"its gzip is damaged: " + err.Error()}
		}
		return z, image.OCILayerGzip, func() {}, nil
	case isZstd(head):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(1<<63-1))
		if err != nil {
			return nil, "", nil, &NotALayerError{"its zstd is damaged: " + err.Error()}
		}
		return z, image.OCILayerZstd, z.Close, nil
	}
	if err := foreign(head); err != nil {
		return nil, "", nil, err
	}
	return in, image.OCILayerTar, func() {}, nil
}

// isZstd says whether a blob begins with a frame of zstd (RFC 8878, 3.1), which may be one to be skipped.
func isZstd(head []byte) bool {
	return bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")) || len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18"
}

// magics are the first bytes of what is given in the place of layers.
var magics = []struct{ bytes, name string }{
	{"\xfd7zXZ\x00", "xz"},
	{"BZh", "bzip2"},
	{"\x04\x22\x4d\x18", "lz4"},
	{"\x5d\x00\x00", "lzma"},
	{"LZIP", "lzip"},
	{"\x1f\x9d", "compress (.Z)"},
	{"7z\xbc\xaf\x27\x1c", "7-Zip"},
	{"PK\x03\x04", "zip"},
}

// foreign refuses what is neither compressed as layers are nor a tar. The name with which a tar begins may be any of these bytes, too.
func foreign(head []byte) error {
	if isTar(head) {
		return nil
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.bytes)) {
			return &CompressionError{m.name}
		}
	}
	if first := bytes.TrimLeft(head, " \t\r\n"); len(first) > 0 && (first[0] == '{' || first[0] == '[') {
		return &NotALayerError{"it is a JSON document, as configurations and manifests are"}
	}
	return nil
}

// isTar says whether a blob begins with a header of a tar: its checksum is the sum of its bytes with the checksum as spaces (POSIX, pax).
func isTar(head []byte) bool {
	if len(head) < tarBlock {
		return false
	}
	want, err := strconv.ParseInt(strings.Trim(string(head[148:156]), " \x00"), 8, 64)
	sum := int64(' ') * 8
	for i, b := range head[:tarBlock] {
		if i < 148 || i >= 156 {
			sum += int64(b)
		}
	}
	return err == nil && sum == want
}
