package clrmeta

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// part is a part of a file that is compared whole; field is what a difference in it is called.
type part struct {
	name  string
	field Field
	sum   [sha256.Size]byte
}

// region is a range of the file that belongs to one part.
type region struct {
	span
	name  string
	field Field
	own   bool // its content is compared by its own rules, not byte by byte
}

// fixup is a place that holds an address: it is compared by what it leads to.
type fixup struct {
	at     int // file offset, 4 bytes
	target uint32
}

// cliHeader is that of ECMA-335 II.25.3.3, as far as its fields are addresses.
type cliHeader struct {
	at                              span
	metadata, resources, strongName directory
	flags                           uint32
	foreign                         bool // it has parts that only native code has
}

const cliHeaderBytes = 72

func (p *pe) parseCLI() (*cliHeader, error) {
	off, ok := p.offset(p.dirs[dirCLI].rva, cliHeaderBytes)
	if !ok {
		return nil, ErrNotAssembly
	}
	c := &cursor{b: p.data[off : off+cliHeaderBytes]}
	h := &cliHeader{at: span{off, off + cliHeaderBytes}}
	c.bytes(8)
	h.metadata = directory{c.u32(), c.u32()}
	h.flags = c.u32()
	c.u32() // entry point: a token
	h.resources = directory{c.u32(), c.u32()}
	h.strongName = directory{c.u32(), c.u32()}
	h.foreign = !zero(c.bytes(32)) || h.flags&1 == 0 // IL only
	return h, nil
}

// layout takes a file apart into regions, so that each byte belongs to one, and sums up the parts.
type layout struct {
	a          *Assembly
	p          *pe
	cli        *cliHeader
	attributes map[int]bool // rows of CustomAttribute that are values
	regions    []region
	bounds     []int // further file offsets at which a region begins
	fixups     []fixup
	parts      []part
	later      []func() // what needs all regions
	names      map[string]int
}

// run returns an error when the file is of a form that cannot be taken apart; values that were found until then stay.
func (l *layout) run() error {
	l.claim("DOS header", Other, span{0, l.p.coff})
	l.own("headers", span{l.p.coff, l.p.end})
	l.own("CLI header", l.cli.at)
	l.own("metadata", span{l.a.metaAt, l.a.metaAt + len(l.a.meta.data)})
	errs := []error{l.debug(), l.win32(), l.named(), l.native(), l.relocations()}
	if l.cli.foreign {
		errs = append(errs, errors.New("it has native code"))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	l.fieldData()
	if err := l.fillGaps(); err != nil {
		return err
	}
	l.headers()
	for _, f := range l.later {
		f()
	}
	l.sumRegions()
	return l.tables()
}

func (l *layout) claim(name string, f Field, at span) {
	l.regions = append(l.regions, region{at, name, f, false})
}

func (l *layout) own(name string, at span) {
	l.regions = append(l.regions, region{at, name, Other, true})
}

func (l *layout) part(name string, f Field, content ...[]byte) {
	h := sha256.New()
	for _, c := range content {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(c))))
		h.Write(c)
	}
	if l.names == nil {
		l.names = map[string]int{}
	}
	if l.names[name]++; l.names[name] > 1 { // a resource twice
		name = fmt.Sprintf("%s (%d)", name, l.names[name])
	}
	p := part{name: name, field: f}
	h.Sum(p.sum[:0])
	l.parts = append(l.parts, p)
}

// directory claims a directory that has its own rules; at is empty when there is none.
func (l *layout) directory(name string, d directory) (at span, err error) {
	if d.size == 0 {
		return at, nil
	}
	at, ok := l.p.span(d)
	if !ok {
		return span{}, fmt.Errorf("%s lies outside the file", name)
	}
	l.own(name, at)
	return at, nil
}

// named claims the embedded resources and the signatures.
func (l *layout) named() error {
	if d := l.cli.resources; d.size > 0 {
		at, ok := l.p.span(d)
		if !ok {
			return errors.New("the resources lie outside the file")
		}
		l.claim("resources", ManagedResource, at)
	}
	at, err := l.directory("strong name", l.cli.strongName)
	if err != nil {
		return err
	}
	if at.end > 0 {
		l.a.add(Signature, "strong name", short(l.p.data[at.start:at.end]), at)
	}
	if d := l.p.dirs[dirSecurity]; d.size > 0 {
		at := span{int(d.rva), int(d.rva) + int(d.size)} // a file offset, as an exception
		if at.start < 0 || at.end > len(l.p.data) || at.end < at.start {
			return errors.New("the certificate lies outside the file")
		}
		l.own("certificate", at)
		l.a.add(Signature, "certificate", short(l.p.data[at.start:at.end]), at)
	}
	return nil
}

// short stands for content that is not shown.
func short(b []byte) string {
	sum := sha256.Sum256(b)
	return fmt.Sprintf("sha256:%x…", sum[:6])
}

// fieldData finds where the data of fields begins: compilers put it behind everything else.
func (l *layout) fieldData() {
	t := &l.a.meta.tables[tFieldRVA]
	first := -1
	for i := range t.rows {
		if off, ok := l.p.offset(t.cell(i, 0), 0); ok && (first < 0 || off < first) {
			first = off
		}
	}
	if first >= 0 {
		l.bounds = append(l.bounds, first)
	}
}

// fillGaps makes regions of what no other region has. Behind the CLI header compilers put the code of all methods.
func (l *layout) fillGaps() error {
	slices.SortFunc(l.regions, func(a, b region) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return a.end - b.end
	})
	var all []region
	pos, before := 0, "the start"
	gap := func(end int) {
		for _, b := range l.bounds {
			if pos < b && b < end {
				all = append(all, region{span{pos, b}, "behind " + before, gapField(before), false})
				pos, before = b, "field data"
			}
			if pos == b {
				before = "field data"
			}
		}
		if pos < end {
			all = append(all, region{span{pos, end}, "behind " + before, gapField(before), false})
		}
	}
	for _, r := range l.regions {
		if r.start < pos {
			return fmt.Errorf("%s overlaps with what lies before it", r.name)
		}
		gap(r.start)
		all = append(all, r)
		pos, before = r.end, r.name
	}
	gap(len(l.p.data))
	l.regions = all
	return nil
}

func gapField(before string) Field {
	switch before {
	case "CLI header":
		return Code
	case "field data":
		return Data
	}
	return Other
}

// locate says where an address leads: a region and the place in it.
func (l *layout) locate(rva uint32) string {
	if rva == 0 {
		return "nothing"
	}
	off, ok := l.p.offset(rva, 0)
	if !ok {
		return fmt.Sprintf("address %d", rva)
	}
	i, found := slices.BinarySearchFunc(l.regions, off, func(r region, off int) int { return r.start - off })
	if !found {
		i--
	}
	if i < 0 {
		return fmt.Sprintf("address %d", rva)
	}
	return fmt.Sprintf("%s+%d", l.regions[i].name, off-l.regions[i].start)
}

// sumRegions sums up the regions that are compared byte by byte: without the zero bytes at their end, which align what follows.
func (l *layout) sumRegions() {
	slices.SortFunc(l.fixups, func(a, b fixup) int { return a.at - b.at })
	next := 0
	for _, r := range l.regions {
		content := l.p.data[r.start:r.end]
		var targets strings.Builder
		cloned := false
		for ; next < len(l.fixups) && l.fixups[next].at < r.end; next++ {
			f := l.fixups[next]
			if !cloned {
				content, cloned = bytes.Clone(content), true
			}
			in := f.at - r.start
			if in < 0 || in+4 > len(content) {
				continue // overlaps a border: the bytes themselves are compared
			}
			clear(content[in : in+4])
			fmt.Fprintf(&targets, "%d:%s;", in, l.locate(f.target))
		}
		if r.own {
			continue
		}
		content = bytes.TrimRight(content, "\x00")
		if len(content) > 0 || targets.Len() > 0 {
			l.part(r.name, r.field, content, []byte(targets.String()))
		}
	}
}

// headers sums up what the headers say beside the layout.
func (l *layout) headers() {
	var b []byte
	for _, v := range l.p.fixed {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	entry := l.locate(l.p.entry)
	dirs := ""
	for i, d := range l.p.dirs {
		if i == dirSecurity {
			dirs += fmt.Sprint(d.size > 0)
			continue
		}
		dirs += l.locate(d.rva) + ";"
	}
	l.part("headers", Other, b, []byte(entry), []byte(dirs))
	cli := l.p.data[l.cli.at.start:l.cli.at.end] // its sizes are those of regions, whose content is compared
	l.part("CLI header", Other, cli[:8], cli[16:24], []byte(l.locate(l.cli.resources.rva)), []byte(l.locate(l.cli.strongName.rva)))
}
