package testenv

import (
	"strings"
	"testing"
)

// The environment holds together: the SDK's own publish of a web project, on
// the base image made here, into the registry started here, run by podman.
func TestSDKPublishRuns(t *testing.T) {
	podman := NewPodman(t)
	r := StartRegistry(t)
	PushRuntimeBase(t, r, "dotnet/aspnet", "10.0")
	dir := Project(t, "web")
	MustDotnet(t, dir, nil, "publish", "-t:PublishContainer",
		"-p:ContainerBaseImage="+r.LocalHost()+"/dotnet/aspnet:10.0",
		"-p:ContainerRegistry="+r.LocalHost(), "-p:ContainerRepository=web")
	url := podman.Serve(r.Reference("web", "latest"), nil)
	if got := HTTPGet(t, url+"/"); !strings.Contains(got, "hello from a container") {
		t.Errorf("got %q", got)
	}
	if got := HTTPGet(t, url+"/css/site.css"); !strings.Contains(got, "font-family") {
		t.Errorf("static file: got %q", got)
	}
}
