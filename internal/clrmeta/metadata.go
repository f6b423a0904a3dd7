package clrmeta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	maxStreams = 16
	maxRows    = 1 << 24 // an index into a table has three bytes in a token
)

// metadata is the physical metadata of an assembly or of a portable PDB file (ECMA-335 II.24.2).
type metadata struct {
	data    []byte
	header  []byte // of the root: everything before the stream headers, version included
	strings []byte
	us      []byte
	guids   []byte
	blobs   []byte
	pdb     []byte // the stream #Pdb of a PDB file
	tables  [tableCount]table
	flags   []byte // of the tables' stream: versions and which tables are sorted
	covered []span // of data, in no order
	guidsAt int    // where guids begins in data
	blobsAt int
}

// table is one table, whose rows lie in the metadata.
type table struct {
	rows, width int
	at          int // where data begins in the metadata
	data        []byte
	columns     []column
	offsets     []int // of each column in a row
	sizes       []int
}

// parseMetadata reads the metadata root and all that it leads to.
func parseMetadata(data []byte) (*metadata, error) {
	m := &metadata{data: data}
	c := &cursor{b: data}
	if string(c.bytes(4)) != "BSJB" {
		return nil, errors.New("the metadata has no signature")
	}
	c.bytes(8)
	c.bytes(int(int32(c.u32()))) // the version's text
	c.u16()
	count := int(c.u16())
	if c.bad || count > maxStreams {
		return nil, errors.New("the metadata root is cut off")
	}
	m.header = data[:c.off]
	var tables []byte
	var tablesAt int
	seen := map[string]bool{}
	for range count {
		off, size := int(c.u32()), int(c.u32())
		name := c.text()
		c.align(4)
		b := at(data, off).bytes(size)
		if c.bad || b == nil && size > 0 || seen[name] {
			return nil, fmt.Errorf("the metadata stream %q cannot be used", name)
		}
		seen[name] = true
		switch name {
		case "#~":
			tables, tablesAt = b, off
		case "#Strings":
			m.strings = b
		case "#US":
			m.us = b
		case "#GUID":
			m.guids, m.guidsAt = b, off
		case "#Blob":
			m.blobs, m.blobsAt = b, off
		case "#Pdb":
			m.pdb = b
		default: // an uncompressed or unknown stream: what it means is not known
			return nil, fmt.Errorf("the metadata stream %q is not known", name)
		}
		m.covered = append(m.covered, span{off, off + size})
	}
	m.covered = append(m.covered, span{0, c.off})
	if tables == nil {
		return nil, errors.New("the metadata has no tables")
	}
	return m, m.parseTables(tables, tablesAt)
}

func (m *metadata) parseTables(b []byte, place int) error {
	c := &cursor{b: b}
	c.u32()
	version := c.bytes(2)
	heaps := c.u8()
	reserved := c.u8()
	valid := c.u64()
	sorted := c.bytes(8)
	if c.bad || heaps&^7 != 0 || valid>>tableCount != 0 {
		return errors.New("the metadata tables are of an unknown form")
	}
	m.flags = append(append(bytes.Clone(version), reserved), sorted...)
	m.flags = binary.LittleEndian.AppendUint64(m.flags, valid)
	rows, err := m.rowCounts(c, valid)
	if err != nil {
		return err
	}
	for id := range m.tables {
		if valid>>id&1 == 0 {
			continue
		}
		t := &m.tables[id]
		t.columns = schema[id]
		if t.columns == nil {
			return fmt.Errorf("the metadata table %#x is not known", id)
		}
		for _, col := range t.columns {
			size := columnSize(col, heaps, rows)
			t.offsets, t.sizes = append(t.offsets, t.width), append(t.sizes, size)
			t.width += size
		}
		t.rows, t.at = int(rows[id]), place+c.off
		if t.data = c.bytes(t.rows * t.width); t.data == nil {
			return fmt.Errorf("the metadata table %#x is cut off", id)
		}
	}
	if !zero(b[c.off:]) {
		return errors.New("there is data behind the metadata tables")
	}
	return nil
}

// rowCounts reads the number of rows of each table. For a PDB file it takes over those of the assembly, which the stream #Pdb has.
func (m *metadata) rowCounts(c *cursor, valid uint64) (rows [64]uint32, err error) {
	read := func(c *cursor, mask uint64) {
		for id := range rows {
			if mask>>id&1 == 1 {
				rows[id] = c.u32()
			}
			if rows[id] > maxRows {
				c.bad = true
			}
		}
	}
	if m.pdb != nil {
		p := &cursor{b: m.pdb}
		p.bytes(24) // id and entry point
		if read(p, p.u64()); p.bad {
			return rows, errors.New("the stream #Pdb is cut off")
		}
	}
	if read(c, valid); c.bad {
		return rows, errors.New("the metadata tables are cut off")
	}
	return rows, nil
}

func columnSize(col column, heaps uint8, rows [64]uint32) int {
	wide := false
	switch col.kind {
	case kU2:
	case kU4, kRVA:
		wide = true
	case kString:
		wide = heaps&1 != 0
	case kGUID:
		wide = heaps&2 != 0
	case kBlob:
		wide = heaps&4 != 0
	case kTable:
		wide = rows[col.arg] > 0xffff
	case kCoded:
		index := codedIndexes[col.arg]
		for _, t := range index.tables {
			if t != 0xff && rows[t] >= 1<<(16-index.bits) {
				wide = true
			}
		}
	}
	if wide {
		return 4
	}
	return 2
}

// cell returns a value of a table; rows and columns count from 0.
func (t *table) cell(row, column int) uint32 {
	if row < 0 || row >= t.rows || column >= len(t.columns) {
		return 0
	}
	b := t.data[row*t.width+t.offsets[column]:]
	if t.sizes[column] == 2 {
		return uint32(binary.LittleEndian.Uint16(b))
	}
	return binary.LittleEndian.Uint32(b)
}

// decode takes a coded index apart; row counts from 0, and is -1 for none.
func decode(kind uint8, value uint32) (table uint8, row int) {
	index := codedIndexes[kind]
	tag := value & (1<<index.bits - 1)
	if int(tag) >= len(index.tables) {
		return 0xff, -1
	}
	return index.tables[tag], int(value>>index.bits) - 1
}

// string returns a text of the heap, cut at 1024 bytes.
func (m *metadata) string(i uint32) string {
	if int64(i) >= int64(len(m.strings)) {
		return ""
	}
	b := m.strings[i:]
	if n := bytes.IndexByte(b, 0); n >= 0 {
		b = b[:n]
	}
	return string(b[:min(len(b), 1024)])
}

// blob returns an entry of the heap and where it lies in it; nil when the index leads to nothing.
func (m *metadata) blob(i uint32) ([]byte, int) {
	c := at(m.blobs, int(i))
	n := c.compressed()
	b := c.bytes(n)
	return b, c.off - len(b)
}

func (m *metadata) guid(i uint32) []byte {
	return at(m.guids, (int(i)-1)*16).bytes(16)
}
