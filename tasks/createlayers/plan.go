package createlayers

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/tasks"
)

// Names of the layers that are not the user's own; see also packageLayer.
const (
	runtimeGroup  = "runtime"
	packagesGroup = "packages"
	projectsGroup = "projects"
	appGroup      = "app"
)

// group is one layer to be provided: one that is made of files, or one that is taken as it is.
type group struct {
	name string
	// createdBy is for the history.
	createdBy string
	spec      layer.Spec
	// extra says that a ContainerLayer item brings the layer.
	extra bool
	// blob takes the place of spec; nil for a layer that is made.
	blob      *tasks.ExtraBlob
	mediaType string
	key       cas.Digest
}

// content is the number of bytes that have to be read for the layer.
func (g *group) content() int64 {
	if g.blob != nil {
		return g.blob.Descriptor.Size
	}
	var n int64
	for i := range g.spec.Files {
		n += g.spec.Files[i].Size
	}
	return n
}

// scene is what all layers of an image have in common.
type scene struct {
	req    *Request
	in     *inputs
	log    *slog.Logger
	store  Store
	folder *layer.Folder
	again  bool   // layers are made for their blobs alone
	epoch  *int64 // nil for none
	// t0 is the time from which those of static files are counted.
	t0          int64
	compression layer.Compression
	mediaType   string // of layers that are made
}

func newScene(d Deps, folder *layer.Folder, req *Request, in *inputs) (*scene, error) {
	epoch, err := parseEpoch(req.SourceDateEpoch)
	if err != nil {
		return nil, err
	}
	s := &scene{req: req, in: in, log: d.Log, store: d.Store, folder: folder, again: d.BlobsNeeded, epoch: epoch, t0: layer.StaticBase(epoch, in.base.Created)}
	s.compression = layer.Compression{Algorithm: req.Compression}
	if req.CompressionLevel != nil {
		s.compression.Level = *req.CompressionLevel
	}
	var ok bool
	if s.mediaType, ok = s.compression.MediaType(in.base.Format); !ok {
		return nil, diag.New(diag.ZstdImage, "the image is in Docker format, which does not know layers with zstd",
			"set ContainerImageFormat to OCI, or GantryCompression to gzip")
	}
	return s, nil
}

// plan groups the files, settles the time of each and names each layer's key, and puts the layers of ContainerLayer items below and above.
// Groups without files are left out, but for the app's.
func plan(ctx context.Context, s *scene) ([]*group, error) {
	groups, err := s.appLayers(ctx)
	if err != nil || len(s.in.extras) == 0 {
		return groups, err
	}
	if groups, err = s.addExtras(groups, s.in.extras); err != nil {
		return nil, err
	}
	if s.again {
		return groups, nil // it was said when the layers were made first
	}
	return groups, s.conflicts(groups)
}

// appLayers are the layers of the published files.
func (s *scene) appLayers(ctx context.Context) ([]*group, error) {
	groups, in := s.newGroups(), s.in
	byName := make(map[string]*group, len(groups))
	for _, g := range groups {
		byName[g.name] = g
	}
	choose := chooser(s.req, in.files)
	times := map[string]int64{}
	for _, f := range in.files {
		if f.Type == tasks.TypeDirectory {
			continue
		}
		g := byName[choose(&f)]
		file := layer.File{Path: f.Path, Size: f.Size, Digest: f.Digest, Time: g.spec.Time}
		if file.Digest == "" { // not a list that scan wrote
			var err error
			if file.Digest, err = layer.Digest(ctx, s.folder, &file); err != nil {
				return nil, err
			}
		}
		if layer.IsStatic(f.Path) {
			file.Time = layer.StaticTime(s.t0, file.Digest)
			times[strings.TrimPrefix(f.Path, layer.StaticFolder)] = file.Time
		}
		g.spec.Files = append(g.spec.Files, file)
	}
	app := byName[appGroup]
	app.spec.Folders = emptyFolders(in.files)
	if err := rewriteEndpoints(ctx, s.log, s.folder, app, times, layer.StaticStart(s.t0)); err != nil {
		return nil, err
	}
	return keyed(s.log, s.req, groups)
}

// newGroups returns all groups of published files that there may be, lowest first and without files.
func (s *scene) newGroups() []*group {
	var groups []*group
	for _, name := range groupNames(s.req.OwnLayers) {
		g := &group{name: name, createdBy: "gantry " + Stage + ": " + name, mediaType: s.mediaType, spec: layer.Spec{
			WorkingDirectory: s.req.WorkingDirectory,
			Windows:          s.in.base.Windows(),
			Time:             layer.DefaultTime,
			Compression:      s.compression,
		}}
		if name == appGroup && s.epoch != nil {
			g.spec.Time = *s.epoch
		}
		if !g.spec.Windows {
			g.spec.UID = owner(s.req.User)
		}
		groups = append(groups, g)
	}
	return groups
}

// groupNames are the names of all layers that there may be, lowest first.
func groupNames(own []OwnLayer) []string {
	names := []string{runtimeGroup}
	for i := range packageLayers {
		names = append(names, packageLayerName(i))
	}
	names = append(names, packagesGroup, projectsGroup)
	for _, o := range own {
		names = append(names, o.Name)
	}
	return append(names, appGroup)
}

// chooser returns the function that names a file's layer.
func chooser(req *Request, files []tasks.FileEntry) func(*tasks.FileEntry) string {
	own := ownGlobs(req.OwnLayers)
	sizes := packageSizes(files)
	single := req.Layers == LayersSingle
	return func(f *tasks.FileEntry) string {
		if layer.IsEndpoints(f.Path) {
			return appGroup
		}
		if name, ok := own.layer(f.Path); ok {
			return name
		}
		if single || layer.IsStatic(f.Path) {
			return appGroup
		}
		switch f.Origin {
		case tasks.OriginRuntime:
			return runtimeGroup
		case tasks.OriginPackage:
			return packageLayer(f.OriginName, sizes)
		case tasks.OriginProject:
			return projectsGroup
		}
		return appGroup
	}
}

// keyed leaves out the groups without files and names the keys of the others.
func keyed(log *slog.Logger, req *Request, groups []*group) ([]*group, error) {
	var kept []*group
	for _, g := range groups {
		if g.name != appGroup && len(g.spec.Files) == 0 {
			if req.owns(g.name) {
				log.Info("no layer "+g.name+": none of its globs matches a published file", "stage", Stage)
			}
			continue
		}
		key, err := layer.Key(&g.spec, g.mediaType)
		if err != nil {
			return nil, err
		}
		g.key = key
		kept = append(kept, g)
	}
	return kept, nil
}

// rewriteEndpoints makes the dates of the endpoint list the times of the static files, which lie relative to their folder.
func rewriteEndpoints(ctx context.Context, log *slog.Logger, folder *layer.Folder, app *group, times map[string]int64, none int64) error {
	timeOf := func(asset string) int64 {
		if t, ok := times[asset]; ok {
			return t
		}
		return none // no such file: any date will do that is the same in every build
	}
	for i := range app.spec.Files {
		f := &app.spec.Files[i]
		if !layer.IsEndpoints(f.Path) {
			continue
		}
		data, err := layer.Content(ctx, folder, f)
		if err != nil {
			return err
		}
		edited, err := layer.RewriteEndpoints(data, timeOf)
		if err != nil { // not ours to judge: the app gets what was published
			log.Info("kept as it is: "+f.Path, "stage", Stage, "reason", err.Error())
			continue
		}
		f.Content = edited
	}
	return nil
}

// emptyFolders returns the folders that no file is in or below.
func emptyFolders(files []tasks.FileEntry) []string {
	used := map[string]bool{}
	for _, f := range files {
		if f.Type != tasks.TypeDirectory {
			for p := path.Dir(f.Path); p != "." && !used[p]; p = path.Dir(p) {
				used[p] = true
			}
		}
	}
	var empty []string
	for _, f := range files {
		if f.Type == tasks.TypeDirectory && !used[f.Path] {
			empty = append(empty, f.Path)
		}
	}
	return empty
}

// Packages are spread over packageLayers layers, but for those that publish less than smallPackage bytes.
const (
	packageLayers = 4
	smallPackage  = 256 << 10
)

func packageLayerName(i int) string { return fmt.Sprintf("%s-%d", packagesGroup, i+1) }

// packageSizes are the bytes that each package publishes, by its lower-case id.
func packageSizes(files []tasks.FileEntry) map[string]int64 {
	sizes := map[string]int64{}
	for _, f := range files {
		if f.Origin == tasks.OriginPackage {
			sizes[strings.ToLower(f.OriginName)] += f.Size
		}
	}
	return sizes
}

// packageLayer names the layer of a package's files. It looks at nothing but the package itself: another one that comes or goes must
// not move it.
func packageLayer(id string, sizes map[string]int64) string {
	id = strings.ToLower(id)
	if id == "" || sizes[id] < smallPackage {
		return packagesGroup
	}
	first, err := strconv.ParseUint(cas.DigestOf([]byte(id)).Hex()[:2], 16, 8)
	if err != nil {
		panic(err) // a digest is hexadecimal digits
	}
	return packageLayerName(int(first) % packageLayers)
}

// owner returns the owner of the files for a ContainerUser: the number if it is one, else 0. The rule is that of the SDK 10,
// tried: signs and space around are allowed, "1654:1000", names, negative numbers and those above 2147483647 are no number.
func owner(user string) int64 {
	n, err := strconv.ParseInt(strings.Trim(user, " \t\n\v\f\r"), 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
