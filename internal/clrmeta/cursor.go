package clrmeta

import "encoding/binary"

// cursor reads little-endian values of foreign data. After a read beyond the end every read gives zero, and bad is set.
type cursor struct {
	b   []byte
	off int
	bad bool
}

// at returns a cursor at an offset, bad when it lies outside.
func at(b []byte, off int) *cursor {
	if off < 0 || off > len(b) {
		return &cursor{bad: true}
	}
	return &cursor{b: b, off: off}
}

// bytes returns the next n bytes, nil when there are not as many.
func (c *cursor) bytes(n int) []byte {
	if c.bad || n < 0 || n > len(c.b)-c.off {
		c.bad = true
		return nil
	}
	c.off += n
	return c.b[c.off-n : c.off : c.off]
}

func (c *cursor) u8() uint8 {
	if b := c.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// compressed reads an unsigned number as ECMA-335 II.23.2 packs it.
func (c *cursor) compressed() int {
	b := c.u8()
	switch {
	case b&0x80 == 0:
		return int(b)
	case b&0x40 == 0:
		return int(b&0x3f)<<8 | int(c.u8())
	case b&0x20 == 0:
		n := int(b & 0x1f)
		for range 3 {
			n = n<<8 | int(c.u8())
		}
		return n
	}
	c.bad = true
	return 0
}

// text reads bytes up to a zero byte.
func (c *cursor) text() string {
	start := c.off
	for !c.bad {
		if c.u8() == 0 && !c.bad {
			return string(c.b[start : c.off-1])
		}
	}
	return ""
}

// align moves to a multiple of n, counted from the start.
func (c *cursor) align(n int) {
	c.bytes((n - c.off%n) % n)
}

// done says whether all was read, and no more.
func (c *cursor) done() bool { return !c.bad && c.off == len(c.b) }

// zero says whether b is nothing but zero bytes.
func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// span is a range of a file's bytes.
type span struct{ start, end int }
