package msbuild

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// Anything in the store can vanish or rot between two builds, while the stages' stamps still say that nothing changed: the push
// finds out, makes the layers again, and the image is the same.
func TestStore_mayBeLostOrDamaged(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(path string) error{
		"lost":    os.Remove,
		"damaged": func(path string) error { return os.Truncate(path, 1) },
		"flipped": flipLastByte,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "console")
			s.push("-p:ContainerImageTag=1")
			harmed := 0
			walk(t, filepath.Join(testenv.StoreDir(t), "blobs"), func(path string, e fs.DirEntry) {
				if e.IsDir() {
					return
				}
				if err := harm(path); err != nil {
					t.Fatal(err)
				}
				harmed++
			})
			if harmed == 0 {
				t.Fatal("the store was empty")
			}
			s.push("-p:ContainerRepository=other", "-p:ContainerImageTag=2")
			first, err := s.image("app", "1").Digest()
			if err != nil {
				t.Fatal(err)
			}
			again, err := s.image("other", "2").Digest()
			if err != nil {
				t.Fatal(err)
			}
			if first != again {
				t.Errorf("got %s, want %s", again, first)
			}
		})
	}
}

func flipLastByte(path string) error {
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return err
	}
	data[len(data)-1] ^= 1
	if err := os.Remove(path); err != nil { // blobs are read-only
		return err
	}
	return os.WriteFile(path, data, 0o444)
}
