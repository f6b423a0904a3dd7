package clrmeta

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Types of entries of the debug directory (PE-COFF specification of the .NET runtime, "PE Debug Directory").
const (
	debugCodeView     = 2
	debugReproducible = 16
	debugEmbeddedPDB  = 17
	debugPDBChecksum  = 19
)

const (
	debugEntryBytes = 28
	maxDebugEntries = 64
)

// debug reads the debug directory. All of it has names: it is compared value by value.
func (l *layout) debug() error {
	at, err := l.directory("debug directory", l.p.dirs[dirDebug])
	if err != nil || at.end == 0 {
		return err
	}
	n := (at.end - at.start) / debugEntryBytes
	if n > maxDebugEntries || n*debugEntryBytes != at.end-at.start {
		return errors.New("the debug directory cannot be read")
	}
	var shape bytes.Buffer // what has no name of its own
	for i := range n {
		c := &cursor{b: l.p.data[:at.end], off: at.start + i*debugEntryBytes}
		characteristics, stamp, version, kind := c.u32(), c.u32(), c.u32(), c.u32()
		size, _, off := int(c.u32()), c.u32(), int(c.u32())
		if kind == debugCodeView {
			// the second half of the id of a portable PDB
			l.a.add(PDBID, "stamp", fmt.Sprintf("%#x", stamp), span{c.off - 24, c.off - 20})
		} else {
			l.a.add(TimeStamp, fmt.Sprintf("debug entry %d", i), fmt.Sprintf("%#x", stamp), span{c.off - 24, c.off - 20})
		}
		fmt.Fprintf(&shape, "%d %d %d;", characteristics, version, kind)
		if size == 0 && kind != debugReproducible {
			continue
		}
		if kind == debugReproducible {
			l.a.Deterministic = true
			if size == 0 {
				continue
			}
		}
		data := at2(l.p.data, off, size)
		if data == nil {
			return errors.New("the debug data lie outside the file")
		}
		where := span{off, off + size}
		l.own(fmt.Sprintf("debug data %d", i), where)
		l.debugData(kind, i, data, where)
	}
	l.part("debug directory", DebugData, shape.Bytes())
	return nil
}

// at2 returns n bytes at an offset, nil when they are not there.
func at2(b []byte, off, n int) []byte { return at(b, off).bytes(n) }

func (l *layout) debugData(kind uint32, i int, data []byte, where span) {
	a := l.a
	switch kind {
	case debugCodeView:
		if len(data) < 25 || string(data[:4]) != "RSDS" {
			break
		}
		path, rest, _ := bytes.Cut(data[24:], []byte{0})
		if !zero(rest) {
			break
		}
		a.add(PDBID, "", guidText(data[4:20])+fmt.Sprintf(" %d", binary.LittleEndian.Uint32(data[20:])), span{where.start + 4, where.start + 24})
		a.add(PDBPath, "", string(path), span{where.start + 24, where.end})
		return
	case debugPDBChecksum:
		name, sum, ok := bytes.Cut(data, []byte{0})
		if ok {
			a.add(PDBChecksum, "", fmt.Sprintf("%s:%x", name, sum), where)
			return
		}
	case debugEmbeddedPDB:
		a.Embedded = unpackPDB(data)
		a.add(EmbeddedPDB, "", short(data), where)
		return
	}
	a.add(DebugData, fmt.Sprintf("of type %d (entry %d)", kind, i), short(data), where)
}

// unpackPDB unpacks an embedded portable PDB; nil when it cannot be unpacked or is too large.
func unpackPDB(data []byte) []byte {
	c := &cursor{b: data}
	if string(c.bytes(4)) != "MPDB" {
		return nil
	}
	size := int64(c.u32())
	if c.bad || size > MaxSize {
		return nil
	}
	r := flate.NewReader(bytes.NewReader(data[c.off:]))
	out, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil || int64(len(out)) != size {
		return nil
	}
	return out
}
