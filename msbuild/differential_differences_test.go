package msbuild

// differencesEverywhere may occur in any case, and each of their facts does in one.
var differencesEverywhere = []difference{
	{
		what: "Labels `org.opencontainers.image.created` and `org.opencontainers.artifact.created` are written only with `SOURCE_DATE_EPOCH`",
		why:  "the clock would make another image of every build",
		facts: []factPair{
			{"*label org.opencontainers.image.created", "now*", ""},
			{"*label org.opencontainers.artifact.created", "now*", ""},
		},
	},
	{
		what:  "`created` of image and history is `SOURCE_DATE_EPOCH`, else that of the base image",
		why:   "the same",
		facts: []factPair{{"*created", "now", "as the base"}},
	},
	{
		what:  "Files have the time `SOURCE_DATE_EPOCH`, else 2000-01-01T00:00:00Z; static web files a time that follows their content",
		why:   "the same files give the same bytes; `ETag` and `Last-Modified` of a static file are made of its time, and have to change with it",
		facts: []factPair{{"*file times", "now", "fixed"}},
	},
	{
		what: "The history entries that are added are Gantry's own, also those that fill up the short history of a base",
		why:  "they hold the keys by which a layer is found again, and no version of a tool, which would make another image of each update",
		facts: []factPair{
			{"*history of the app", "*", "*"},
			{"history of the base *", "*.NET SDK Container Tooling*", "*gantry: layer of the base image*"},
		},
	},
	{
		what: "OCI manifests have the annotations `org.opencontainers.image.base.name` and `org.opencontainers.image.base.digest`",
		why:  "tools that look for newer bases read them there",
		facts: []factPair{
			{"*annotation org.opencontainers.image.base.name", "", "*"},
			{"*annotation org.opencontainers.image.base.digest", "", "sha256:*"},
		},
	},
	{
		what: "With several runtime identifiers labels and environment variables may have `:`, `;` and `\\` in their values",
		why:  "the SDK hands them on in a joined string: it cuts them off at the first `:`, fails at a `;`, and makes `/` of `\\`",
		facts: []factPair{
			{"linux/*: label org.opencontainers.image.base.name", "localhost", "REGISTRY/bases:*"},
		},
	},
	{
		what: "`variant`, `os.version`, `Healthcheck` and `Shell` of the base are kept; an index names the variant",
		why:  "the SDK drops them; a runtime chooses the image of an index by them, or runs another image than the base says",
		facts: []factPair{
			{"*document variant", "", "*"},
			{"index platform linux/arm64", `{"architecture":"arm64","os":"linux"}`, `{"architecture":"arm64","os":"linux","variant":"v8"}`},
			{"document os.version", "", "*"},
		},
	},
	{
		what:  "A layer of Windows' shape has no `//` in its paths when it is made on Linux or macOS",
		why:   "`C:\\app\\` is one folder; the SDK leaves a slash for its last backslash",
		facts: []factPair{{"file paths", "with //", ""}},
	},
}

var (
	layersOfPackages = difference{
		what:  "Files of packages and of the runtime have layers of their own (`GantryLayers=single` makes one layer)",
		why:   "a change of the application alone uploads the application alone",
		facts: []factPair{{"app layers", "1", "*"}},
	}
	endpointTimes = difference{
		what:  "`Last-Modified` in `*.staticwebassets.endpoints.json` says the time that the file has in the image",
		why:   "it holds the time of the build, so that no two builds of a web project would be equal",
		facts: []factPair{{"dates in web.staticwebassets.endpoints.json", "*Last-Modified*GMT*", "*Last-Modified*GMT*"}},
	}
	mediaTypesFollow = difference{
		what: "With `ContainerImageFormat` the base's layers get the media types of that format",
		why:  "the SDK mixes both in one manifest, which is against both specifications",
		facts: []factPair{
			{"*base layer 1", "application/vnd.*", "application/vnd.*"},
			{"*base layer 2", "application/vnd.*", "application/vnd.*"},
			{"*base layer 3", "application/vnd.*", "application/vnd.*"},
		},
	}
	noImageCode = difference{
		what:  "A base without an image for the runtime identifier is `CONTAINER1011`",
		why:   "the SDK writes an error without a code",
		facts: []factPair{{"error", "none", "CONTAINER1011"}},
	}
	tagsTogether = difference{
		what:  "Of several runtime identifiers no tag is written before all images are there",
		why:   "a failure leaves the destination's tags as they were; the SDK has moved the tags of the platforms that succeeded",
		facts: []factPair{{"lands", "yes", "no"}},
	}
	instructionCode = difference{
		what:  "An unknown `ContainerAppCommandInstruction` is `CONTAINER2021`",
		why:   "the SDK's task crashes with MSB4018; the code is in the crash's text",
		facts: []factPair{{"error", "MSB4018", "CONTAINER2021"}},
	}
	ownLabels = "A `ContainerLabel` of the project wins over a generated label of that name"
	noClock   = "the SDK overwrites what the project says"
	portCode  = difference{
		what:  "Port numbers below 0 and above 65535, and numbers as `Type`, are `CONTAINER2017`",
		why:   "the SDK writes them into the image, where nothing can use them",
		facts: []factPair{{"error", "", "CONTAINER2017"}, {"lands", "yes", "no"}},
	}
	controlCode = difference{
		what:  "A control character in a label, variable or other setting is `GANTRY1010` (tab, line feed and carriage return are none)",
		why:   "runtimes and tools refuse or misread them; it is a slip nearly always",
		facts: []factPair{{"error", "", "GANTRY1010"}, {"lands", "yes", "no"}},
	}
)

func joined(entrypoint string) difference {
	return difference{
		what:  "`ContainerWorkingDirectory` needs no slash at its end",
		why:   "the SDK makes `/srv/appshop.dll` of `/srv/app` and `shop.dll`, and the image does not start",
		facts: []factPair{{entrypoint, `["dotnet","/srv/appconsole.dll"]`, `["dotnet","/srv/app/console.dll"]`}},
	}
}
