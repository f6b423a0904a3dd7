// Package graphstate is what a registry remembers of a graph of images: the tag src-<hash>, which says that an image was built from exactly
// what the hash stands for, and beside the image a record of what that was, so that anyone can ask which images it rests on and whether one
// of them moved, without a checkout.
//
// # Tag and record
//
// The tag is what counts: a plan skips an image whose tag is there. It is written last, and only when everything that the hash says is proved
// of the image (Stamp). The record is a note for people and for later runs. It is an OCI artifact whose subject is the image or the index
// (image-spec 1.1, manifest.md, "subject"), and its one layer is a JSON document: see Record. Whoever may push may write one, so that a
// record never decides that an image need not be built.
//
// # Git
//
// Affected maps what git says was changed to images. It only adds work: whatever git does not know, the hashes do.
package graphstate
