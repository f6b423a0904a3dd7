package msbuild

import "strings"

// A differentialCase is a project that is published by the SDK and by
// Gantry. What lands in the registry has to be the same, but for what the
// case lists.
type differentialCase struct {
	name string
	// kind is the project that xml is added to (differentialKinds); empty means console.
	kind string
	// xml goes before </Project>. $(Registry) is the side's own registry, $(OtherRegistry) one that only has bases.
	xml string
	// base is the tag of the base image in the repository bases (differentialBases); empty means oci, "-" none at all.
	base string
	// repository is where it lands when xml says so; else it is cases/NAME.
	repository string
	// code is the SDK's error code; "none" is an error without one. Empty means that it succeeds.
	code string
	// warnings are the SDK's warning codes, separated by spaces.
	warnings string
	// nothing is a case that neither pushes nor fails.
	nothing bool
	// publish runs the target Publish before, as dotnet publish does. Other cases take the publish folder of their kind, which
	// saves the time.
	publish bool
	// target is what runs instead of PublishContainer; its answer is compared.
	target string
	// plain has the SDK's side without the package instead of with GantryEnabled=false, and Gantry's side with GantryEnabled=false.
	plain bool
	// archive is a file below the project that it lands in, instead of in the registry.
	archive string
	// differs are the differences of this case alone.
	differs []difference
}

// A difference is something that differs on purpose: one or several facts.
type difference struct {
	// what and why make the line of the list in the README.
	what, why string
	facts     []factPair
}

// A factPair is a fact's name as the test prints it, and both sides' values: "" where there is none, * stands for anything.
type factPair struct{ name, sdk, gantry string }

// like compares with * for anything.
func like(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, parts[0])
	for _, part := range parts[1 : len(parts)-1] {
		if !ok {
			return false
		}
		_, rest, ok = strings.Cut(rest, part)
	}
	return ok && strings.HasSuffix(rest, parts[len(parts)-1])
}
