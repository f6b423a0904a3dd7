package clrmeta

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Field is a part of an assembly that has a name of its own.
type Field string

// Fields. Those up to Signature follow from everything else in the file; the others can be reasons.
const (
	MVID        Field = "MVID"
	TimeStamp   Field = "PE time stamp"
	Checksum    Field = "PE checksum"
	PDBID       Field = "PDB id"
	PDBChecksum Field = "PDB checksum"
	Signature   Field = "signature"
	// EmbeddedPDB is the debug file inside the assembly.
	EmbeddedPDB Field = "embedded PDB"
	// PDBPath is where the compiler wrote the debug file.
	PDBPath Field = "PDB path"
	// DebugData is an entry of the debug directory of another kind.
	DebugData            Field = "debug data"
	InformationalVersion Field = "InformationalVersion"
	FileVersion          Field = "FileVersion"
	AssemblyVersion      Field = "AssemblyVersion"
	// Attribute is another attribute of the whole assembly that has texts alone.
	Attribute Field = "attribute"
	// Reference is the version of another assembly that this one was compiled against.
	Reference Field = "reference"
	// Win32Version is a text or number of the Win32 version resource.
	Win32Version Field = "Win32 version resource"
	// Win32Resource is a Win32 resource of another kind.
	Win32Resource Field = "Win32 resource"
	// Code is what a method does.
	Code Field = "code"
	// Literals are the text literals of the code.
	Literals Field = "text literals"
	// Declarations are types, members, signatures, attributes and references.
	Declarations Field = "declarations"
	// Data is what arrays are initialised from.
	Data Field = "initial data"
	// ManagedResource are the embedded resources.
	ManagedResource Field = "embedded resources"
	// Other is a difference that was found and has no name.
	Other Field = "other"
)

// Derived says whether a field follows from the rest of the file and the debug file, so that it is never the reason for a difference.
func (f Field) Derived() bool {
	switch f {
	case MVID, TimeStamp, Checksum, PDBID, PDBChecksum, Signature:
		return true
	}
	return false
}

// value is a field as one assembly has it.
type value struct {
	field Field
	name  string // sets values of one field apart
	text  string // as it may be shown
}

// Assembly is an assembly that was read.
type Assembly struct {
	pe   *pe
	meta *metadata
	// Deterministic says whether the compiler's mark of a deterministic build is there.
	Deterministic bool
	// Embedded is the portable PDB inside the assembly, unpacked; nil without one.
	Embedded []byte

	values  []value
	masks   []span // of the file: where values lie
	inexact error  // why the file could not be taken apart
	parts   []part
	metaAt  int // file offset of the metadata
	names   map[valueKey]int
}

// Parse reads an assembly. The error is ErrNotAssembly for other files, and another for an assembly that is damaged or of a form
// that is not known.
func Parse(data []byte) (*Assembly, error) {
	p, err := parsePE(data)
	if err != nil {
		return nil, err
	}
	cli, err := p.parseCLI()
	if err != nil {
		return nil, err
	}
	at, ok := p.span(cli.metadata)
	if !ok {
		return nil, errors.New("the metadata lies outside the file")
	}
	a := &Assembly{pe: p, metaAt: at.start, names: map[valueKey]int{}}
	if a.meta, err = parseMetadata(data[at.start:at.end]); err != nil {
		return nil, err
	}
	a.add(TimeStamp, "", fmt.Sprintf("%#x", p.stamp), span{p.coff + 4, p.coff + 8})
	a.add(Checksum, "", fmt.Sprintf("%#x", p.checksum), span{p.optional + 64, p.optional + 68})
	a.identity()
	attributes := a.attributes()
	l := &layout{a: a, p: p, cli: cli, attributes: attributes}
	a.inexact = l.run()
	a.parts = l.parts
	return a, nil
}

// add notes a value and where it lies in the file.
func (a *Assembly) add(f Field, name, text string, at ...span) {
	key := valueKey{f, name}
	if a.names[key]++; a.names[key] > 1 { // a second version resource, two references of one name
		name = fmt.Sprintf("%s (%d)", name, a.names[key])
	}
	a.values = append(a.values, value{f, name, text})
	a.masks = append(a.masks, at...)
}

// cellSpan is where a value of a table lies in the file.
func (a *Assembly) cellSpan(id uint8, row, first, last int) span {
	t := &a.meta.tables[id]
	start := a.metaAt + t.at + row*t.width
	return span{start + t.offsets[first], start + t.offsets[last] + t.sizes[last]}
}

// identity reads MVID, the assembly's version and those of its references.
func (a *Assembly) identity() {
	m := a.meta
	if i := m.tables[tModule].cell(0, 2); i > 0 {
		if g := m.guid(i); g != nil {
			at := a.metaAt + m.guidsAt + (int(i)-1)*16
			a.add(MVID, "", guidText(g), span{at, at + 16})
		}
	}
	if t := &m.tables[tAssembly]; t.rows > 0 {
		a.add(AssemblyVersion, "", versionText(t, 0, 1), a.cellSpan(tAssembly, 0, 1, 4))
	}
	for i := range m.tables[tAssemblyRef].rows {
		t := &m.tables[tAssemblyRef]
		a.add(Reference, m.string(t.cell(i, 6)), versionText(t, i, 0), a.cellSpan(tAssemblyRef, i, 0, 3))
	}
}

func versionText(t *table, row, column int) string {
	return fmt.Sprintf("%d.%d.%d.%d", t.cell(row, column), t.cell(row, column+1), t.cell(row, column+2), t.cell(row, column+3))
}

// guidText writes a GUID as .NET does.
func guidText(b []byte) string {
	return fmt.Sprintf("%08x-%04x-%04x-%s-%s", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]),
		binary.LittleEndian.Uint16(b[6:]), hex.EncodeToString(b[8:10]), hex.EncodeToString(b[10:16]))
}

const attributeSpace = "System.Reflection.Assembly"

// attributes reads the attributes of the assembly that have texts alone, and returns their rows.
func (a *Assembly) attributes() map[int]bool {
	rows := map[int]bool{}
	t := &a.meta.tables[tCustomAttribute]
	for i := range t.rows {
		if parent, _ := decode(cHasCustomAttribute, t.cell(i, 0)); parent != tAssembly {
			continue
		}
		typeName, params, ok := a.constructor(t.cell(i, 1))
		if !ok {
			continue
		}
		blob, start := a.meta.blob(t.cell(i, 2))
		texts, at, ok := attributeTexts(blob, params)
		if !ok {
			continue
		}
		rows[i] = true
		field, name := Attribute, typeName
		switch typeName {
		case attributeSpace + "InformationalVersionAttribute":
			field, name = InformationalVersion, ""
		case attributeSpace + "FileVersionAttribute":
			field, name = FileVersion, ""
		case attributeSpace + "MetadataAttribute":
			name, texts = typeName+" "+texts[0], texts[1:]
		}
		for j := range at {
			at[j].start += a.metaAt + a.meta.blobsAt + start
			at[j].end += a.metaAt + a.meta.blobsAt + start
		}
		a.add(field, name, strings.Join(texts, ", "), at...)
	}
	return rows
}

// constructor names the type of an attribute by its constructor, when that takes texts alone: the usual case of a reference to a
// type of another assembly.
func (a *Assembly) constructor(value uint32) (typeName string, params int, ok bool) {
	m := a.meta
	kind, i := decode(cCustomAttributeType, value)
	if kind != tMemberRef || i < 0 || i >= m.tables[tMemberRef].rows {
		return "", 0, false
	}
	t := &m.tables[tMemberRef]
	parent, j := decode(cMemberRefParent, t.cell(i, 0))
	if parent != tTypeRef || j < 0 || j >= m.tables[tTypeRef].rows {
		return "", 0, false
	}
	signature, _ := m.blob(t.cell(i, 2))
	c := &cursor{b: signature}
	if c.u8() != 0x20 { // an instance method (ECMA-335 II.23.2.3)
		return "", 0, false
	}
	params = c.compressed()
	if c.u8() != 0x01 || params < 1 || params > 8 { // returns nothing
		return "", 0, false
	}
	for range params {
		if c.u8() != 0x0e { // string
			return "", 0, false
		}
	}
	r := &m.tables[tTypeRef]
	return m.string(r.cell(j, 2)) + "." + m.string(r.cell(j, 1)), params, c.done()
}

// attributeTexts reads an attribute's value of texts without named arguments (ECMA-335 II.23.3), and where they lie in it.
func attributeTexts(blob []byte, n int) (texts []string, at []span, ok bool) {
	c := &cursor{b: blob}
	if c.u16() != 1 {
		return nil, nil, false
	}
	for range n {
		if c.off < len(blob) && blob[c.off] == 0xff { // null
			c.u8()
			texts = append(texts, "")
			continue
		}
		b := c.bytes(c.compressed())
		texts, at = append(texts, string(b)), append(at, span{c.off - len(b), c.off})
	}
	return texts, at, c.u16() == 0 && c.done()
}
