package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/tools/bench/results"
	"github.com/gantry-build/gantry/internal/tools/imagestats"
)

// publish publishes with a container in a situation that beforeContainer made, and checks what came of it.
func (s *session) publish(ctx context.Context, situation string, latency int) (results.Sample, error) {
	had, err := s.storeBlobs()
	if err != nil {
		return results.Sample{}, err
	}
	s.registry.begin(latency)
	u, err := s.container(ctx)
	if err != nil {
		return results.Sample{}, err
	}
	before := s.images
	sample := results.Sample{Seconds: u.Seconds, CPUSeconds: u.CPUSeconds}
	if sample.Traffic, err = s.traffic(ctx, had); err == nil {
		err = s.check(situation, before, sample)
	}
	if err != nil {
		return sample, fmt.Errorf("%s, %s, with %s: %w", s.app.name, situation, s.tool, err)
	}
	return sample, nil
}

// traffic says what the registry saw since the last begin and has now. had are the store's blobs as they were then.
func (s *session) traffic(ctx context.Context, had map[string]bool) (results.Traffic, error) {
	var t results.Traffic
	stats, err := imagestats.Of(s.registry.rec.Requests(), s.registry.rec.Counts(), func(path string) ([]byte, error) {
		body, _, err := s.registry.ask(ctx, http.MethodGet, path)
		return body, err
	})
	if err != nil {
		return t, err
	}
	t.Requests, t.BytesUp, t.BytesDown = stats.Requests, stats.Up, stats.Down
	t.BlobsUploaded, t.BlobsMounted = stats.BlobsUp, stats.BlobsMounted
	s.images = nil
	own := map[string]int64{}
	for i := range s.app.projects {
		image, err := s.registry.image(ctx, s.repository+"/"+projectName(s.app, i), "latest")
		if err != nil {
			return t, err
		}
		s.images = append(s.images, image)
		for digest, size := range image.layers {
			if !s.bases.layers[digest] {
				own[digest] = size
			}
		}
	}
	has, err := s.storeBlobs()
	if err != nil {
		return t, err
	}
	for digest, size := range own {
		t.LayerBytes += size
		if has[digest] && !had[digest] {
			t.LayersMade++
		}
	}
	if s.tool == results.SDK {
		t.LayersMade = -1
	}
	return t, nil
}

// storeBlobs are the digests in Gantry's store; none when there is no store.
func (s *session) storeBlobs() (map[string]bool, error) {
	entries, err := os.ReadDir(filepath.Join(s.store, "blobs", "sha256"))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	blobs := map[string]bool{}
	for _, e := range entries {
		blobs["sha256:"+e.Name()] = true
	}
	return blobs, nil
}

// check holds a publish to what its situation makes certain.
func (s *session) check(situation string, before []image, sample results.Sample) error {
	same := len(before) > 0 && before[0].digest == s.images[0].digest
	switch situation {
	case results.Unchanged, results.Fresh:
		if s.tool == results.Gantry && (!same || sample.BlobsUploaded > 0) {
			return fmt.Errorf("nothing changed, but %d blobs were uploaded and the image is %s after %s",
				sample.BlobsUploaded, s.images[0].digest, before[0].digest)
		}
	default:
		if same {
			return fmt.Errorf("the image is %s as before", before[0].digest)
		}
	}
	return nil
}

// file is what tells two files of a publish folder apart.
type file struct {
	size   int64
	digest [sha256.Size]byte
}

// changed looks at the publish folder and says how many bytes are in files that are new or other than when it was called last, and
// in all files. There must be one publish folder.
func (s *session) changed() (change, all int64, err error) {
	dir, err := s.publishDir()
	if err != nil {
		return 0, 0, err
	}
	files, err := listFiles(dir)
	if err != nil {
		return 0, 0, err
	}
	for path, f := range files {
		all += f.size
		if s.files[path] != f {
			change += f.size
		}
	}
	s.files = files
	return change, all, nil
}

func (s *session) publishDir() (string, error) {
	var found []string
	for _, pattern := range []string{"publish", "*/publish"} {
		names, err := filepath.Glob(filepath.Join(s.dir, "bin", "Release", "*", pattern))
		if err != nil {
			return "", err
		}
		found = append(found, names...)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s: want one publish folder, found %q", s.dir, found)
	}
	return found[0], nil
}

func listFiles(dir string) (map[string]file, error) {
	files := map[string]file{}
	return files, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		h := sha256.New()
		n, err := io.Copy(h, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		files[strings.TrimPrefix(path, dir)] = file{n, [sha256.Size]byte(h.Sum(nil))}
		return nil
	})
}
