package clrmeta

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// PDB is what a portable PDB file says of where its assembly comes from (Portable PDB v1.0).
type PDB struct {
	// Documents are the source files with the digests of their content, by the path that the compiler saw.
	Documents map[string]string
	// SourceLink is the JSON document that leads to the sources on a server; it has the revision.
	SourceLink string
}

// sourceLinkKind is {CC110556-A091-4D38-9FEC-25AB9A351A6A}.
var sourceLinkKind = []byte{0x56, 0x05, 0x11, 0xcc, 0x91, 0xa0, 0x38, 0x4d, 0x9f, 0xec, 0x25, 0xab, 0x9a, 0x35, 0x1a, 0x6a}

// maxDocumentName bounds the path of a source file, in bytes.
const maxDocumentName = 4096

// ParsePDB reads a portable PDB file.
func ParsePDB(data []byte) (*PDB, error) {
	if len(data) > MaxSize {
		return nil, errors.New("the PDB file is too large")
	}
	m, err := parseMetadata(data)
	if err != nil {
		return nil, err
	}
	p := &PDB{Documents: map[string]string{}}
	t := &m.tables[tDocument]
	budget := 16*len(data) + 1<<20
	for i := range t.rows {
		name := m.documentName(t.cell(i, 0))
		if budget -= len(name); budget < 0 {
			return nil, errors.New("the PDB file overlaps with itself")
		}
		sum, _ := m.blob(t.cell(i, 2))
		p.Documents[name] = hex.EncodeToString(sum[:min(len(sum), 64)])
	}
	t = &m.tables[tCustomDebug]
	for i := range t.rows {
		if bytes.Equal(m.guid(t.cell(i, 1)), sourceLinkKind) {
			b, _ := m.blob(t.cell(i, 2))
			p.SourceLink = string(b)
			break
		}
	}
	return p, nil
}

// documentName puts a path together of its parts (Portable PDB, "Document Name Blob").
func (m *metadata) documentName(i uint32) string {
	blob, _ := m.blob(i)
	c := &cursor{b: blob}
	separator := c.u8()
	var name []byte
	for n := 0; !c.bad && c.off < len(blob) && len(name) < maxDocumentName; n++ {
		if n > 0 && separator != 0 {
			name = append(name, separator)
		}
		part, _ := m.blob(uint32(c.compressed()))
		name = append(name, part[:min(len(part), maxDocumentName)]...)
	}
	return string(name)
}

// Kinds of changes between PDB files.
const (
	// PDBSourceLink says that the link to the sources differs, which has the revision.
	PDBSourceLink = "SourceLink"
	// PDBPaths says that source files lie in other folders.
	PDBPaths = "source paths"
	// PDBSources says that the content of source files differs.
	PDBSources = "sources"
)

// PDBChange is a difference of two PDB files: its kind, and one example of it.
type PDBChange struct {
	Kind string
	A, B string
}

// ComparePDB returns the reasons that it knows for two PDB files to differ; there may be others.
func ComparePDB(a, b *PDB) []PDBChange {
	var changes []PDBChange
	if x, y, moved := movedDocument(a, b); moved {
		changes = append(changes, PDBChange{PDBPaths, x, y})
	}
	if a.SourceLink != b.SourceLink {
		changes = append(changes, PDBChange{Kind: PDBSourceLink})
	}
	var edited []string
	for name, sum := range a.Documents {
		if other, ok := b.Documents[name]; ok && other != sum {
			edited = append(edited, name)
		}
	}
	if len(edited) > 0 {
		slices.Sort(edited)
		changes = append(changes, PDBChange{PDBSources, edited[0], edited[0]})
	}
	return changes
}

// movedDocument finds a source file that both have in different folders.
func movedDocument(a, b *PDB) (x, y string, ok bool) {
	onlyB := map[string]string{}
	for name := range b.Documents {
		if _, both := a.Documents[name]; !both {
			onlyB[fileName(name)+" "+b.Documents[name]] = name
		}
	}
	var found []string
	for name := range a.Documents {
		if _, both := b.Documents[name]; !both && onlyB[fileName(name)+" "+a.Documents[name]] != "" {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return "", "", false
	}
	x = slices.Min(found)
	return x, onlyB[fileName(x)+" "+a.Documents[x]], true
}

func fileName(path string) string { return path[strings.LastIndexAny(path, `/\`)+1:] }
