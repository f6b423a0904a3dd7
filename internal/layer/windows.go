package layer

import (
	"path"
	"strings"
)

// SecurityDescriptor is the pax record MSWINDOWS.rawsd of each entry of a Windows layer, base64 of a self-relative security
// descriptor: owner and group BUILTIN\Users, no lists. It is the one that the .NET SDK 10.0.401 writes to its layers on a
// Windows base, found there byte for byte.
const SecurityDescriptor = "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAhAgAAAQIAAAAAAAUgAAAAIQIAAA=="

// Folders that each Windows layer has (the OCI image-spec leaves them to Windows; hcsshim asks for them).
const (
	windowsFiles = "Files"
	windowsHives = "Hives"
)

// ContainerPath returns where in the tar the working directory lies, relative and clean; empty for the root. The SDK writes
// "Files/app//x.dll" for the working directory C:\app\, and "a/b/../c" as it is; Gantry writes clean paths.
func ContainerPath(workingDirectory string, windows bool) string {
	p := strings.ReplaceAll(workingDirectory, `\`, "/")
	if windows && len(p) >= 2 && p[1] == ':' {
		p = p[2:]
	}
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	if windows {
		return path.Join(windowsFiles, p)
	}
	return p
}
