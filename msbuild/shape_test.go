package msbuild

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// What Gantry relies on in the SDK's own container targets. Where one of these is missing, the targets raise GANTRY9003 at
// publish; this test says so before.
var (
	sdkTargets = []string{
		"ComputeContainerBaseImage", "ComputeContainerConfig", "_ContainerEstablishRIDNess", "_ComputeContainerExecutionArgs",
		"PublishContainer", "_PublishSingleContainer", "_PublishMultiArchContainers",
	}
	sdkNames = []string{
		"ContainerBaseRegistry", "ContainerBaseName", "ContainerBaseTag", "ContainerBaseDigest", "ContainerRegistry",
		"ContainerRepository", "ContainerImageTags", "ContainerEnvironmentVariables", "ContainerLabel", "ContainerPort",
		"ContainerWorkingDirectory", "ContainerUser", "ContainerAppCommand", "ContainerAppCommandInstruction", "ContainerAppCommandArgs",
		"ContainerDefaultArgs", "ContainerEntrypoint", "ContainerEntrypointArgs", "ContainerImageFormat", "ContainerGenerateLabels",
		"ContainerGenerateLabelsImageBaseDigest", "ContainerGenerateLabelsImageCreated", "ContainerRuntimeIdentifier",
		"ContainerRuntimeIdentifiers", "ContainerPublishInParallel", "ContainerArchiveOutputPath", "RuntimeIdentifierGraphPath",
		"PublishContainerDependsOn", "EnableSdkContainerSupport", "_IsMultiRIDBuild", "_IsSingleRIDBuild", "_IsMultiTFMBuild",
		"_InitialContainerBaseImage", "GeneratedContainer", "GeneratedContainerDigest", "GeneratedContainerManifest",
		"GeneratedContainerConfiguration", "GeneratedContainerMediaType", "GeneratedImageIndex",
	}
)

func TestSDK_hasTheTargetsAndNamesThatGantryUses(t *testing.T) {
	testenv.Require(t, "dotnet")
	for _, sdk := range installedSDKs(t) {
		file := filepath.Join(sdk, "Containers", "build", "Microsoft.NET.Build.Containers.targets")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var project struct {
			Targets []struct {
				Name string `xml:",attr"`
			} `xml:"Target"`
		}
		if err := xml.Unmarshal(text, &project); err != nil {
			t.Fatal(err)
		}
		defined := map[string]bool{}
		for _, target := range project.Targets {
			defined[target.Name] = true
		}
		for _, name := range sdkTargets {
			if !defined[name] {
				t.Errorf("%s: no target %s", file, name)
			}
		}
		for _, name := range sdkNames {
			if !regexp.MustCompile(`\b` + name + `\b`).Match(text) {
				t.Errorf("%s: no property or item %s", file, name)
			}
		}
	}
}

func installedSDKs(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("dotnet", "--list-sdks").Output()
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, m := range regexp.MustCompile(`(?m)^(\S+) \[(.*)\]`).FindAllStringSubmatch(string(out), -1) {
		folders = append(folders, filepath.Join(m[2], m[1]))
	}
	if len(folders) == 0 {
		t.Fatalf("no SDK in %q", strings.TrimSpace(string(out)))
	}
	return folders
}
