package clrmeta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// native takes the few native parts of a managed file apart: the import of the runtime's entry point, and the jump to it
// (ECMA-335 II.25.3.1). Anything beyond those is an error.
func (l *layout) native() error {
	for i, d := range l.p.dirs {
		switch i {
		case dirImport, dirResource, dirSecurity, dirReloc, dirDebug, dirIAT, dirCLI:
		default:
			if d.size != 0 || d.rva != 0 {
				return fmt.Errorf("it has the data directory %d", i)
			}
		}
	}
	if err := l.imports(); err != nil {
		return err
	}
	if l.p.entry == 0 {
		return nil
	}
	off, ok := l.p.offset(l.p.entry, 6)
	if !ok || l.p.plus || l.p.data[off] != 0xff || l.p.data[off+1] != 0x25 {
		return errors.New("its entry point is not the usual one")
	}
	l.claim("entry point", Other, span{off, off + 6})
	target := binary.LittleEndian.Uint32(l.p.data[off+2:])
	l.fixups = append(l.fixups, fixup{off + 2, target - uint32(l.p.base)})
	return nil
}

func (l *layout) imports() error {
	d := l.p.dirs[dirImport]
	if d.size == 0 {
		return nil
	}
	at, ok := l.p.span(d)
	if !ok {
		return errors.New("the imports lie outside the file")
	}
	l.claim("imports", Other, at)
	iat, ok := l.p.span(l.p.dirs[dirIAT])
	if !ok || iat.end == iat.start || l.p.plus {
		return errors.New("the imports are not the usual ones")
	}
	l.claim("import addresses", Other, iat)
	c := &cursor{b: l.p.data[:at.end], off: at.start}
	address := func() uint32 {
		rva := c.u32()
		l.fixups = append(l.fixups, fixup{c.off - 4, rva})
		return rva
	}
	list := address()
	c.u64()
	address() // the library's name
	address() // the import addresses
	if c.bad || !zero(c.bytes(20)) {
		return errors.New("there are more imports than the usual one")
	}
	for _, start := range []uint32{list, l.p.dirs[dirIAT].rva} {
		off, ok := l.p.offset(start, 8)
		if !ok || binary.LittleEndian.Uint32(l.p.data[off+4:]) != 0 {
			return errors.New("there are more imports than the usual one")
		}
		l.fixups = append(l.fixups, fixup{off, binary.LittleEndian.Uint32(l.p.data[off:])})
	}
	return nil
}

// relocations sums up the base relocations by what they relocate.
func (l *layout) relocations() error {
	at, err := l.directory("relocations", l.p.dirs[dirReloc])
	if err != nil || at.end == 0 {
		return err
	}
	type place struct {
		kind uint16
		rva  uint32
	}
	var places []place
	c := &cursor{b: l.p.data[:at.end], off: at.start}
	for c.off < at.end {
		page, size := c.u32(), int(c.u32())
		if c.bad || size < 8 || size%2 != 0 {
			return errors.New("the relocations cannot be read")
		}
		for range (size - 8) / 2 {
			v := c.u16()
			if c.bad {
				return errors.New("the relocations are cut off")
			}
			if v>>12 != 0 {
				places = append(places, place{v >> 12, page + uint32(v&0xfff)})
			}
		}
	}
	l.later = append(l.later, func() {
		var b strings.Builder
		for _, p := range places {
			fmt.Fprintf(&b, "%d:%s;", p.kind, l.locate(p.rva))
		}
		l.part("relocations", Other, []byte(b.String()))
	})
	return nil
}
