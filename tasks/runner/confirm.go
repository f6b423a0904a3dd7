package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gantry-build/gantry/internal/diag"
)

// buildFile names, in a folder of documents, the build that they are of. A build writes it before its first document.
const buildFile = "build"

const takenHint = "publish one after the other, or give each an IntermediateOutputPath and a PublishDir of its own"

// owns says GANTRY9005 of a folder whose documents are of another build than this one: two publishes of one project at once share the
// folder, and what one wrote must not be pushed by the other. Where no build is named nobody can tell, and nobody shares.
func (env *Env) owns(dir string) error {
	if env.BuildID == "" {
		return nil
	}
	name, err := os.ReadFile(filepath.Join(dir, buildFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && bytes.Equal(bytes.TrimSpace(name), []byte(env.BuildID)) {
		return nil
	}
	return diag.New(diag.FolderTaken, fmt.Sprintf("another publish of this project used %s at the same time, so nothing was pushed by this one", dir),
		takenHint)
}

// confirm says whether the documents in dir, all read by now, are those that this build made: its requests, as no other build came since,
// and the responses to them, as the stamps still are what their stages would read. A stage of an earlier build that ends late puts its
// stamp aside before it writes its response, so that one of the two shows.
func (env *Env) confirm(dir string) error {
	if err := env.owns(dir); err != nil || env.BuildID == "" {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "stamp")); err != nil {
		return nil // not driven by a build that keeps stamps
	}
	c := current{env: env, dir: dir}
	for _, name := range stampedOrder {
		if _, err := os.Stat(c.files(name).Request); err != nil {
			continue // the folder of an index has none
		}
		stage, err := Find(Stages(), name)
		if err != nil {
			return err
		}
		if !stage.current(env, c.files(name), filepath.Join(dir, "stamp", name)) {
			return diag.New(diag.FolderTaken, fmt.Sprintf("%s of %s was changed by something else while this publish ran, so nothing was pushed", name+".json", dir),
				takenHint)
		}
	}
	return nil
}
