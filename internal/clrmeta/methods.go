package clrmeta

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// methodKey names a method: overloads differ by their signature, and what is left by their order.
type methodKey struct {
	name      string
	signature [sha256.Size]byte
	n         int
}

// changedMethods compares the code of methods by name and signature. It is there to name them: that code differs is known already.
// Code has the numbers of the rows that it refers to, so that a new declaration can change methods that are otherwise the same.
func changedMethods(a, b *Assembly) []Change {
	x, y := a.methods(), b.methods()
	var changes []Change
	for key, code := range x {
		if other, ok := y[key]; !ok {
			changes = append(changes, Change{Field: Code, Name: key.name, A: "there"})
		} else if other != code {
			changes = append(changes, Change{Field: Code, Name: key.name})
		}
	}
	for key := range y {
		if _, ok := x[key]; !ok {
			changes = append(changes, Change{Field: Code, Name: key.name, B: "there"})
		}
	}
	slices.SortFunc(changes, func(x, y Change) int { return strings.Compare(x.Name+x.A+x.B, y.Name+y.A+y.B) })
	return changes
}

// methods returns the digest of each method's code.
func (a *Assembly) methods() map[methodKey][sha256.Size]byte {
	m := a.meta
	types, methods := &m.tables[tTypeDef], &m.tables[tMethodDef]
	out := make(map[methodKey][sha256.Size]byte, methods.rows)
	budget := 4*len(a.pe.data) + 1<<20
	typeRow := 0
	for i := range methods.rows {
		for typeRow+1 < types.rows && int(types.cell(typeRow+1, 5)) <= i+1 {
			typeRow++
		}
		name := m.string(types.cell(typeRow, 1)) + "." + m.string(methods.cell(i, 3))
		if space := m.string(types.cell(typeRow, 2)); space != "" {
			name = space + "." + name
		}
		signature, _ := m.blob(methods.cell(i, 4))
		code := a.code(methods.cell(i, 0))
		if budget -= len(signature) + len(code); budget < 0 {
			break
		}
		key := methodKey{name: name, signature: sha256.Sum256(signature)}
		for {
			if _, taken := out[key]; !taken || key.n > 100 {
				break
			}
			key.n++
		}
		out[key] = sha256.Sum256(fmt.Append(slices.Clip(code), methods.cell(i, 1), methods.cell(i, 2)))
	}
	return out
}

// code returns a method's body with its header and exception tables (ECMA-335 II.25.4); nil for a method without.
func (a *Assembly) code(rva uint32) []byte {
	start, ok := a.pe.offset(rva, 1)
	if rva == 0 || !ok {
		return nil
	}
	c := at(a.pe.data, start)
	first := c.u8()
	if first&3 == 2 { // tiny
		c.bytes(int(first >> 2))
		return a.pe.data[start:c.off]
	}
	header := c.u8()
	c.u16()
	size := int(c.u32())
	c.bytes(int(header>>4)*4 - 8)
	c.bytes(size)
	for more := first&8 != 0; more && !c.bad; {
		c.bytes((4 - (c.off-start)%4) % 4)
		kind := c.u8()
		n := int(c.u8())
		if high := int(c.u16()); kind&0x40 != 0 {
			n |= high << 8
		}
		c.bytes(n - 4)
		more = kind&0x80 != 0
	}
	if c.bad {
		return nil
	}
	return a.pe.data[start:c.off]
}
