package layer

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	blockSize = 512
	// maxOctalSize is the first size that eleven octal digits cannot hold.
	maxOctalSize = 1 << 33
	// maxOctalID is the first owner that seven octal digits cannot hold.
	maxOctalID = 1 << 21
	// defaultMode is that of folders, and of files whose mode is not said.
	defaultMode = 0o755
	// maxMode has all bits that a mode can have: rights, sticky, set-group-ID, set-user-ID.
	maxMode = 0o7777
	// paxName is the name of every pax header. The SDK 11 uses the same; that of others holds a process id.
	paxName = "./PaxHeaders/."
)

// Entry is one entry of a tar.
type Entry struct {
	// Path is relative, clean and slash-separated.
	Path string
	Dir  bool
	// Size is the length of the content in bytes, 0 for a folder.
	Size int64
	// Time is in seconds since 1970, 0 to MaxTime.
	Time int64
	// UID and GID are the owner and the group, 0 to 2147483647.
	UID, GID int64
	// Mode is that of a file, up to 07777; 0 means 0755, which folders have always.
	Mode int64
	// Security is the Windows security descriptor, or empty.
	Security string
}

// kind is the type flag.
func (e *Entry) kind() byte {
	if e.Dir {
		return '5'
	}
	return '0'
}

// mode is what the header says.
func (e *Entry) mode() int64 {
	if e.Dir || e.Mode == 0 {
		return defaultMode
	}
	return e.Mode
}

// ErrTarUse says that the calls of a TarWriter do not fit together: a fault of the caller.
var ErrTarUse = errors.New("tar: wrong use")

// TarWriter writes the tar of the package documentation. After an error it is of no more use.
type TarWriter struct {
	w    io.Writer
	left int64 // bytes of the current entry that are still to come
	pad  int64 // zero bytes after them
}

// NewTarWriter returns a writer of a tar to w.
func NewTarWriter(w io.Writer) *TarWriter { return &TarWriter{w: w} }

// Header begins the next entry. For a file, exactly e.Size bytes must then be written.
func (t *TarWriter) Header(e *Entry) error {
	if err := t.finish(); err != nil {
		return err
	}
	if err := check(e); err != nil {
		return err
	}
	name, prefix, fits := splitPath(e.Path)
	var records []byte
	if e.Security != "" {
		records = appendRecord(records, "MSWINDOWS.rawsd", e.Security)
	}
	if !fits {
		records = appendRecord(records, "path", e.Path)
	}
	number := func(key string, n, tooLarge int64) int64 {
		if n < tooLarge {
			return n
		}
		records = appendRecord(records, key, strconv.FormatInt(n, 10))
		return 0
	}
	f := fields{name: name, prefix: prefix, mode: e.mode(), time: e.Time, kind: e.kind()}
	f.size = number("size", e.Size, maxOctalSize)
	f.uid = number("uid", e.UID, maxOctalID)
	f.gid = number("gid", e.GID, maxOctalID)
	if len(records) > 0 {
		if err := t.pax(records); err != nil {
			return err
		}
	}
	b := header(f)
	if _, err := t.w.Write(b[:]); err != nil {
		return err
	}
	t.left, t.pad = e.Size, padding(e.Size)
	return nil
}

// Write writes content of the current entry.
func (t *TarWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > t.left {
		return 0, fmt.Errorf("%w: %d bytes more than the header says", ErrTarUse, int64(len(p))-t.left)
	}
	n, err := t.w.Write(p)
	t.left -= int64(n)
	return n, err
}

// Close ends the tar. It does not close the writer below.
func (t *TarWriter) Close() error {
	if err := t.finish(); err != nil {
		return err
	}
	var end [2 * blockSize]byte
	_, err := t.w.Write(end[:])
	return err
}

// finish fills up the last block of the current entry.
func (t *TarWriter) finish() error {
	if t.left > 0 {
		return fmt.Errorf("%w: %d bytes of an entry are missing", ErrTarUse, t.left)
	}
	if t.pad == 0 {
		return nil
	}
	var zero [blockSize]byte
	_, err := t.w.Write(zero[:t.pad])
	t.pad = 0
	return err
}

func (t *TarWriter) pax(records []byte) error {
	size := int64(len(records))
	b := header(fields{name: paxName, mode: 0o644, size: size, kind: 'x'})
	if _, err := t.w.Write(b[:]); err != nil {
		return err
	}
	_, err := t.w.Write(append(records, make([]byte, padding(size))...))
	return err
}

// check refuses what the format cannot say.
func check(e *Entry) error {
	switch {
	case e.Path == "" || strings.HasPrefix(e.Path, "/") || strings.HasSuffix(e.Path, "/") || strings.Contains(e.Path, "\x00"):
		return fmt.Errorf("%w: path %q", ErrTarUse, e.Path)
	case e.Size < 0 || e.Dir && e.Size != 0:
		return fmt.Errorf("%w: size %d", ErrTarUse, e.Size)
	case e.Time < 0 || e.Time > MaxTime:
		return fmt.Errorf("%w: time %d", ErrTarUse, e.Time)
	case e.UID < 0 || e.UID > math.MaxInt32:
		return fmt.Errorf("%w: owner %d", ErrTarUse, e.UID)
	case e.GID < 0 || e.GID > math.MaxInt32:
		return fmt.Errorf("%w: group %d", ErrTarUse, e.GID)
	case e.Mode < 0 || e.Mode > maxMode:
		return fmt.Errorf("%w: mode %o", ErrTarUse, e.Mode)
	case strings.Contains(e.Security, "\x00"):
		return fmt.Errorf("%w: a zero byte in a security descriptor", ErrTarUse)
	}
	return nil
}

// splitPath returns a path's name and prefix, and whether they say all of it.
func splitPath(path string) (name, prefix string, fits bool) {
	ascii := strings.IndexFunc(path, func(r rune) bool { return r >= 0x80 }) < 0
	if ascii && len(path) <= 100 {
		return path, "", true
	}
	if ascii && len(path) <= 256 {
		// The last slash leaves the shortest name; where its prefix is too long, an earlier one may do.
		cut := strings.LastIndexByte(path[:min(len(path), 156)], '/')
		if cut > 0 && len(path)-cut-1 <= 100 && cut+1 < len(path) {
			return path[cut+1:], path[:cut], true
		}
	}
	b := []byte(path[:min(len(path), 100)])
	for i := range b {
		if b[i] >= 0x80 {
			b[i] = '_'
		}
	}
	return string(b), "", false
}

// fields are those of a header block that vary.
type fields struct {
	name, prefix               string
	mode, uid, gid, size, time int64
	kind                       byte
}

func header(f fields) [blockSize]byte {
	var b [blockSize]byte
	copy(b[0:100], f.name)
	octal(b[100:108], f.mode)
	octal(b[108:116], f.uid)
	octal(b[116:124], f.gid)
	octal(b[124:136], f.size)
	octal(b[136:148], f.time)
	copy(b[148:156], "        ")
	b[156] = f.kind
	copy(b[257:265], "ustar\x0000")
	octal(b[329:337], 0)
	octal(b[337:345], 0)
	copy(b[345:500], f.prefix)
	var sum int64
	for _, c := range b {
		sum += int64(c)
	}
	octal(b[148:155], sum)
	return b
}

// octal fills field with the digits of n and a zero byte.
func octal(field []byte, n int64) {
	for i := len(field) - 2; i >= 0; i-- {
		field[i] = byte('0' + n&7)
		n >>= 3
	}
	field[len(field)-1] = 0
}

func padding(size int64) int64 { return -size & (blockSize - 1) }

// appendRecord appends a pax record. Its length counts its own digits, so it is sought by trial.
func appendRecord(b []byte, key, value string) []byte {
	rest := len(" ") + len(key) + len("=") + len(value) + len("\n")
	size := rest + 1
	for rest+len(strconv.Itoa(size)) != size {
		size++
	}
	return append(b, fmt.Sprintf("%d %s=%s\n", size, key, value)...)
}
