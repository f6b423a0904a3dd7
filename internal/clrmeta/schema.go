package clrmeta

// Metadata tables (ECMA-335 II.22; from 0x30 on the tables of portable PDB files, Portable PDB v1.0).
const (
	tModule          = 0x00
	tTypeRef         = 0x01
	tTypeDef         = 0x02
	tField           = 0x04
	tMethodDef       = 0x06
	tMemberRef       = 0x0a
	tCustomAttribute = 0x0c
	tFieldRVA        = 0x1d
	tAssembly        = 0x20
	tAssemblyRef     = 0x23
	tManifestRes     = 0x28
	tDocument        = 0x30
	tMethodDebug     = 0x31
	tCustomDebug     = 0x37
	tableCount       = 0x38
)

// columnKind is what a column holds.
type columnKind uint8

const (
	kU2 columnKind = iota
	kU4
	kRVA // an address in the file, 4 bytes
	kString
	kGUID
	kBlob
	kTable // a row of the table arg
	kCoded // a row of one of the tables of the coded index arg
)

// column is one column of a table.
type column struct {
	kind columnKind
	arg  uint8
}

// Coded indexes (ECMA-335 II.24.2.6).
const (
	cTypeDefOrRef = iota
	cHasConstant
	cHasCustomAttribute
	cHasFieldMarshal
	cHasDeclSecurity
	cMemberRefParent
	cHasSemantics
	cMethodDefOrRef
	cMemberForwarded
	cImplementation
	cCustomAttributeType
	cResolutionScope
	cTypeOrMethodDef
	cHasCustomDebug
)

// coded is a coded index: the bits of its tag, and the tables by tag; 0xff is a tag that is not used.
type coded struct {
	bits   uint
	tables []uint8
}

var attributeParents = []uint8{
	0x06, 0x04, 0x01, 0x02, 0x08, 0x09, 0x0a, 0x00, 0x0e, 0x17, 0x14, 0x11, 0x1a, 0x1b, 0x20, 0x23, 0x26, 0x27, 0x28, 0x2a, 0x2c, 0x2b,
}

var codedIndexes = [...]coded{
	cTypeDefOrRef:        {2, []uint8{0x02, 0x01, 0x1b}},
	cHasConstant:         {2, []uint8{0x04, 0x08, 0x17}},
	cHasCustomAttribute:  {5, attributeParents},
	cHasFieldMarshal:     {1, []uint8{0x04, 0x08}},
	cHasDeclSecurity:     {2, []uint8{0x02, 0x06, 0x20}},
	cMemberRefParent:     {3, []uint8{0x02, 0x01, 0x1a, 0x06, 0x1b}},
	cHasSemantics:        {1, []uint8{0x14, 0x17}},
	cMethodDefOrRef:      {1, []uint8{0x06, 0x0a}},
	cMemberForwarded:     {1, []uint8{0x04, 0x06}},
	cImplementation:      {2, []uint8{0x26, 0x23, 0x27}},
	cCustomAttributeType: {3, []uint8{0xff, 0xff, 0x06, 0x0a, 0xff}},
	cResolutionScope:     {2, []uint8{0x00, 0x1a, 0x23, 0x01}},
	cTypeOrMethodDef:     {1, []uint8{0x02, 0x06}},
	cHasCustomDebug:      {5, append(attributeParents[:22:22], 0x30, 0x32, 0x33, 0x34, 0x35)},
}

var (
	u2, u4, rva       = column{kU2, 0}, column{kU4, 0}, column{kRVA, 0}
	str, guid, blobAt = column{kString, 0}, column{kGUID, 0}, column{kBlob, 0}
)

func row(table uint8) column { return column{kTable, table} }
func oneOf(c uint8) column   { return column{kCoded, c} }

// schema has the columns of each table; a table without is not known, and nothing behind it could be read.
var schema = [tableCount][]column{
	0x00: {u2, str, guid, guid, guid},
	0x01: {oneOf(cResolutionScope), str, str},
	0x02: {u4, str, str, oneOf(cTypeDefOrRef), row(0x04), row(0x06)},
	0x03: {row(0x04)},
	0x04: {u2, str, blobAt},
	0x05: {row(0x06)},
	0x06: {rva, u2, u2, str, blobAt, row(0x08)},
	0x07: {row(0x08)},
	0x08: {u2, u2, str},
	0x09: {row(0x02), oneOf(cTypeDefOrRef)},
	0x0a: {oneOf(cMemberRefParent), str, blobAt},
	0x0b: {u2, oneOf(cHasConstant), blobAt},
	0x0c: {oneOf(cHasCustomAttribute), oneOf(cCustomAttributeType), blobAt},
	0x0d: {oneOf(cHasFieldMarshal), blobAt},
	0x0e: {u2, oneOf(cHasDeclSecurity), blobAt},
	0x0f: {u2, u4, row(0x02)},
	0x10: {u4, row(0x04)},
	0x11: {blobAt},
	0x12: {row(0x02), row(0x14)},
	0x13: {row(0x14)},
	0x14: {u2, str, oneOf(cTypeDefOrRef)},
	0x15: {row(0x02), row(0x17)},
	0x16: {row(0x17)},
	0x17: {u2, str, blobAt},
	0x18: {u2, row(0x06), oneOf(cHasSemantics)},
	0x19: {row(0x02), oneOf(cMethodDefOrRef), oneOf(cMethodDefOrRef)},
	0x1a: {str},
	0x1b: {blobAt},
	0x1c: {u2, oneOf(cMemberForwarded), str, row(0x1a)},
	0x1d: {rva, row(0x04)},
	0x1e: {u4, u4},
	0x1f: {u4},
	0x20: {u4, u2, u2, u2, u2, u4, blobAt, str, str},
	0x21: {u4},
	0x22: {u4, u4, u4},
	0x23: {u2, u2, u2, u2, u4, blobAt, str, str, blobAt},
	0x24: {u4, row(0x23)},
	0x25: {u4, u4, u4, row(0x23)},
	0x26: {u4, str, blobAt},
	0x27: {u4, u4, str, str, oneOf(cImplementation)},
	0x28: {u4, u4, str, oneOf(cImplementation)},
	0x29: {row(0x02), row(0x02)},
	0x2a: {u2, u2, oneOf(cTypeOrMethodDef), str},
	0x2b: {oneOf(cMethodDefOrRef), blobAt},
	0x2c: {row(0x2a), oneOf(cTypeDefOrRef)},
	0x30: {blobAt, guid, blobAt, guid},
	0x31: {row(0x30), blobAt},
	0x32: {row(0x06), row(0x35), row(0x33), row(0x34), u4, u4},
	0x33: {u2, u2, str},
	0x34: {str, blobAt},
	0x35: {row(0x35), blobAt},
	0x36: {row(0x06), row(0x06)},
	0x37: {oneOf(cHasCustomDebug), guid, blobAt},
}
