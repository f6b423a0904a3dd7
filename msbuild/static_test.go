package msbuild

import (
	"encoding/xml"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
)

// The targets run in Visual Studio and msbuild.exe too, which is MSBuild 17 on .NET Framework: tasks and property functions that
// it lacks would fail there only, where no test of ours runs. So the ones that are used are listed here, each known to exist
// in MSBuild 17.0 on .NET Framework 4.7.2 (Microsoft.Build.Tasks; AvailableStaticMethods in dotnet/msbuild).
var (
	frameworkTasks = map[string][]string{
		"CallTarget":       {"Targets"},
		"Copy":             {"SourceFiles", "DestinationFiles"},
		"Delete":           {"Files"},
		"Error":            {"Code", "Text"},
		"Exec":             {"Command", "WorkingDirectory", "EnvironmentVariables", "IgnoreExitCode", "IgnoreStandardErrorWarningFormat", "StandardErrorImportance", "StandardOutputImportance"},
		"GetFileHash":      {"Files"},
		"MakeDir":          {"Directories"},
		"Message":          {"Importance", "Text"},
		"MSBuild":          {"Projects", "Targets", "Properties", "RemoveProperties", "BuildInParallel"},
		"RemoveDir":        {"Directories"},
		"Touch":            {"Files", "AlwaysCreate"},
		"WriteLinesToFile": {"File", "Lines", "Overwrite", "WriteOnlyWhenDifferent"},
	}
	frameworkFunctions = []string{
		"[MSBuild]::Escape",
		"[MSBuild]::GetDirectoryNameOfFileAbove",
		"[MSBuild]::IsOSPlatform",
		"[MSBuild]::NormalizePath",
		"[MSBuild]::Unescape",
		"[MSBuild]::StableStringHash", // MSBuild 16.9
		"[MSBuild]::ValueOrDefault",
		"[System.Environment]::CommandLine",
		"[System.Guid]::NewGuid",
		"[System.IO.File]::ReadAllText",
		"[System.IO.Path]::Combine",
		"[System.IO.Path]::GetFullPath",
		"[System.IO.Path]::GetTempPath",
		"[System.Runtime.InteropServices.RuntimeInformation]::OSArchitecture",
		"[System.Text.RegularExpressions.Regex]::IsMatch",
		"[System.Text.RegularExpressions.Regex]::Match",
		"[System.Text.RegularExpressions.Regex]::Replace",
	}
	// Members of the results of such functions, and of strings. TrimEnd() without arguments is not among them: on .NET
	// Framework it only exists with a parameter array.
	frameworkMembers   = []string{"Contains", "EndsWith", "Equals", "Groups", "Replace", "Split", "ToLowerInvariant", "ToString", "Trim", "Value"}
	frameworkItemCalls = []string{"Count", "HasMetadata", "Replace", "WithMetadataValue"}
	structuralElements = []string{"Project", "PropertyGroup", "ItemGroup", "Target", "Import", "Output", "OnError"}
	staticCall         = regexp.MustCompile(`\[[A-Za-z.]+\]::[A-Za-z]+`)
	memberCall         = regexp.MustCompile(`[\w)\]]\.([A-Z][A-Za-z]+)(?:\(|\[|\)|$)`)
	itemCall           = regexp.MustCompile(`->([A-Z]\w+)\(`)
	metadataInFunction = regexp.MustCompile(`\$\(\[[^)]*%\(`)
)

// element is one start tag with the text directly inside it.
type element struct {
	file, name, parent string
	attributes         map[string]string
	text               string
}

func targetsFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("../targets", func(path string, d fs.DirEntry, err error) error {
		if err == nil && regexp.MustCompile(`\.(props|targets|proj)$`).MatchString(path) && !strings.Contains(path, "/obj/") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("targets files: %d, %v", len(files), err)
	}
	return files
}

func parseElements(t *testing.T, file string) []element {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var elements []element
	var open []int
	for dec := xml.NewDecoder(f); ; {
		token, err := dec.Token()
		if err == io.EOF {
			return elements
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			e := element{file: file, name: x.Name.Local, attributes: map[string]string{}}
			if len(open) > 0 {
				e.parent = elements[open[len(open)-1]].name
			}
			for _, a := range x.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			elements = append(elements, e)
			open = append(open, len(elements)-1)
		case xml.CharData:
			if len(open) > 0 {
				elements[open[len(open)-1]].text += string(x)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

func TestTargets_onlyWhatFrameworkMSBuildHas(t *testing.T) {
	for _, file := range targetsFiles(t) {
		for _, e := range parseElements(t, file) {
			if e.parent == "Target" && !slices.Contains(structuralElements, e.name) {
				parameters, known := frameworkTasks[e.name]
				if !known {
					t.Errorf("%s: task %s is not on the list", file, e.name)
				}
				for name := range e.attributes {
					if name != "Condition" && name != "ContinueOnError" && known && !slices.Contains(parameters, name) {
						t.Errorf("%s: parameter %s of task %s is not on the list", file, name, e.name)
					}
				}
			}
			for _, text := range append(values(e.attributes), e.text) {
				checkExpressions(t, file, text)
			}
		}
	}
}

func checkExpressions(t *testing.T, file, text string) {
	t.Helper()
	for _, call := range staticCall.FindAllString(text, -1) {
		if !slices.Contains(frameworkFunctions, call) {
			t.Errorf("%s: property function %s is not on the list", file, call)
		}
	}
	if strings.Contains(text, "$(") && strings.Contains(text, "::") {
		for _, m := range memberCall.FindAllStringSubmatch(staticCall.ReplaceAllString(text, ""), -1) {
			if !slices.Contains(frameworkMembers, m[1]) && strings.Contains(text, "."+m[1]+"(") {
				t.Errorf("%s: member %s is not on the list: %s", file, m[1], text)
			}
		}
	}
	for _, m := range itemCall.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(frameworkItemCalls, m[1]) {
			t.Errorf("%s: item function %s is not on the list", file, m[1])
		}
	}
	// The value would be pasted into the expression before it is parsed: a quote in it breaks the build.
	if metadataInFunction.MatchString(text) {
		t.Errorf("%s: metadata inside a property function: %s", file, text)
	}
}

// A redefined target replaces the SDK's even when its condition is false, so the off switch must be on an import.
func TestTargets_offSwitchIsOnTheImport(t *testing.T) {
	imports := 0
	for _, file := range targetsFiles(t) {
		for _, e := range parseElements(t, file) {
			if !strings.Contains(e.attributes["Condition"], "GantryEnabled") {
				continue
			}
			switch e.name {
			case "Import":
				if !strings.Contains(e.attributes["Project"], "Gantry.StableOutputs.targets") { // has properties alone
					imports++
				}
			case "Target":
				t.Errorf("%s: target %s is conditional on GantryEnabled", file, e.attributes["Name"])
			}
		}
	}
	if imports != 1 {
		t.Errorf("imports conditional on GantryEnabled: got %d, want 1", imports)
	}
}

// Nothing may start a process or touch the network but what a publish calls.
func TestTargets_nothingRunsOutsideAPublish(t *testing.T) {
	hooks := map[string]string{
		"_GantryNoteUserLabels":   "ComputeContainerConfig",
		"_GantryNoteCompile":      "CoreCompile",
		"_GantryClean":            "CoreClean",
		"_GantryRefuseOuterBuild": "PublishContainer",
		"_GantryExplain":          "PublishContainer",
		"_GantryNotePublish":      "PrepareForPublish",
		// these of what a publish calls
		"_GantryWriteTraceOfHit":   "_GantryReadPresentImage",
		"_GantryWriteTraceOfIndex": "_GantryReadIndex",
		"_GantryWriteReport":       "_GantryReadPush;_GantryReadIndex;_GantryReadPresentImage",
	}
	for _, file := range targetsFiles(t) {
		for _, e := range parseElements(t, file) {
			if e.name != "Target" {
				continue
			}
			hook := e.attributes["BeforeTargets"] + e.attributes["AfterTargets"]
			if want := hooks[e.attributes["Name"]]; hook != want {
				t.Errorf("%s: target %s hooks on %q, want %q", file, e.attributes["Name"], hook, want)
			}
		}
	}
}

func values(m map[string]string) []string {
	var list []string
	for _, v := range m {
		list = append(list, v)
	}
	sort.Strings(list)
	return list
}
