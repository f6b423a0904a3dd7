package buildcontext

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"slices"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/published"
)

// A memo is a header, one entry a file in order of paths, and the SHA-256 of all that. An entry is the length of the path (32 bits, little
// endian) and the path, the five numbers of published.Stat (64 bits each) and the 32 bytes of the digest. It holds paths of this machine and
// is of no use on another.
const memoHeader = "gantry build context memo 1\n"

const (
	statBytes = 5 * 8
	// maxMemo bounds the entries: at some 150 bytes each, about 150 MB.
	maxMemo = 1 << 20
)

// Save writes the memo, if this run read a file. Files that this run did not look at stay in it, as long as there is room.
func (s *Store) Save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memoPath == "" || !s.changed {
		return nil
	}
	all := maps.Clone(s.seen)
	for path, content := range s.memo {
		if _, ok := all[path]; !ok && len(all) < maxMemo {
			all[path] = content
		}
	}
	if err := atomicfile.Write(s.memoPath, encodeMemo(all)); err != nil {
		return err
	}
	s.changed = false
	return nil
}

func encodeMemo(files map[string]published.Content) []byte {
	b := []byte(memoHeader)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		c := files[path]
		sum, err := hex.DecodeString(c.Digest.Hex())
		if err != nil {
			continue // there is no such digest
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(len(path)))
		b = append(b, path...)
		for _, n := range []uint64{uint64(c.Stat.Size), uint64(c.Stat.ModTime), uint64(c.Stat.ChangeTime), c.Stat.Device, c.Stat.Inode} {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
		b = append(b, sum...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

var errMemo = errors.New("not a memo of build contexts")

func parseMemo(data []byte) (map[string]published.Content, error) {
	end := len(data) - sha256.Size
	if end < len(memoHeader) || string(data[:len(memoHeader)]) != memoHeader {
		return nil, errMemo
	}
	if sum := sha256.Sum256(data[:end]); !bytes.Equal(sum[:], data[end:]) {
		return nil, errMemo
	}
	files := map[string]published.Content{}
	for b := data[len(memoHeader):end]; len(b) > 0; {
		if len(b) < 4 {
			return nil, errMemo
		}
		size := int(binary.LittleEndian.Uint32(b))
		b = b[4:]
		if size < 0 || len(b)-statBytes-sha256.Size < size {
			return nil, errMemo
		}
		path := string(b[:size])
		var n [5]uint64
		for i := range n {
			n[i] = binary.LittleEndian.Uint64(b[size+8*i:])
		}
		digest := b[size+statBytes:]
		files[path] = published.Content{
			Stat:    published.Stat{Size: int64(n[0]), ModTime: int64(n[1]), ChangeTime: int64(n[2]), Device: n[3], Inode: n[4]},
			Digest:  cas.Digest("sha256:" + hex.EncodeToString(digest[:sha256.Size])),
			Settled: true,
		}
		b = digest[sha256.Size:]
	}
	return files, nil
}
