package outcome

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/diag"
)

// SchemaVersion is that of the report.
const SchemaVersion = 1

// Report writes the result to a JSON file, which is replaced as a whole. Fails with GANTRY1007.
func (r Result) Report(file string) error {
	doc := struct {
		SchemaVersion int `json:"schemaVersion"`
		Result
	}{SchemaVersion, r}
	if doc.Tags == nil {
		doc.Tags = []Tag{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		return diag.Wrap(diag.Internal, err, "the report cannot be encoded", "please report it")
	}
	return unwritable("the report", file, atomicfile.Write(file, b.Bytes()))
}

// AddRef puts registry/repository@digest into a file of such lines, which are sorted, one a repository; nothing for a push that failed. Any number of processes may do
// so at once: projects of a solution are pushed side by side. Fails with GANTRY1007.
func (r Result) AddRef(file string) error {
	if r.Deferred || r.Error != nil {
		return nil
	}
	return locked("the list of images", file, func(old string) error {
		lines := slices.DeleteFunc(strings.Split(old, "\n"), func(l string) bool {
			repository, _, _ := strings.Cut(l, "@")
			return strings.TrimSpace(l) == "" || repository == r.Reference
		})
		lines = append(lines, r.Reference+"@"+string(r.Digest))
		slices.Sort(lines)
		return atomicfile.Write(file, []byte(strings.Join(lines, "\n")+"\n"))
	})
}

const summaryHead = "| image | digest | pushed | tags | blobs |\n| --- | --- | --- | --- | --- |\n"

// AddSummary appends a row to a table in Markdown, and the table's head where the file does not end in one: what GitHub shows of a job
// (GITHUB_STEP_SUMMARY). Fails with GANTRY1007.
func (r Result) AddSummary(file string) error {
	if r.Deferred {
		return nil
	}
	return locked("the job's summary", file, func(old string) error {
		text := r.row()
		if !endsInTable(old) {
			text = "\n" + summaryHead + text
		}
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteString(text) // appended, as other programs do: they need not know of the lock
		return errors.Join(err, f.Close())
	})
}

// endsInTable says whether only rows stand after the last head.
func endsInTable(text string) bool {
	_, rows, found := cutLast(text, summaryHead)
	if !found {
		return false
	}
	for _, line := range strings.Split(strings.TrimSuffix(rows, "\n"), "\n") {
		if line != "" && !strings.HasPrefix(line, "| ") {
			return false
		}
	}
	return strings.HasSuffix(text, "|\n")
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func (r Result) row() string {
	pushed, blobs := "no, it is there", ""
	switch {
	case r.Error != nil:
		pushed = "failed: " + string(r.Error.Code)
	case r.Pushed:
		pushed, blobs = "yes", r.Blobs.String()
	}
	var tags []string
	for _, t := range r.Tags {
		tags = append(tags, "`"+t.Tag+"` "+string(t.State))
	}
	return fmt.Sprintf("| `%s` | `%s` | %s | %s | %s |\n", r.Reference, r.Digest, pushed, strings.Join(tags, ", "), blobs)
}

// locked has a file changed under a lock, which is a hidden file beside it that stays: a lock that is removed is not one.
func locked(what, file string, change func(old string) error) error {
	lock := flock.New(filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".lock"))
	if err := lock.Lock(); err != nil {
		return unwritable(what, file, err)
	}
	defer lock.Close()
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unwritable(what, file, err)
	}
	return unwritable(what, file, change(string(old)))
}

func unwritable(what, file string, err error) error {
	if err == nil {
		return nil
	}
	return diag.Wrap(diag.ResponseUnwritable, err, fmt.Sprintf("%s %s cannot be written", what, file), "check the folder's rights and the free space; the image is in the registry")
}
