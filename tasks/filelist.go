package tasks

import (
	"encoding/json"

	"github.com/gantry-build/gantry/internal/cas"
)

// FileListDigest is the digest of a file list: what a response gives as the digest of a folder that was walked. The list is
// hashed as JSON, in the order that it has.
func FileListDigest(files []FileEntry) cas.Digest {
	data, err := json.Marshal(files)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return cas.DigestOf(data)
}
