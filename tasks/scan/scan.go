// Package scan is the stage that walks the publish folder: it lists every file and folder, with the digest of each file's content, says
// where each file comes from as far as MSBuild knows, and refuses what cannot go into an image.
//
// The list is what the stages after it compare with the last one, so it has nothing that differs without the content: a file that was
// touched, or a folder that was copied, gives the same list. Digests are taken from the record of the folder (package published) where the
// file system says that a file is untouched, so that an unchanged file costs one stat; other files are read, side by side.
//
// The SDK copies a file to the publish folder only when it is newer than the copy. After a package was lowered, or a file replaced by an
// older one, the copy is stale: it is compared with its source and copied again (stale.go). What an earlier publish left behind is left
// out of the list (leftover.go), and so is what Gantry itself writes there (own.go). All are told in the log, and none shows in the list, which is that of a clean publish.
//
// Symbolic links are followed while they stay in the folder and appear as what they lead to, as the SDK has it; hidden files
// are files like others; on Windows, files with the system attribute are left out, as the SDK does.
package scan

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/internal/published"
	"github.com/gantry-build/gantry/tasks"
)

// Stage is the stage's name.
const Stage = "scan"

// Request is the stage's request.
type Request struct {
	tasks.RequestHeader
	// FolderPath is the publish folder.
	FolderPath string `json:"folderPath"`
	// Items are all files that MSBuild published, as far as it knows where they come from. Of two for one path the last counts;
	// those that the folder does not have are ignored.
	Items []Item `json:"items,omitempty"`
	// RecordPath is the file that keeps what is known of the folder, relative to the response's folder. Without it every file is read, and
	// nothing is left out.
	RecordPath string `json:"recordPath,omitempty"`
	// StartedPath is a file that was written when the publish began, before its first file was copied: its time of modification tells
	// which copies are of this publish. Without it no copy is compared with its source.
	StartedPath string `json:"startedPath,omitempty"`
	// Transformed are patterns of files that differ from their source on purpose: doublestar globs of paths relative to the folder, with
	// slashes. Left out, they are web.config and *.staticwebassets.endpoints.json, which the SDK edits.
	Transformed []string `json:"transformed,omitempty"`
	// ArchivePath and Repository are those of save's request, and OwnOutputPaths other files and folders that Gantry writes: a layout, the
	// report, the list of images. Where they lie in the folder, they and what is below them are left out, but for a file that an item names.
	ArchivePath    string   `json:"archivePath,omitempty"`
	Repository     string   `json:"repository,omitempty"`
	OwnOutputPaths []string `json:"ownOutputPaths,omitempty"`
}

// transformedBySDK are the files whose published copies the SDK edits.
var transformedBySDK = []string{"web.config", "*.staticwebassets.endpoints.json"}

// Item says where one published file comes from.
type Item struct {
	// Path is relative to the publish folder; backslashes count as slashes. For the origin, case does not count.
	Path string `json:"path"`
	// SourcePath is the file that was copied.
	SourcePath string `json:"sourcePath,omitempty"`
	// Origin is one of the Origin kinds of package tasks; OriginName and OriginVersion the package or project.
	Origin        string `json:"origin"`
	OriginName    string `json:"originName,omitempty"`
	OriginVersion string `json:"originVersion,omitempty"`
}

// Response is the stage's response: the file list.
type Response struct {
	tasks.ResponseHeader
	// FolderPath is the request's.
	FolderPath string `json:"folderPath"`
	// Files are all files and folders, sorted by the bytes of their paths.
	Files []tasks.FileEntry `json:"files"`
}

// Deps are what the stage needs from outside.
type Deps struct {
	// OutputDir is what RecordPath is relative to.
	OutputDir string
	// Log may be nil.
	Log *slog.Logger
}

// scanner is one call of Run.
type scanner struct {
	log         *slog.Logger
	req         *Request
	folder      *layer.Folder
	items       items
	fileSystems published.FileSystems
	was         published.Record // what the last scan saw
	recordPath  string           // empty for none
	started     int64            // when the publish began, in nanoseconds since 1970; 0 when it is not known
	found       []*found         // in the order of the walk
	read        int              // files that were read, sources too
	own         ownOutputs
	ownLeft     []string // files of own that are left out
}

// Run walks the folder. Where several files are refused the error is that of the first in the order of the walk and says how
// many more there are. Codes: CONTAINER2011 (no such folder), GANTRY4001 (no files in it), 4002 (cannot be read), 4003
// (changed while it was read), 4004 (link out of the folder), 4005 (two names that differ in case only), 4006 (not UTF-8), 4007
// (device, pipe, socket), 4008 (.wh.), 4012 (link that leads in a circle or nowhere), 4016 (a stale copy that cannot be replaced).
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	folder, err := layer.OpenFolder(req.FolderPath)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	s := &scanner{log: d.Log, req: req, folder: folder, items: index(req.Items)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.scan(ctx, d.OutputDir); err != nil {
		return nil, err
	}
	files, count := s.list()
	if count == 0 {
		return nil, diag.New(diag.PublishFolderEmpty, "the publish folder "+req.FolderPath+" has no files",
			"publish first: an image without the app is never what was meant")
	}
	s.remember()
	s.tellOwn()
	s.log.Info("scanned the publish folder", "stage", Stage, "files", count, "read", s.read)
	dir := strings.TrimRight(filepath.ToSlash(req.FolderPath), "/") + "/"
	return &Response{
		ResponseHeader: tasks.ResponseHeader{
			SchemaVersion: tasks.SchemaVersion, Stage: Stage, Outputs: []tasks.Output{},
			Inputs: []tasks.FileDigest{{Path: dir, Digest: tasks.FileListDigest(files)}},
		},
		FolderPath: req.FolderPath,
		Files:      files,
	}, nil
}

// scan finds all files, makes the copies what they have to be, and knows their content. The record is read during the walk: each costs about as
// much as the other.
func (s *scanner) scan(ctx context.Context, outputDir string) error {
	var record sync.WaitGroup
	record.Go(func() { s.open(outputDir) })
	s.own = s.ownOutputs()
	w := &walker{ctx: ctx, scanner: s}
	err := w.walk("", []string{"."}, false)
	record.Wait()
	if err != nil {
		return err
	}
	s.leaveOut()
	s.refuseCollisions()
	if err := s.readFiles(ctx, s.found); err != nil {
		return err
	}
	if err := s.firstError(); err != nil {
		return err
	}
	return s.replaceStale(ctx)
}
