package msbuild

// projects: the kinds, and what of them lands as files.
var projectCases = []differentialCase{
	{name: "web", kind: "web", publish: true, differs: []difference{layersOfPackages, endpointTimes}},
	{name: "web-net9", kind: "web9", publish: true, differs: []difference{layersOfPackages, endpointTimes}},
	{name: "console", publish: true},
	{name: "console-net8", kind: "console8", publish: true},
	{name: "worker", kind: "worker", publish: true},
	{name: "worker-net8", kind: "worker8", publish: true},
	{name: "selfcontained", kind: "selfcontained", publish: true, differs: []difference{layersOfPackages}},
	{name: "off-switch", plain: true},
	{name: "files", kind: "files"},
	{name: "single-layer", xml: `<PropertyGroup><GantryLayers>single</GantryLayers></PropertyGroup>`},
	{name: "no-folder", xml: `<PropertyGroup><PublishDir>nowhere/</PublishDir></PropertyGroup>`, code: "CONTAINER2011"},
	{name: "not-publishable", xml: `<PropertyGroup><IsPublishable>false</IsPublishable></PropertyGroup>`, nothing: true},
	{name: "support-off", xml: `<PropertyGroup><EnableSdkContainerSupport>false</EnableSdkContainerSupport></PropertyGroup>`, nothing: true},
	{name: "library", xml: `<PropertyGroup><OutputType>Library</OutputType></PropertyGroup>`, nothing: true},
}

// images: formats, platforms, bases.
var imageCases = []differentialCase{
	{name: "docker-base", base: "docker"},
	{name: "docker-base-as-oci", base: "docker", xml: format("OCI"), differs: []difference{mediaTypesFollow}},
	{name: "oci-base-as-docker", xml: format("Docker"), differs: []difference{mediaTypesFollow}},
	{name: "oci-base-as-oci", xml: format("OCI")},
	{name: "format-unknown", xml: format("Tar"), code: "CONTAINER2031"},
	{name: "format-lowercase", xml: format("oci"), code: "CONTAINER2031"},
	{name: "index-base", base: "index"},
	{name: "list-base", base: "list"},
	{name: "one-index-base", base: "one-index"},
	{name: "index-base-arm64", base: "index", xml: rid("linux-arm64")},
	{name: "index-base-musl", base: "index", xml: rid("linux-musl-x64")},
	{name: "index-base-specific", base: "index", xml: rid("ubuntu.22.04-x64"), code: "none", differs: []difference{noImageCode}},
	{name: "index-without-rid", base: "arm-index", code: "none", differs: []difference{noImageCode}},
	{name: "index-arm", base: "arm-index", xml: rid("linux-arm")},
	{name: "index-unknown-rid", base: "index", xml: rid("amiga-m68k"), code: "none", differs: []difference{noImageCode}},
	{name: "image-other-rid", xml: rid("linux-arm64")},
	{name: "image-windows-rid", xml: rid("win-x64")},
	{name: "base-digest", xml: baseImage("$(Registry)/bases@{docker}")},
	{name: "base-tag-and-digest", xml: baseImage("$(Registry)/bases:docker@{oci}")},
	{name: "base-wrong-digest", xml: baseImage("$(Registry)/bases@sha256:0000000000000000000000000000000000000000000000000000000000000000"), code: "CONTAINER1015"},
	{name: "base-no-tag", xml: baseImage("$(Registry)/bases"), code: "CONTAINER1015"},
	{name: "base-missing-tag", base: "none", code: "CONTAINER1015"},
	{name: "base-missing-repository", xml: baseImage("$(Registry)/nowhere/base:1"), code: "CONTAINER1015"},
	{name: "base-unreadable", xml: baseImage("$(Registry)/Bases:oci"), code: "CONTAINER2009"},
	{name: "base-spaces", xml: baseImage("$(Registry)/bases:short history"), warnings: "CONTAINER2013"},
	{name: "base-elsewhere", xml: baseImage("$(OtherRegistry)/bases:oci")},
	{name: "base-zstd", base: "zstd"},
	{name: "base-zstd-as-docker", base: "zstd", xml: format("Docker"), differs: []difference{{what: "A base with zstd layers under `ContainerImageFormat=Docker` is `GANTRY2001`", why: "Docker's format has no media type for zstd; the SDK pushes an image that the format does not know", facts: []factPair{{"error", "", "GANTRY2001"}, {"lands", "yes", "no"}}}}},
	{name: "base-foreign", base: "foreign", code: "CONTAINER1013", differs: []difference{{what: "Foreign layers of the base are kept by their descriptor", why: "they are never in a registry; the SDK tries to download them from there and fails", facts: []factPair{{"error", "CONTAINER1013", ""}, {"lands", "no", "yes"}}}}},
	{name: "base-no-layers", base: "no-layers"},
	{name: "base-rich", base: "rich"},
	{name: "base-members", base: "members", differs: []difference{{facts: []factPair{{"Healthcheck", "", "*"}, {"Shell", "", "*"}}}}},
	{name: "base-short-history", base: "short-history"},
	{name: "base-bare", base: "bare"},
	{name: "windows", base: "windows", xml: rid("win-x64")},
	{name: "windows-directory", base: "windows", xml: rid("win-x64") + `<PropertyGroup><ContainerWorkingDirectory>D:\srv\app\</ContainerWorkingDirectory><ContainerUser>ContainerAdministrator</ContainerUser></PropertyGroup>`},
	{name: "windows-files", base: "windows", kind: "files", xml: rid("win-x64")},
}

// indexes: several runtime identifiers.
var indexCases = []differentialCase{
	{name: "rids", kind: "rids", base: "index"},
	{name: "rids-docker", kind: "rids", base: "list"},
	{name: "rids-as-docker", kind: "rids", base: "index", xml: format("Docker"), differs: []difference{mediaTypesFollow}},
	{name: "rids-tags", kind: "rids", base: "index", xml: `<PropertyGroup><ContainerImageTags>1.0;latest</ContainerImageTags></PropertyGroup>`},
	{name: "rids-container", kind: "rids", base: "index", xml: `<PropertyGroup><ContainerRuntimeIdentifiers>linux-arm64;linux-x64</ContainerRuntimeIdentifiers></PropertyGroup>`, differs: []difference{{what: "The images of an index are in the order of their platforms", why: "the same images make the same index, in whatever order the runtime identifiers are listed", facts: []factPair{{"index order", "linux/arm64 linux/amd64", "linux/amd64 linux/arm64"}}}}},
	{name: "rids-one", kind: "rids", base: "index", xml: `<PropertyGroup><ContainerRuntimeIdentifiers>linux-arm64</ContainerRuntimeIdentifiers></PropertyGroup>`},
	{name: "rids-one-chosen", kind: "rids", base: "index", xml: `<PropertyGroup><RuntimeIdentifier>linux-x64</RuntimeIdentifier></PropertyGroup>`, publish: true},
	{name: "rids-missing", kind: "rids", base: "arm-index", code: "none", differs: []difference{noImageCode, tagsTogether}},
	{name: "rids-missing-base", kind: "rids", base: "none", code: "CONTAINER1015"},
	{name: "rids-bad-port", kind: "rids", base: "index", xml: `<ItemGroup><ContainerPort Include="http" /></ItemGroup>`, code: "CONTAINER2017"},
	{name: "rids-values", kind: "rids", base: "index", xml: `<PropertyGroup><ContainerUser>1000</ContainerUser></PropertyGroup>
<ItemGroup>
  <ContainerEnvironmentVariable Include="PLAIN" Value="a value" />
  <ContainerPort Include="8443" Type="tcp" />
  <ContainerPort Include="53" Type="udp" />
  <ContainerLabel Include="a.label" Value="a value" />
  <ContainerDefaultArgs Include="--verbose" />
</ItemGroup>`},
	{name: "rids-odd-values", kind: "rids", base: "index", xml: `<ItemGroup>
  <ContainerEnvironmentVariable Include="URL" Value="https://example.com:8443/path" />
  <ContainerLabel Include="url" Value="https://example.com/path" />
</ItemGroup>`, differs: []difference{{facts: []factPair{
		{"linux/*: env URL", "https", "https://example.com:8443/path"},
		{"linux/*: label url", "https", "https://example.com/path"},
	}}}},
	{name: "rids-semicolons", kind: "rids", base: "index", xml: environment("LIST", "a%3Bb=c") + label("list", "a%3Bb"), code: "MSB4184", differs: []difference{{
		facts: []factPair{{"error", "MSB4184", ""}, {"lands", "no", "yes"}},
	}}},
	{name: "rids-all-odd", kind: "rids", base: "index", xml: environment("ODD", odd) + label("odd", odd), differs: []difference{{facts: []factPair{
		{"linux/*: env ODD", "*/t", "\"d\" 's' % %41 \n é 日本語 $(HOME) \\t"},
		{"linux/*: label odd", "*/t", "\"d\" 's' % %41 \n é 日本語 $(HOME) \\t"},
	}}}},
	{name: "rids-directory", kind: "rids", base: "index", xml: properties("ContainerWorkingDirectory", "/srv/app"), differs: []difference{joined("linux/*: Entrypoint")}},
	{name: "rids-clock-tag", kind: "rids", base: "index", xml: properties("AutoGenerateImageTag", "true")},
	{name: "rids-port", kind: "rids", base: "index", xml: `<ItemGroup><ContainerPort Include="8443" /><ContainerPort Include="53" Type="udp" /></ItemGroup>`},
	{name: "rids-entrypoint", kind: "rids", base: "index", xml: instruction("None") + items("ContainerEntrypoint", "/init", "a b") + items("ContainerDefaultArgs", "c%3Bd")},
	{name: "rids-no-platform-tags", kind: "rids", base: "index", xml: `<PropertyGroup><GantryPlatformTags>false</GantryPlatformTags></PropertyGroup>`, differs: []difference{{what: "`GantryPlatformTags=false` leaves the tags of single platforms out", why: "they clutter a repository; the default is the SDK's", facts: []factPair{{"tag latest-linux-arm64", "image linux/arm64", ""}, {"tag latest-linux-x64", "image linux/amd64", ""}}}}},
}

const odd = `&quot;d&quot; 's' %25 %2541 %0A é 日本語 %24(HOME) \t`

func format(name string) string {
	return "<PropertyGroup><ContainerImageFormat>" + name + "</ContainerImageFormat></PropertyGroup>"
}

func rid(name string) string {
	return "<PropertyGroup><ContainerRuntimeIdentifier>" + name + "</ContainerRuntimeIdentifier></PropertyGroup>"
}

func baseImage(reference string) string {
	return "<PropertyGroup><ContainerBaseImage>" + reference + "</ContainerBaseImage></PropertyGroup>"
}
