// Package msbuild holds the tests of what targets/ ships: they pack
// Gantry.Containers, reference it from real projects and run the real dotnet
// against real registries. It has no code of its own.
package msbuild
