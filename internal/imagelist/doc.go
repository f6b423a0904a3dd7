// Package imagelist reads which images a repository builds: from gantry.graph.toml, from what "docker buildx bake --print" prints, from the
// manifest.json of dotnet/docker-tools, from Compose files, or by looking for Dockerfiles. All become a list of Spec.
//
// Load and Parse read, Check says what is wrong with the images themselves, Doubles what two of them cannot both have. None asks a registry or
// a builder. Files of other tools are read as those tools read them (buildx: bake/bake.go; Compose: the build specification; docker-tools:
// src/ImageBuilder); what they say and this package does not know goes to Spec.Options, so that a change of it is seen. Errors are a join of
// *diag.Error: everything that is wrong with a list, not the first thing, each with its line. Lists that are made to take all memory or
// time end in one.
//
// # gantry.graph.toml
//
//	[defaults]                                  # what every image has that does not say otherwise
//	platforms = ["linux/amd64", "linux/arm64"]
//	args = { MIRROR = "mirror.example.org" }    # args and contexts are merged by name, all else is replaced
//
//	[[image]]
//	name = "base"                               # the only key that has to be there
//	context = "."                               # a folder, from that of this file, or a git URL
//	file = "base/Dockerfile"                    # from the context
//	target = "runtime"
//	tags = ["registry.example.org/base:1"]
//
//	[[image]]
//	name = "tool-${tool}-${os}"
//	context = "tools/${tool}"
//	file = "${os}.Dockerfile"
//	tags = ["registry.example.org/${tool}:${v.full}-${os}"]
//	contexts = { base = "target:base" }         # as docker buildx build --build-context takes them
//	[image.matrix]                              # an image for each combination, the last list fastest
//	tool = ["lint", "format"]
//	os = ["bookworm", "alpine"]
//	v = [{ full = "1.4.2" }]                    # a value may be a table
//	exclude = [{ tool = "format", os = "alpine" }]
//	include = [{ os = "alpine", libc = "musl" }, { tool = "fix", os = "alpine", v = { full = "0.1.0" } }]
//
// ${NAME} in a string stands for a value of the matrix, ${NAME.KEY} for a key of a value that is a table, ${name} for the image's own name,
// and $${ for a plain ${. A name without any of them has the values of the lists put behind it: "tool-lint-alpine". What an exclude
// matches is left out; an include adds its values to each combination of which it changes none, and is a combination of its own where there
// is none, as in GitHub's workflows. Numbers with a point and dates stand in quotes, as their spelling would be lost.
//
// The package reads files and keeps no state; its functions may be called at once from any number of goroutines.
package imagelist
