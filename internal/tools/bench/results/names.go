package results

// The situations that a publish is measured in.
const (
	Cold       = "cold"
	Unchanged  = "nothing changed"
	Fresh      = "fresh runner"
	OneLine    = "one line changed"
	Content    = "4 MB data file changed"
	OnePackage = "one package changed"
	BaseMoved  = "base moved"
)

// The apps that the numbers to reach are about.
const (
	Small  = "13 MB"
	Large  = "160 MB"
	Twenty = "20 projects"
)

// situations says what each is, in the order of the tables.
var situations = []struct{ name, about string }{
	{Cold, "nothing compiled, no content store, a repository that does not exist; packages are restored"},
	{Unchanged, "the publish before did the same"},
	{OneLine, "a constant of the program has another value"},
	{OnePackage, "another version of Newtonsoft.Json, restored"},
	{Content, "the app's data file has other content"},
	{BaseMoved, "the base's tag names an image with one more layer"},
	{Fresh, "sources and compiled output as they were, and nothing that Gantry or the SDK keep on a machine; the image is in the registry"},
}
