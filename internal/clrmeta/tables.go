package clrmeta

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// tables sums up the metadata: each table with its indexes replaced by what they lead to, so that a text of another length in a heap
// changes nothing but itself.
func (l *layout) tables() error {
	s := &summer{m: l.a.meta, l: l, strings: map[uint32][32]byte{}, blobs: map[uint32][32]byte{}, starts: map[int]bool{}}
	s.budget = 16*len(l.p.data) + 1<<20
	m := l.a.meta
	l.part("metadata root", Declarations, m.header, m.flags)
	l.part("#Strings", Declarations, m.strings)
	l.part("#US", Literals, bytes.TrimRight(m.us, "\x00"))
	for id := range m.tables {
		t := &m.tables[id]
		h := sha256.New()
		var buf []byte
		for row := range t.rows {
			if id == tCustomAttribute && l.attributes[row] {
				s.column(tCustomAttribute, column{kind: kBlob}, t.cell(row, 2), nil) // so that it counts as referred to
				continue
			}
			buf = buf[:0]
			for i, col := range t.columns {
				if !named(uint8(id), i, row) {
					buf = s.column(uint8(id), col, t.cell(row, i), buf)
				}
			}
			h.Write(buf)
			if s.budget < 0 {
				return errors.New("its metadata overlap with themselves")
			}
		}
		if t.rows > 0 {
			p := part{name: fmt.Sprintf("table %#x", id), field: Declarations}
			h.Sum(p.sum[:0])
			l.parts = append(l.parts, p)
		}
	}
	l.part("#Blob", Declarations, s.unusedBlobs())
	l.part("#GUID", Declarations, s.otherGUIDs())
	l.part("rest of the metadata", Other, uncovered(m.data, m.covered))
	return nil
}

// named says whether a cell is a value of its own: MVID and versions.
func named(id uint8, column, row int) bool {
	switch id {
	case tModule:
		return column == 2 && row == 0
	case tAssembly:
		return column >= 1 && column <= 4 && row == 0
	case tAssemblyRef:
		return column <= 3
	}
	return false
}

// summer replaces indexes by the digests of what they lead to. Each content is hashed once, within a budget of bytes: entries of a
// hostile heap can overlap.
type summer struct {
	m              *metadata
	l              *layout
	strings, blobs map[uint32][32]byte
	starts         map[int]bool // offsets in the blob heap that something refers to
	budget         int
}

func (s *summer) column(_ uint8, col column, v uint32, buf []byte) []byte {
	switch col.kind {
	case kRVA:
		where := s.l.locate(v)
		buf = binary.LittleEndian.AppendUint32(buf, uint32(len(where)))
		return append(buf, where...)
	case kString:
		sum, ok := s.strings[v]
		if !ok {
			c := at(s.m.strings, int(v))
			n := max(0, bytes.IndexByte(s.m.strings[min(int64(v), int64(len(s.m.strings))):], 0))
			sum = s.sum(c.bytes(n), c.bad)
			s.strings[v] = sum
		}
		return append(buf, sum[:]...)
	case kBlob:
		sum, ok := s.blobs[v]
		if !ok {
			b, _ := s.m.blob(v)
			sum = s.sum(b, b == nil)
			s.blobs[v], s.starts[int(v)] = sum, true
		}
		return append(buf, sum[:]...)
	case kGUID:
		return append(buf, s.m.guid(v)...)
	}
	return binary.LittleEndian.AppendUint32(buf, v)
}

func (s *summer) sum(b []byte, bad bool) [32]byte {
	s.budget -= len(b)
	if bad || s.budget < 0 {
		return [32]byte{1}
	}
	return sha256.Sum256(b)
}

// unusedBlobs returns the entries of the blob heap that nothing refers to.
func (s *summer) unusedBlobs() []byte {
	var out []byte
	c := &cursor{b: s.m.blobs}
	for !c.bad && c.off < len(c.b) {
		start := c.off
		c.bytes(c.compressed())
		if c.bad {
			return append(out, s.m.blobs[start:]...)
		}
		if !s.starts[start] && c.off-start > 1 {
			out = append(out, s.m.blobs[start:c.off]...)
		}
	}
	return out
}

// otherGUIDs returns the GUID heap without the MVID.
func (s *summer) otherGUIDs() []byte {
	out := slices.Clone(s.m.guids)
	if i := int(s.m.tables[tModule].cell(0, 2)) - 1; i >= 0 && (i+1)*16 <= len(out) {
		clear(out[i*16 : (i+1)*16])
	}
	return out
}
