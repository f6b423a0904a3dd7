package msbuild

// configCases: environment, ports, user, working directory, labels.
var configCases = []differentialCase{
	{name: "user-name", xml: properties("ContainerUser", "app")},
	{name: "user-number", xml: properties("ContainerUser", "1000")},
	{name: "user-and-group", xml: properties("ContainerUser", "1000:2000")},
	{name: "user-root", xml: properties("ContainerUser", "root")},
	{name: "user-of-base", base: "user"},
	{name: "user-of-base-and-id", base: "user-and-id"},
	{name: "user-id-of-project", base: "user", xml: environment("APP_UID", "1234")},
	{name: "user-id-empty", base: "user-and-id", xml: environment("APP_UID", ""), differs: []difference{{what: "An empty `APP_UID` counts as none", why: "the SDK writes an empty user, which is root", facts: []factPair{{"User", "\"\"", "\"1001:1002\""}}}}},

	{name: "port", xml: `<ItemGroup><ContainerPort Include="8443" /></ItemGroup>`},
	{name: "ports", xml: `<ItemGroup><ContainerPort Include="53" Type="udp" /><ContainerPort Include="53" Type="tcp" /><ContainerPort Include="80;81" Type="tcp" /></ItemGroup>`},
	{name: "port-type-uppercase", xml: `<ItemGroup><ContainerPort Include="53" Type="UDP" /></ItemGroup>`, code: "CONTAINER2017"},
	{name: "port-type-unknown", xml: `<ItemGroup><ContainerPort Include="53" Type="sctp" /></ItemGroup>`, code: "CONTAINER2017"},
	{name: "port-type-number", xml: `<ItemGroup><ContainerPort Include="53" Type="1" /></ItemGroup>`, differs: []difference{portCode}},
	{name: "port-no-number", xml: `<ItemGroup><ContainerPort Include="http" /></ItemGroup>`, code: "CONTAINER2017"},
	{name: "port-with-type-in-it", xml: `<ItemGroup><ContainerPort Include="53/udp" /></ItemGroup>`, code: "CONTAINER2017"},
	{name: "port-negative", xml: `<ItemGroup><ContainerPort Include="-1" /></ItemGroup>`, differs: []difference{portCode}},
	{name: "port-too-large", xml: `<ItemGroup><ContainerPort Include="65536" /></ItemGroup>`, differs: []difference{portCode}},
	{name: "ports-of-base-urls", base: "urls"},
	{name: "ports-of-base-https", base: "https-ports"},
	{name: "ports-of-project-urls", xml: environment("ASPNETCORE_URLS", "http://+:5000%3Bhttps://[::]:5001%3Bnonsense")},
	{name: "ports-of-project-ports", xml: environment("ASPNETCORE_HTTP_PORTS", "9000%3B9001%3Bx")},

	{name: "environment", xml: `<ItemGroup>
  <ContainerEnvironmentVariable Include="PLAIN" Value="a value" />
  <ContainerEnvironmentVariable Include="_UNDER_1" Value="1" />
  <ContainerEnvironmentVariable Include="EMPTY" Value="" />
  <ContainerEnvironmentVariable Include="PATH" Value="/mine" />
</ItemGroup>`},
	{name: "environment-odd", xml: `<ItemGroup>
  <ContainerEnvironmentVariable Include="COLON" Value="https://example.com:8443/a?b=c&amp;d" />
  <ContainerEnvironmentVariable Include="SEMICOLON" Value="a%3Bb%3Bc" />
  <ContainerEnvironmentVariable Include="PERCENT" Value="100%25 %2541" />
  <ContainerEnvironmentVariable Include="QUOTES" Value="&quot;double&quot; and 'single'" />
  <ContainerEnvironmentVariable Include="NEWLINE" Value="one%0Atwo%09tab" />
  <ContainerEnvironmentVariable Include="UNICODE" Value="grün 日本語 😀" />
  <ContainerEnvironmentVariable Include="EXPRESSIONS" Value="%24(HOME) %25(x) %40(y) $HOME \u0041" />
  <ContainerEnvironmentVariable Include="SPACES" Value="  around  " />
  <ContainerEnvironmentVariable Include="EQUALS" Value="=a=b" />
</ItemGroup>`},
	{name: "environment-backslash", xml: environment("BACKSLASH", `C:\dir\file`)},
	{name: "environment-return", xml: environment("RETURN", `one%0D%0Atwo`)},
	{name: "environment-invalid", xml: `<ItemGroup>
  <ContainerEnvironmentVariable Include="1ST" Value="x" />
  <ContainerEnvironmentVariable Include="WITH-DASH" Value="x" />
  <ContainerEnvironmentVariable Include="VALID" Value="x" />
</ItemGroup>`, warnings: "CONTAINER2015"},
	{name: "environment-twice", xml: environment("TWICE", "first") + environment("OTHER", "x") + environment("TWICE", "second")},
	{name: "environment-control", xml: environment("BELL", "a%07b"), differs: []difference{controlCode}},

	{name: "directory-slash", xml: properties("ContainerWorkingDirectory", "/srv/app/")},
	{name: "directory-no-slash", xml: properties("ContainerWorkingDirectory", "/srv/app"), differs: []difference{joined("Entrypoint")}},
	{
		name: "directory-no-slash-selfcontained", kind: "selfcontained",
		xml:     properties("ContainerWorkingDirectory", "/srv/app", "PublishDir", "../../../kinds/console/bin/Release/net10.0/publish/"),
		differs: []difference{{facts: []factPair{{"Entrypoint", `["/srv/appconsole"]`, `["/srv/app/console"]`}}}},
	},
	{name: "directory-no-slash-command", xml: properties("ContainerWorkingDirectory", "/srv/app") + items("ContainerAppCommand", "run")},
	{name: "directory-root", xml: properties("ContainerWorkingDirectory", "/"), code: "MSB4018", differs: []difference{{what: "`ContainerWorkingDirectory=/` works", why: "the SDK's task crashes", facts: []factPair{{"error", "MSB4018", ""}, {"lands", "no", "yes"}}}}},
	{name: "directory-relative", xml: properties("ContainerWorkingDirectory", "srv/")},
	{name: "directory-spaces", xml: properties("ContainerWorkingDirectory", "/srv/my app é/")},

	{name: "label", xml: label("a.label", "a value") + label("empty", "") + label("odd", "a:b%3Bc%25 &quot;d&quot; 日本語 %0A")},
	{name: "label-twice", xml: label("twice", "first") + label("twice", "second")},
	{name: "label-over-base", base: "rich", xml: label("base.label", "mine")},
	{name: "label-over-generated", xml: label("org.opencontainers.image.title", "mine") + properties("Title", "generated"), differs: []difference{{what: ownLabels, why: noClock, facts: []factPair{{"label org.opencontainers.image.title", "generated", "mine"}}}}},
	{name: "label-over-base-digest", xml: label("org.opencontainers.image.base.digest", "mine"), differs: []difference{{what: ownLabels, why: noClock, facts: []factPair{{"label org.opencontainers.image.base.digest", "sha256:*", "mine"}}}}},
	{name: "label-over-created", xml: label("org.opencontainers.image.created", "mine"), differs: []difference{{what: ownLabels, why: noClock, facts: []factPair{{"label org.opencontainers.image.created", "now", "mine"}}}}},
	{name: "label-control", xml: label("bell", "a%07b"), differs: []difference{controlCode}},
	{name: "labels-of-project", xml: properties("Title", "A title", "Description", "What it is", "Authors", "me;you", "PackageProjectUrl", "https://example.com/x",
		"PackageLicenseExpression", "MIT", "ContainerVendor", "Vendor", "Version", "1.2.3-rc.1+build")},
	{name: "labels-of-container", xml: properties("ContainerTitle", "t", "ContainerDescription", "d", "ContainerAuthors", "a", "ContainerInformationUrl", "https://i",
		"ContainerDocumentationUrl", "https://d", "ContainerVersion", "9", "ContainerLicenseExpression", "L", "ContainerVendor", "v", "Title", "other")},
	{name: "labels-of-source", xml: properties("PublishRepositoryUrl", "true", "RepositoryType", "git", "PrivateRepositoryUrl", "https://example.com/r.git", "SourceRevisionId", "abc123")},
	{name: "labels-of-source-unasked", xml: properties("RepositoryType", "git", "PrivateRepositoryUrl", "https://example.com/r.git", "SourceRevisionId", "abc123")},
	{name: "labels-off", xml: properties("ContainerGenerateLabels", "false")},
	{name: "labels-off-base", base: "rich", xml: properties("ContainerGenerateLabels", "false")},
	{name: "labels-off-own", xml: properties("ContainerGenerateLabels", "false") + label("a.label", "a value"), differs: []difference{{what: "`ContainerGenerateLabels=false` leaves only the generated labels out, not the project's own", why: "the property says so; the SDK writes none at all", facts: []factPair{{"label a.label", "", "a value"}}}}},
	{name: "labels-each-off", xml: properties("ContainerGenerateLabelsImageCreated", "false", "ContainerGenerateLabelsImageAuthors", "false", "ContainerGenerateLabelsImageVersion", "false",
		"ContainerGenerateLabelsImageBaseDigest", "false", "ContainerGenerateLabelsImageBaseName", "false", "ContainerGenerateLabelsDotnetToolset", "false")},
	{name: "epoch", xml: properties("SOURCE_DATE_EPOCH", "1700000000"), differs: []difference{{what: "`SOURCE_DATE_EPOCH` counts with every SDK", why: "SDK 11 knows it, older ones do not", facts: []factPair{{"created", "now", "2023-11-14T22:13:20Z"}, {"label org.opencontainers.image.created", "now", "2023-11-14T22:13:20Z"}, {"label org.opencontainers.artifact.created", "now", "2023-11-14T22:13:20Z"}}}}},
}

func properties(pairs ...string) string {
	text := "<PropertyGroup>"
	for i := 0; i < len(pairs); i += 2 {
		text += "<" + pairs[i] + ">" + pairs[i+1] + "</" + pairs[i] + ">"
	}
	return text + "</PropertyGroup>"
}

func environment(name, value string) string {
	return `<ItemGroup><ContainerEnvironmentVariable Include="` + name + `" Value="` + value + `" /></ItemGroup>`
}

func label(name, value string) string {
	return `<ItemGroup><ContainerLabel Include="` + name + `" Value="` + value + `" /></ItemGroup>`
}
