package cachekey

// Names by which what this package writes is found in a repository, for those who clean up: the prefix of keys' tags, the artifact type of
// records, and the annotation of a record that has the key's tag.
const (
	Prefix        = prefix
	RecordType    = recordType
	AnnotationTag = annotationTag
)
