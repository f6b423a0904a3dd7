// Package layer writes the layers that Gantry adds to an image: a tar of our own byte format inside a gzip or zstd, or as it is,
// streamed, with the same bytes for the same files on any machine. A layer's key (see [Key]) names these bytes before they are made.
//
// # The tar, format 1
//
// This is a specification: another implementation that follows it writes the same bytes. It is POSIX.1-2017 (pax, "ustar
// Interchange Format" and "pax Interchange Format") with every free choice fixed. All text is bytes; a block is 512 bytes.
//
// A layer's entries are, in ascending order of their path's bytes:
//
//   - the working directory, without its parents; where it is the root there is no such entry;
//   - each file, at working directory + "/" + its path in the folder;
//   - each folder below the working directory that a file of this layer is in, and each further folder that was asked for
//     (empty ones), with their parents up to the working directory;
//   - in a Windows layer, the folders "Files" and "Hives".
//
// A path has no leading and no trailing slash, no empty element, no "." and no "..". In a Windows layer the working directory
// loses its drive and gains "Files/"; backslashes in the working directory are slashes.
//
// An entry is a header block, preceded by a pax header where the list below asks for one, then the content of a file, then
// zero bytes up to a whole block. The header's fields are:
//
//	name      the path, see below; zero-filled
//	mode      seven octal digits, zero byte: 0755 (files and folders, as the SDK writes them) but for the files of a layer with a mode
//	uid       seven octal digits, zero byte: the owner, 0 but for a numeric ContainerUser or Owner
//	gid       seven octal digits, zero byte: the group, 0 but for an Owner with one
//	size      eleven octal digits, zero byte; 0 for a folder, and where a pax record has the size
//	mtime     eleven octal digits, zero byte: seconds since 1970
//	chksum    six octal digits, zero byte, space: the sum of the block's bytes with this field as eight spaces
//	typeflag  "0" for a file, "5" for a folder
//	linkname  zero bytes
//	magic     "ustar", zero byte; version "00"
//	uname     zero bytes
//	gname     zero bytes
//	devmajor  "0000000", zero byte
//	devminor  "0000000", zero byte
//	prefix    see below; zero-filled; then 12 zero bytes
//
// name and prefix: a path of ASCII bytes (below 0x80) of at most 100 bytes is the name. A longer one of at most 256 bytes is
// cut at a slash, if one leaves a prefix of 1 to 155 bytes and a name of 1 to 100; of several the last one. Any other path
// needs a pax record; its name is then its first 100 bytes with each byte from 0x80 on replaced by "_".
//
// A pax header is written when at least one of these records is needed, and has exactly those, in this order:
//
//	MSWINDOWS.rawsd   in a Windows layer, for each entry: the security descriptor of SecurityDescriptor
//	path              a path that name and prefix cannot hold
//	size              a size of 8 GiB (2^33 bytes) or more, in decimal digits
//	uid               an owner above 2097151, in decimal digits
//	gid               a group above 2097151, in decimal digits
//
// A record is its length in decimal digits (of all of it, the digits included), space, key, "=", value, line feed. The pax
// header is a header block like an entry's with name "./PaxHeaders/.", mode "0000644", uid 0, mtime 0, typeflag "x" and the
// records' length as size, then the records, then zero bytes up to a whole block.
//
// The tar ends with two blocks of zero bytes. Symbolic links are never written: what they lead to is. Nothing is written for
// what the folder does not have (no whiteouts, no hard links, no sparse files).
//
// # Times
//
// Each entry of a layer has the layer's time, [DefaultTime] or the epoch, but for the static files of a web app: ASP.NET Core
// makes ETag and Last-Modified of such a file from its time and length, so one time for all would keep the ETag of a file that
// changed, and a browser would be told 304. Their times depend on their content: see [StaticTime]. The dates in the endpoint
// list of the app are made equal to them: see [RewriteEndpoints].
//
// # The gzip
//
// RFC 1952, one member: flags 0, MTIME 0, OS 255, XFL by level (1: 4, 9: 2, else 0). The tar is cut into blocks of [BlockSize]
// bytes, each compressed with the 16 KiB before it as dictionary and ended with a sync marker, side by side on all cores
// (klauspost/pgzip); the last is followed by the final block of deflate. The level is [DefaultGzipLevel] unless another is asked for.
//
// # The zstd
//
// RFC 8878, one frame without content size and checksum, with a window of 256 KiB. The tar is cut into jobs of 1 MiB, each
// compressed with the 32 KiB (64 KiB at the third level) before it as history, two side by side (klauspost/compress,
// WithConcurrentBlocks). Of the compressor's levels three are used: 1 and 2 of zstd's are the first, 3 to 5 the second, 6 to 22 the
// third; [DefaultZstdLevel] unless another is asked for.
//
// With either the compressed bytes depend on the level, the block size and the compressor's version, and not on the number of cores,
// the sizes of writes or the platform.
//
// # Reading
//
// Memory is bounded: a buffer for each layer and a few blocks for each core, whatever the sizes of files. A file's size is compared
// with the file list before it is read, its content while it is, its size and time with themselves after: a layer never has half of
// an old and half of a new file.
package layer
