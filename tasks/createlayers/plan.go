package createlayers

import (
	"context"
	"path"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/tasks"
)

// group is one layer to be made.
type group struct {
	name string
	spec layer.Spec
}

// groupNames are the layers of LayersAuto, lowest first, and the origins in them.
var groupNames = []struct{ name, origin string }{
	{"runtime", tasks.OriginRuntime},
	{"packages", tasks.OriginPackage},
	{"projects", tasks.OriginProject},
	{appGroup, tasks.OriginApp},
}

const appGroup = "app"

// plan groups the files and settles the time of each.
func plan(ctx context.Context, d Deps, folder *layer.Folder, req *Request, in *inputs) ([]*group, error) {
	epoch, err := parseEpoch(req.SourceDateEpoch)
	if err != nil {
		return nil, err
	}
	single := req.Layers == LayersSingle
	byOrigin := map[string]*group{}
	for _, n := range groupNames {
		g := &group{name: n.name, spec: layer.Spec{
			WorkingDirectory: req.WorkingDirectory,
			Windows:          in.base.Windows(),
			Time:             layer.DefaultTime,
		}}
		if n.name == appGroup && epoch != nil {
			g.spec.Time = *epoch
		}
		if !g.spec.Windows {
			g.spec.UID = owner(req.User)
		}
		if req.CompressionLevel != nil {
			g.spec.Level = *req.CompressionLevel
		}
		byOrigin[n.origin] = g
	}
	app := byOrigin[tasks.OriginApp]
	for _, f := range in.files {
		if f.Type == tasks.TypeDirectory {
			continue
		}
		g := byOrigin[f.Origin]
		if g == nil || single || layer.IsStatic(f.Path) || layer.IsEndpoints(f.Path) {
			g = app
		}
		g.spec.Files = append(g.spec.Files, layer.File{Path: f.Path, Size: f.Size, ModTime: f.ModTime, Digest: f.Digest, Time: g.spec.Time})
	}
	app.spec.Folders = emptyFolders(in.files)
	if err := staticFiles(ctx, d, folder, app, layer.StaticBase(epoch, in.base.Created)); err != nil {
		return nil, err
	}
	var groups []*group
	for _, n := range groupNames {
		if g := byOrigin[n.origin]; g == app || len(g.spec.Files) > 0 {
			groups = append(groups, g)
		}
	}
	return groups, nil
}

// staticFiles gives the static files of the app their times, which need their content, and writes the same times into the
// endpoint list. These files are read twice; that their content is the same the second time is proved by its digest.
func staticFiles(ctx context.Context, d Deps, folder *layer.Folder, app *group, t0 int64) error {
	times := map[string]int64{}
	for i := range app.spec.Files {
		f := &app.spec.Files[i]
		if !layer.IsStatic(f.Path) {
			continue
		}
		digest, err := layer.Digest(ctx, folder, f)
		if err != nil {
			return err
		}
		f.Digest, f.Time = digest, layer.StaticTime(t0, digest)
		times[strings.TrimPrefix(f.Path, layer.StaticFolder)] = f.Time
	}
	timeOf := func(asset string) int64 {
		if t, ok := times[asset]; ok {
			return t
		}
		return layer.StaticStart(t0) // no such file: any date will do that is the same in every build
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
		if err != nil {
			edited = data // not ours to judge: the app gets what was published
			if d.Log != nil {
				d.Log.Info("kept as it is: "+f.Path, "stage", Stage, "reason", err.Error())
			}
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

// owner returns the owner of the files for a ContainerUser: the number if it is one, else 0. The rule is that of the SDK 10,
// tried: signs and space around are allowed, "1654:1000", names, negative numbers and those above 2147483647 are no number.
func owner(user string) int64 {
	n, err := strconv.ParseInt(strings.Trim(user, " \t\n\v\f\r"), 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
