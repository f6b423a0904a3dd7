package clrmeta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"
)

const (
	maxResourceEntries = 4096
	resourceVersion    = 16 // RT_VERSION
)

// resources is the Win32 resource directory (PE format, ".rsrc Section").
type resources struct {
	l       *layout
	at      span // of the directory in the file
	data    []byte
	covered []span // of data
	entries int
}

func (l *layout) win32() error {
	at, err := l.directory("Win32 resources", l.p.dirs[dirResource])
	if err != nil || at.end == 0 {
		return err
	}
	r := &resources{l: l, at: at, data: l.p.data[at.start:at.end]}
	if err := r.folder(0, nil); err != nil {
		return err
	}
	rest := uncovered(r.data, r.covered)
	if len(rest) > 0 {
		l.part("rest of the Win32 resources", Win32Resource, rest)
	}
	return nil
}

// uncovered returns the bytes of data that no span has, without zero bytes around them.
func uncovered(data []byte, covered []span) []byte {
	slices.SortFunc(covered, func(a, b span) int { return a.start - b.start })
	var rest []byte
	pos := 0
	add := func(end int) {
		if pos < end && !zero(data[pos:end]) {
			rest = append(rest, data[pos:end]...)
		}
	}
	for _, s := range covered {
		add(min(s.start, len(data)))
		pos = max(pos, s.end)
	}
	add(len(data))
	return rest
}

// folder reads one level of the tree: types, names, languages.
func (r *resources) folder(off int, path []string) error {
	c := at(r.data, off)
	head := c.bytes(12)
	n := int(c.u16()) + int(c.u16())
	if c.bad || len(path) > 2 || r.entries+n > maxResourceEntries {
		return errors.New("the Win32 resources cannot be read")
	}
	r.entries += n
	r.covered = append(r.covered, span{off, off + 16 + 8*n})
	r.l.part(fmt.Sprintf("Win32 resource folder %v", path), Win32Resource, head)
	for range n {
		id, target := c.u32(), c.u32()
		if c.bad {
			return errors.New("the Win32 resources are cut off")
		}
		name, err := r.name(id)
		if err != nil {
			return err
		}
		here := append(path[:len(path):len(path)], name)
		if target>>31 == 1 {
			err = r.folder(int(target&^(1<<31)), here)
		} else {
			err = r.leaf(int(target), here)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *resources) name(id uint32) (string, error) {
	if id>>31 == 0 {
		return fmt.Sprint(id), nil
	}
	off := int(id &^ (1 << 31))
	c := at(r.data, off)
	b := c.bytes(int(c.u16()) * 2)
	if c.bad {
		return "", errors.New("the Win32 resources have a name outside of them")
	}
	r.covered = append(r.covered, span{off, c.off})
	return fmt.Sprintf("%q", utf16Text(b)), nil
}

func (r *resources) leaf(off int, path []string) error {
	c := at(r.data, off)
	rva, size, codepage, reserved := c.u32(), int(c.u32()), c.u32(), c.u32()
	start, ok := r.l.p.offset(rva, size)
	if c.bad || !ok || start < r.at.start || start+size > r.at.end {
		return errors.New("the Win32 resources lie outside of their directory")
	}
	in := start - r.at.start
	r.covered = append(r.covered, span{off, off + 16}, span{in, in + size})
	name := fmt.Sprintf("Win32 resource %v", path)
	r.l.part(name+" entry", Win32Resource, fmt.Appendf(nil, "%d %d", codepage, reserved))
	data := r.data[in : in+size]
	if path[0] == fmt.Sprint(resourceVersion) {
		v := versionBlock{base: start}
		if v.read(data, start, "", 0) {
			for i, val := range v.values {
				r.l.a.add(Win32Version, val.name, val.text, v.masks[i])
			}
			r.l.part(name, Win32Resource, v.shape)
			return nil
		}
	}
	r.l.part(name, Win32Resource, data)
	return nil
}

// versionBlock reads VS_VERSIONINFO and its children (Win32, "VS_VERSIONINFO structure").
type versionBlock struct {
	base   int // file offset that alignment counts from
	values []value
	masks  []span
	shape  []byte // everything that is no value and no length
}

// read reads one block that fills b; off is its place in the file. It is false for anything unusual.
func (v *versionBlock) read(b []byte, off int, path string, depth int) bool {
	c := &cursor{b: b}
	length, valueLength, kind := int(c.u16()), int(c.u16()), c.u16()
	var key []uint16
	for {
		u := c.u16()
		if c.bad {
			return false
		}
		if u == 0 {
			break
		}
		key = append(key, u)
	}
	if length != len(b) || kind > 1 || depth > 3 {
		return false
	}
	name := string(utf16.Decode(key))
	v.shape = fmt.Appendf(v.shape, "%d:%q:%d;", depth, name, kind)
	if !skipZero(c) {
		return false
	}
	if kind == 1 {
		valueLength *= 2
	}
	start := c.off
	data := c.bytes(valueLength)
	if c.bad {
		return false
	}
	where := span{off + start, off + c.off}
	switch {
	case depth == 0 && len(data) == 52:
		v.fixed(data, where.start)
	case kind == 1 && valueLength > 0:
		v.values, v.masks = append(v.values, value{Win32Version, name, utf16Text(data)}), append(v.masks, where)
	default:
		v.shape = append(v.shape, data...)
	}
	for c.off < len(b) {
		if !skipZero(c) {
			return false
		}
		if c.off == len(b) {
			break
		}
		n := int(at(b, c.off).u16())
		child := c.bytes(n)
		if child == nil || n < 6 || !v.read(child, off+c.off-n, path+"/"+name, depth+1) {
			return false
		}
	}
	return true
}

// fixed reads VS_FIXEDFILEINFO.
func (v *versionBlock) fixed(b []byte, off int) {
	word := func(i int) uint16 { return binary.LittleEndian.Uint16(b[i:]) }
	for i, name := range []string{"file version number", "product version number"} {
		p := 8 + 8*i
		text := fmt.Sprintf("%d.%d.%d.%d", word(p+2), word(p), word(p+6), word(p+4))
		v.values = append(v.values, value{Win32Version, name, text})
		v.masks = append(v.masks, span{off + p, off + p + 8})
	}
	v.shape = append(append(v.shape, b[:8]...), b[24:]...)
}

// skipZero moves to the next multiple of 4; what it passes over must be zero.
func skipZero(c *cursor) bool {
	n := (4 - c.off%4) % 4
	n = min(n, len(c.b)-c.off)
	return zero(c.bytes(n)) && !c.bad
}

// utf16Text decodes text and drops the zero at its end.
func utf16Text(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	if n := len(u); n > 0 && u[n-1] == 0 {
		u = u[:n-1]
	}
	return string(utf16.Decode(u))
}
