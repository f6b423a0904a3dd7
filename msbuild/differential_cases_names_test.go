package msbuild

// nameCases: destination, tags, and the base that the SDK infers.
var nameCases = []differentialCase{
	{name: "tag", xml: properties("ContainerImageTag", "1.2.3")},
	{name: "tags", xml: properties("ContainerImageTags", "1.2.3;1.2;latest;1.2")},
	{name: "tag-and-tags", xml: properties("ContainerImageTag", "1", "ContainerImageTags", "2;3"), code: "CONTAINER2008"},
	{name: "tag-invalid", xml: properties("ContainerImageTag", "-1"), code: "CONTAINER2007"},
	{name: "tag-spaces", xml: properties("ContainerImageTag", "a b"), code: "CONTAINER2007"},
	{name: "tags-one-invalid", xml: properties("ContainerImageTags", "1;%241"), code: "CONTAINER2010"},
	{name: "tag-128", xml: properties("ContainerImageTag", tag128)},
	{name: "tag-129", xml: properties("ContainerImageTag", tag128+"x"), code: "CONTAINER2007"},
	{name: "tag-of-the-clock", xml: properties("AutoGenerateImageTag", "true")},
	{name: "visual-studio", xml: properties("BuildingInsideVisualStudio", "true", "ContainerRegistry", "", "RegistryUrl", "$(Registry)", "PublishImageTag", "vs")},

	{name: "repository-default", xml: properties("ContainerRepository", ""), repository: "console"},
	{name: "repository-uppercase", xml: properties("ContainerRepository", "Cases/My.App"), repository: "cases/my-app"},
	{name: "repository-dots", xml: properties("ContainerRepository", "cases/my.app__x"), repository: "cases/my.app__x"},
	{name: "repository-odd", xml: properties("ContainerRepository", "cases/app2+7 x"), repository: "cases/app2-7-x"},
	{name: "repository-first", xml: properties("ContainerRepository", "*x"), code: "CONTAINER2005"},
	{name: "repository-invalid", xml: properties("ContainerRepository", "x/日本語"), repository: "x/---", code: "CONTAINER1013", differs: []difference{{what: "A repository name that has no valid form is `CONTAINER2005`", why: "the SDK makes dashes of it, and the push fails with `CONTAINER1013`", facts: []factPair{{"error", "CONTAINER1013", "CONTAINER2005"}}}}},
	{name: "repository-image-name", xml: properties("ContainerImageName", "cases/by-image-name"), repository: "cases/by-image-name", warnings: "CONTAINER003"},
	{name: "registry-invalid", xml: properties("ContainerRegistry", "http://localhost:5000"), code: "CONTAINER2012"},
	{name: "registry-path", xml: properties("ContainerRegistry", "localhost/x"), code: "CONTAINER2012"},

	inferred("inferred-console", "", ""),
	inferred("inferred-web", "web", ""),
	inferred("inferred-worker-net8", "worker8", ""),
	inferred("inferred-net8", "console8", ""),
	inferred("inferred-selfcontained", "selfcontained", ""),
	inferred("family-alpine", "", properties("ContainerFamily", "alpine")),
	inferred("family-chiseled", "web", properties("ContainerFamily", "noble-chiseled")),
	inferred("family-chiseled-invariant", "web9", properties("ContainerFamily", "noble-chiseled", "InvariantGlobalization", "true")),
	inferred("family-with-base", "", properties("ContainerFamily", "alpine", "ContainerBaseImage", "example.com/base:1")),
	inferred("inferred-musl", "", rid("linux-musl-x64")),
	inferred("inferred-aot", "", properties("PublishAot", "true")),
	inferred("inferred-trimmed-invariant", "", properties("PublishTrimmed", "true", "InvariantGlobalization", "true")),
	{
		name: "inferred-musl-mixed", base: "-", target: "ComputeContainerBaseImage", code: "none",
		xml: properties("ContainerRuntimeIdentifiers", "linux-x64;linux-musl-x64"),
	},
	{
		name: "inferred-windows-user", base: "-", target: "ComputeContainerBaseImage;_ContainerEstablishRIDNess;_ComputeContainerExecutionArgs;_TellUser",
		xml: rid("win-x64") + `<Target Name="_TellUser" Returns="$(ContainerUser) $(ContainerWorkingDirectory)" />`,
	},
}

const tag128 = "tag-of-128-characters-tag-of-128-characters-tag-of-128-characters-tag-of-128-characters-tag-of-128-characters-tag-of-128-charact"

// inferred compares the base image alone: it cannot be pulled here.
func inferred(name, kind, xml string) differentialCase {
	return differentialCase{name: name, kind: kind, xml: xml, base: "-", target: "ComputeContainerBaseImage"}
}
