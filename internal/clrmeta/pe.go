package clrmeta

import (
	"errors"
	"fmt"
)

// ErrNotAssembly says that a file is no PE file with a CLI header.
var ErrNotAssembly = errors.New("not a .NET assembly")

// MaxSize is the largest file that is read, in bytes.
const MaxSize = 64 << 20

// Data directories of a PE file (PE format, "Optional Header Data Directories").
const (
	dirImport    = 1
	dirResource  = 2
	dirSecurity  = 4
	dirReloc     = 5
	dirDebug     = 6
	dirIAT       = 12
	dirCLI       = 14
	dirCount     = 16
	maxSections  = 96
	sectionBytes = 40
)

type directory struct{ rva, size uint32 }

type section struct{ va, size, raw, rawSize uint32 }

// pe is a PE file's headers.
type pe struct {
	data     []byte
	sections []section
	dirs     [dirCount]directory
	base     uint64 // where the image would be loaded
	entry    uint32 // RVA of the entry point
	coff     int    // file offset of the COFF header
	optional int    // file offset of the optional header
	plus     bool   // PE32+
	end      int    // file offset behind the section headers
	// fixed are the header values that do not follow from the layout; stamp and checksum are named.
	fixed           []uint64
	stamp, checksum uint32
}

// parsePE reads the headers (PE format, revision of 2023).
func parsePE(data []byte) (*pe, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%d bytes are more than %d", len(data), MaxSize)
	}
	p := &pe{data: data}
	if len(data) < 64 || data[0] != 'M' || data[1] != 'Z' {
		return nil, ErrNotAssembly
	}
	p.coff = int(at(data, 0x3c).u32()) + 4
	c := at(data, p.coff-4)
	if string(c.bytes(4)) != "PE\x00\x00" {
		return nil, ErrNotAssembly
	}
	machine, count := c.u16(), int(c.u16())
	p.stamp = c.u32()
	symbols, symbolCount := c.u32(), c.u32()
	optionalSize, characteristics := int(c.u16()), c.u16()
	p.fixed = append(p.fixed, uint64(machine), uint64(count), uint64(symbols), uint64(symbolCount), uint64(optionalSize), uint64(characteristics))
	p.optional = c.off
	optional := at(data, p.optional).bytes(optionalSize)
	if optional == nil || count > maxSections || !p.parseOptional(&cursor{b: optional}) {
		return nil, ErrNotAssembly
	}
	c = at(data, p.optional+optionalSize)
	for range count {
		p.fixed = append(p.fixed, c.u64()) // the name
		p.sections = append(p.sections, section{size: c.u32(), va: c.u32(), rawSize: c.u32(), raw: c.u32()})
		p.fixed = append(p.fixed, c.u64(), uint64(c.u16()), uint64(c.u16()), uint64(c.u32()))
		if c.bad {
			return nil, ErrNotAssembly
		}
	}
	p.end = c.off
	if p.dirs[dirCLI].rva == 0 {
		return nil, ErrNotAssembly
	}
	return p, nil
}

func (p *pe) parseOptional(c *cursor) bool {
	magic := c.u16()
	p.plus = magic == 0x20b
	if magic != 0x10b && !p.plus {
		return false
	}
	keep := func(v uint64) { p.fixed = append(p.fixed, v) }
	keep(uint64(magic))
	keep(uint64(c.u16())) // linker version
	c.u32()               // SizeOfCode: follows from the layout, as do the next two
	c.u32()
	keep(uint64(c.u32()))
	p.entry = c.u32()
	keep(uint64(c.u32())) // BaseOfCode
	if p.plus {
		p.base = c.u64()
	} else {
		c.u32() // BaseOfData: follows from the layout
		p.base = uint64(c.u32())
	}
	keep(p.base)
	for range 3 { // alignments and versions
		keep(c.u64())
	}
	c.u32() // SizeOfImage
	c.u32() // SizeOfHeaders is fixed by the number of sections
	return p.parseOptionalEnd(c, keep)
}

func (p *pe) parseOptionalEnd(c *cursor, keep func(uint64)) bool {
	p.checksum = c.u32()
	keep(uint64(c.u16())) // subsystem
	keep(uint64(c.u16())) // DLL characteristics
	for range 4 {
		if p.plus {
			keep(c.u64())
		} else {
			keep(uint64(c.u32()))
		}
	}
	keep(uint64(c.u32())) // loader flags
	n := c.u32()
	keep(uint64(n))
	if n > dirCount {
		return false
	}
	for i := range int(n) {
		p.dirs[i] = directory{c.u32(), c.u32()}
	}
	return c.done()
}

// offset returns where the n bytes at an RVA lie in the file; they must lie in one section.
func (p *pe) offset(rva uint32, n int) (int, bool) {
	for _, s := range p.sections {
		if rva < s.va || rva-s.va >= s.rawSize {
			continue
		}
		in := int64(rva - s.va)
		off := int64(s.raw) + in
		if n < 0 || in+int64(n) > int64(s.rawSize) || off+int64(n) > int64(len(p.data)) {
			return 0, false
		}
		return int(off), true
	}
	return 0, false
}

// span returns where a directory lies in the file.
func (p *pe) span(d directory) (span, bool) {
	off, ok := p.offset(d.rva, int(d.size))
	return span{off, off + int(d.size)}, ok
}
