// Package clrmeta reads .NET assemblies and says in which parts two of them differ.
//
// An assembly is a PE file with a CLI header (ECMA-335 partition II, 24 and 25). A compiler stamps each with an identity (the MVID, the
// PE time stamp, the id of its debug file) and with versions and paths; this package separates those from what the program is.
//
// The comparison is a proof, not a guess: each byte of a file belongs to exactly one part, and a part is compared whole, but for
// the fields that have a name of their own ([Field]) and for the addresses that follow from the layout, which are compared by what they
// lead to. So a string of another length, which moves everything behind it, is still found to be the only difference. Whatever the
// package cannot take apart (native code, an unknown linker's layout) is compared byte by byte; where that finds a difference
// without a name, the result has a change of the field [Other] and nobody may say "only".
//
// Input is foreign: every offset and count is checked, nothing is allocated by what a file claims, and memory is bounded by the
// size of the file. The functions hold no state and may be called by several goroutines at once. Nothing is executed or resolved.
package clrmeta
