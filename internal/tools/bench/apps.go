package main

import (
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/tools/bench/results"
)

// app is something to publish.
type app struct {
	name, about string
	// folder is a short name for folders, repositories and tags.
	folder string
	// projects is their number; more than one make a solution.
	projects int
	// rids are runtime identifiers to make images for; none is the machine's own.
	rids          []string
	selfContained bool
	packages      []pkg
	// data is the size of a generated data file, in bytes; 0 is none.
	data int64
	// cases are what is measured, in this order; a cold publish, if any, first.
	cases []measurement
}

type pkg struct{ id, version string }

// measurement is a situation, measured so many times a round (times), and once a round with each latency beside the first.
type measurement struct {
	situation string
	times     int
	latency   bool
}

const (
	changedPackage = "Newtonsoft.Json"
	// The cold publish has the first version, the plain publish with a changed package the second and the publish with a
	// container the third: only rising versions, as the SDK keeps a stale file in the publish folder after a lower one.
	versionCold, versionPlain, versionContainer = "13.0.1", "13.0.3", "13.0.4"
)

// packages of a usual web app. All versions are exact, so that all runs publish the same bytes.
var packages = []pkg{
	{"Npgsql.EntityFrameworkCore.PostgreSQL", "10.0.0"},
	{"Swashbuckle.AspNetCore", "11.0.1"},
	{changedPackage, versionCold},
	{"Serilog", "3.1.1"},
	{"NodaTime", "3.3.4"},
	{"CsvHelper", "33.0.1"},
	{"Dapper", "2.1.86"},
	{"Markdig", "1.4.1"},
	{"MathNet.Numerics", "5.0.0"},
}

// apps is the selection: the two apps of the numbers to reach in all situations, the others in those two that are published daily.
// Two more sizes give the chart its line. What is left out of the product of all dimensions: fresh runner, package and base for several
// projects or runtime identifiers, whose cold publish is measured once, and latency where a publish is bound by processors.
func apps() []app {
	daily := []measurement{{results.Unchanged, 1, false}, {results.OneLine, 1, false}}
	large := slices.Concat(packages, []pkg{
		{"Microsoft.CodeAnalysis.CSharp", "4.14.0"},
		{"Microsoft.CodeAnalysis.VisualBasic", "4.14.0"},
		{"FSharp.Core", "11.0.101"},
		{"DocumentFormat.OpenXml", "2.20.0"},
	})
	return []app{
		{
			name: "2 MB", folder: "small", about: "web app with a few packages, framework-dependent", projects: 1,
			packages: packages[2:6], cases: daily,
		},
		{
			name: results.Small, folder: "web", about: "web app with packages, framework-dependent", projects: 1,
			packages: packages,
			cases: []measurement{
				{results.Cold, 1, false},
				{results.Unchanged, 3, true},
				{results.OneLine, 1, true},
				{results.BaseMoved, 1, false},
				{results.OnePackage, 1, false},
				{results.Fresh, 1, false},
			},
		},
		{
			name: "110 MB", folder: "runtime", about: "self-contained web app without packages", projects: 1,
			selfContained: true, cases: daily,
		},
		{
			name: results.Large, folder: "large",
			about: "self-contained web app with packages, and a data file of 4 MB (generated, compresses to about half) that a " +
				"`GantryLayer` item puts in a layer of its own",
			projects: 1, selfContained: true, packages: large, data: 4e6,
			cases: []measurement{
				{results.Cold, 1, false},
				{results.Unchanged, 2, true},
				{results.OneLine, 1, false},
				{results.Content, 1, false},
				{results.BaseMoved, 1, false},
				{results.OnePackage, 1, false},
				{results.Fresh, 1, false},
			},
		},
		{
			name: "2 RIDs", folder: "rids",
			about: fmt.Sprintf("the %s app for linux-x64 and linux-arm64; the publishes of both count for the container part", results.Small),
			rids:  []string{"linux-x64", "linux-arm64"}, projects: 1, packages: packages, cases: daily,
		},
		{name: "2 projects", folder: "two", about: "solution of two web apps that share a few packages", projects: 2, packages: packages[2:6], cases: daily},
		{
			name: results.Twenty, folder: "twenty", about: "solution of twenty such web apps", projects: 20, packages: packages[2:6],
			cases: []measurement{{results.Unchanged, 1, false}},
		},
	}
}
