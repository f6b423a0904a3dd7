package sourcehash

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/gantry-build/gantry/internal/dockerfile"
)

// sealSalt begins what a seal is made of.
const sealSalt = "gantry sealed line 1"

// Seal makes of a list what may be kept where many can read it. Instructions, arguments and options may have secrets in them, and addresses a
// password or a signature: in the place of such a value stands a seal, which says whether a value is the same as another. It has 16 bits, so
// that neither one seal nor many of the same value tell which of all passwords it is; one change of 65,536 has the same seal, and is not told.
// Two sealed lists can be given to Diff; a sealed one and another cannot. The order is that of list.
func Seal(list []Line) []Line {
	out := slices.Clone(list)
	for i := range out {
		l := &out[i]
		switch l.Kind {
		case Platform, Parent, File:
			continue
		case Source:
			l.Value, l.Name = seal(*l), dockerfile.PublicURL(l.Name)
		default:
			l.Value = seal(*l)
		}
	}
	return out
}

// seal is the first two bytes of a SHA-256, as hexadecimal digits.
func seal(l Line) string {
	h := sha256.New()
	for _, field := range []string{sealSalt, string(l.Kind), l.Name, l.Value} {
		h.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(field))), field...))
	}
	return hex.EncodeToString(h.Sum(nil)[:2])
}
