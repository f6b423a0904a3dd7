package msbuild

// entrypointCases: every row of the SDK's table of entrypoint and command.
var entrypointCases = []differentialCase{
	{name: "entrypoint-default-args", xml: items("ContainerDefaultArgs", "--a", "b c", "&quot;d&quot;", "e%3Bf")},
	{name: "entrypoint-app-args", xml: items("ContainerAppCommandArgs", "--a", "b c")},
	{name: "entrypoint-app-command", xml: items("ContainerAppCommand", "/bin/sh", "-c") + items("ContainerAppCommandArgs", "true")},
	{name: "entrypoint-of-base-replaced", base: "entrypoint", warnings: "CONTAINER2022"},
	{name: "entrypoint-of-base-dotnet", base: "dotnet"},
	{name: "entrypoint-of-base-usr-dotnet", base: "usr-dotnet"},
	{name: "entrypoint-args-alone", xml: items("ContainerEntrypointArgs", "--a", "b")},
	{name: "entrypoint-args-and-default-args", xml: items("ContainerEntrypointArgs", "--a") + items("ContainerDefaultArgs", "b"), code: "CONTAINER2024"},
	{name: "entrypoint-args-and-app-args", xml: items("ContainerEntrypointArgs", "--a") + items("ContainerAppCommandArgs", "b"), code: "CONTAINER2024"},
	{name: "entrypoint-set", xml: items("ContainerEntrypoint", "/init")},
	{name: "entrypoint-set-with-all", base: "entrypoint", xml: items("ContainerEntrypoint", "/mine", "-x") + items("ContainerEntrypointArgs", "--a") +
		items("ContainerAppCommandArgs", "b") + items("ContainerDefaultArgs", "c")},
	{name: "as-default-args", xml: instruction("DefaultArgs")},
	{name: "as-default-args-of-base", base: "entrypoint", xml: instruction("DefaultArgs") + items("ContainerAppCommandArgs", "b") + items("ContainerDefaultArgs", "c")},
	{name: "as-default-args-entrypoint", base: "entrypoint", xml: instruction("DefaultArgs") + items("ContainerEntrypoint", "/mine") + items("ContainerEntrypointArgs", "--a")},
	{name: "as-default-args-no-entrypoint", xml: instruction("DefaultArgs") + items("ContainerEntrypointArgs", "--a"), code: "CONTAINER2024"},
	{name: "as-entrypoint", base: "entrypoint", xml: instruction("Entrypoint") + items("ContainerDefaultArgs", "c")},
	{name: "as-entrypoint-conflict", xml: instruction("Entrypoint") + items("ContainerEntrypoint", "/mine"), code: "CONTAINER2028"},
	{name: "as-none", base: "entrypoint", xml: instruction("None") + items("ContainerDefaultArgs", "c")},
	{name: "as-none-nothing", xml: instruction("None")},
	{name: "as-none-entrypoint", base: "entrypoint", xml: instruction("None") + items("ContainerEntrypoint", "/mine") + items("ContainerEntrypointArgs", "--a")},
	{name: "as-none-command", xml: instruction("None") + items("ContainerAppCommand", "x"), code: "CONTAINER2026"},
	{name: "as-none-command-and-args", xml: instruction("None") + items("ContainerAppCommand", "x") + items("ContainerAppCommandArgs", "y"), code: "CONTAINER2026"},
	{name: "as-none-command-args", xml: instruction("None") + items("ContainerAppCommandArgs", "x"), code: "CONTAINER2025"},
	{name: "as-unknown", xml: instruction("Sometimes"), code: "MSB4018", differs: []difference{instructionCode}},
	{name: "as-lowercase", xml: instruction("none"), code: "MSB4018", differs: []difference{instructionCode}},
	{name: "windows-default-args", base: "windows", xml: rid("win-x64") + items("ContainerDefaultArgs", `C:\x\y`)},
}

func instruction(name string) string {
	return properties("ContainerAppCommandInstruction", name)
}

func items(name string, values ...string) string {
	text := "<ItemGroup>"
	for _, value := range values {
		text += "<" + name + ` Include="` + value + `" />`
	}
	return text + "</ItemGroup>"
}
