package publish

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// app is the .NET app in a published folder, as its runtimeconfig.json describes it (dotnet/sdk, runtime-configuration-file.md).
type app struct {
	folder string
	name   string // without extension
	config runtimeConfig
	deps   deps
}

type runtimeConfig struct {
	RuntimeOptions struct {
		Framework          framework   `json:"framework"`
		Frameworks         []framework `json:"frameworks"`
		IncludedFrameworks []framework `json:"includedFrameworks"`
	} `json:"runtimeOptions"`
}

type framework struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

const runtimeConfigSuffix = ".runtimeconfig.json"

// findApp finds the one app of a folder. The error, GANTRY1009, asks for an entrypoint.
func findApp(folder string) (*app, error) {
	matches, err := filepath.Glob(filepath.Join(escapeGlob(folder), "*"+runtimeConfigSuffix))
	if err != nil {
		return nil, diag.Wrap(diag.Internal, err, "the folder's name cannot be searched", "please report it")
	}
	switch {
	case len(matches) == 0:
		if _, err := os.Stat(folder); err != nil {
			return nil, diag.Wrap(diag.PublishFolderMissing, err, "the folder cannot be read", "publish first: dotnet publish -o FOLDER")
		}
		return nil, badOption(fmt.Sprintf("%s has no *%s, so how the app starts is not known", folder, runtimeConfigSuffix),
			"name the command with --entrypoint, once for each word")
	case len(matches) > 1:
		return nil, badOption(fmt.Sprintf("%s has %d apps", folder, len(matches)), "name the command with --entrypoint, once for each word")
	}
	a := &app{folder: folder, name: strings.TrimSuffix(filepath.Base(matches[0]), runtimeConfigSuffix)}
	if err := readJSON(matches[0], &a.config); err != nil {
		return nil, err
	}
	if file := filepath.Join(folder, a.name+".deps.json"); exists(file) {
		return a, readJSON(file, &a.deps)
	}
	return a, nil
}

// escapeGlob keeps a folder's name from being read as a pattern.
func escapeGlob(s string) string {
	if os.PathSeparator == '\\' {
		return s // Windows has no escapes in patterns, and no file name there has * or ?
	}
	return regexp.MustCompile(`[\\*?\[]`).ReplaceAllString(s, `\$0`)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return diag.Wrap(diag.UnreadableFile, err, "the app's description cannot be read", "check the file's rights")
	}
	if err := json.Unmarshal(data, v); err != nil {
		return diag.Wrap(diag.InvalidSetting, err, path+" is not as dotnet publish writes it", "publish again")
	}
	return nil
}

// selfContained says whether the folder has the runtime too.
func (a *app) selfContained() bool { return len(a.config.RuntimeOptions.IncludedFrameworks) > 0 }

// command starts the app: its own executable when it is self-contained, else dotnet.
func (a *app) command(workingDirectory string) []string {
	if !strings.HasSuffix(workingDirectory, "/") && !strings.HasSuffix(workingDirectory, `\`) {
		workingDirectory += map[bool]string{false: "/", true: `\`}[strings.Contains(workingDirectory, `\`)]
	}
	if a.selfContained() {
		for _, name := range []string{a.name, a.name + ".exe"} {
			if exists(filepath.Join(a.folder, name)) {
				return []string{workingDirectory + name}
			}
		}
	}
	return []string{"dotnet", workingDirectory + a.name + ".dll"}
}

// base is the image that Microsoft makes for the app's framework, by the SDK's rule: runtime-deps for a self-contained app, aspnet
// for one that uses ASP.NET Core, else runtime; the tag is the framework's version.
func (a *app) base(windows bool) (string, error) {
	ask := func(why string) (string, error) {
		return "", badOption("no base image follows from the app: "+why, "name one with --base")
	}
	if a == nil {
		return ask("the folder has none that is known")
	}
	if windows {
		return ask("images for Windows depend on its version")
	}
	o := a.config.RuntimeOptions
	repository, version := "runtime", ""
	for _, f := range append(append(o.Frameworks, o.Framework), o.IncludedFrameworks...) {
		switch f.Name {
		case "Microsoft.AspNetCore.App":
			repository = "aspnet"
		case "Microsoft.NETCore.App":
		default:
			continue
		}
		version = f.Version
	}
	if a.selfContained() {
		repository = "runtime-deps"
	}
	majorMinor := regexp.MustCompile(`^\d+\.\d+`).FindString(version)
	if majorMinor == "" {
		return ask("its " + runtimeConfigSuffix + " names no framework version")
	}
	return "mcr.microsoft.com/dotnet/" + repository + ":" + majorMinor, nil
}
