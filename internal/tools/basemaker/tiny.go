package basemaker

import (
	"encoding/json"
	"fmt"
	"os"
)

// TinyOptions say what shape a tiny base has. The zero value is a single OCI
// image for linux/amd64 of three gzip layers.
type TinyOptions struct {
	// Layers is the number of layers, foreign one not counted; 0 means 3,
	// NoLayers means none.
	Layers int
	// Platforms of the images; more than one, or Index, makes an index.
	// OS "windows" makes layers of Windows' shape.
	Platforms []Platform
	// Index makes an index of a single platform too.
	Index bool
	// Docker writes Docker's media types instead of OCI's.
	Docker bool
	// Config changes the "config" object of the image config, such as Env,
	// User, Labels, Entrypoint.
	Config func(config map[string]any)
	// Document changes the whole config document, such as created or
	// history.
	Document func(document map[string]any)
	// Zstd compresses the layers so (OCI only).
	Zstd bool
	// Foreign puts a layer below the others that is only named by a URL.
	Foreign bool
	// Seed makes images of other content.
	Seed string
}

// NoLayers asks for an image without layers.
const NoLayers = -1

// TinyBase is an image, or an index over several, of a few small files.
type TinyBase struct {
	// Top is the index if there is one, else the only image's manifest.
	Top    Blob
	Images []*Image
}

// Tiny makes a base image that runs nothing. The same options give the same
// digests.
func Tiny(o TinyOptions) (*TinyBase, error) {
	if len(o.Platforms) == 0 {
		o.Platforms = []Platform{{OS: "linux", Architecture: "amd64"}}
	}
	base := &TinyBase{}
	for _, p := range o.Platforms {
		image, err := tinyImage(o, p)
		if err != nil {
			return nil, err
		}
		base.Images = append(base.Images, image)
	}
	if len(o.Platforms) == 1 && !o.Index {
		base.Top = base.Images[0].Manifest
		return base, nil
	}
	indexType := OCIIndex
	if o.Docker {
		indexType = DockerList
	}
	var err error
	base.Top, err = NewIndex(indexType, base.Images)
	return base, err
}

func tinyImage(o TinyOptions, p Platform) (*Image, error) {
	manifestType, configType, layerType, foreignType := OCIManifest, OCIConfig, OCILayer, OCIForeign
	if o.Docker {
		manifestType, configType, layerType, foreignType = DockerImage, DockerConfig, DockerLayer, DockerForeign
	}
	compress := asGzip
	if o.Zstd {
		layerType, compress = OCILayerZstd, asZstd
	}
	var layers []Blob
	var diffIDs []string
	if o.Foreign {
		b, diffID, err := layerBlob(foreignType, tinyTree(o, p, 0), asGzip)
		if err != nil {
			return nil, err
		}
		b.URLs, b.Data = []string{"https://layers.example.com/" + b.Digest}, nil
		layers, diffIDs = append(layers, b), append(diffIDs, diffID)
	}
	count := o.Layers
	if count == 0 {
		count = 3
	}
	for i := 1; i <= count; i++ {
		b, diffID, err := layerBlob(layerType, tinyTree(o, p, i), compress)
		if err != nil {
			return nil, err
		}
		layers, diffIDs = append(layers, b), append(diffIDs, diffID)
	}
	config, err := tinyConfig(o, p, diffIDs)
	if err != nil {
		return nil, err
	}
	return NewImage(manifestType, NewBlob(configType, config), layers, p)
}

func tinyConfig(o TinyOptions, p Platform, diffIDs []string) ([]byte, error) {
	config := map[string]any{"Env": []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "APP_UID=1654", "ASPNETCORE_HTTP_PORTS=8080",
	}}
	if p.OS == "windows" {
		config = map[string]any{"Env": []string{"ASPNETCORE_HTTP_PORTS=8080"}, "User": "ContainerUser"}
	}
	if o.Config != nil {
		o.Config(config)
	}
	if diffIDs == nil {
		diffIDs = []string{}
	}
	doc := configDocument(p, config, diffIDs)
	if o.Document != nil {
		o.Document(doc)
	}
	return json.Marshal(doc)
}

// tinyTree is the content of layer n: the same for every platform of one OS
// but for one file, as the layers of real images differ.
func tinyTree(o TinyOptions, p Platform, n int) tree {
	content := fmt.Sprintf("layer %d of %s/%s%s %s %s\n", n, p.OS, p.Architecture, p.Variant, p.OSVersion, o.Seed)
	if p.OS == "windows" {
		t := tree{fmt.Sprintf("Files/base/layer%d.txt", n): {mode: 0o644, data: content}}
		t.addDir("Hives", 0o755, 0)
		return t
	}
	t := tree{fmt.Sprintf("etc/base/layer%d.txt", n): {mode: 0o644, data: content}}
	if n == 1 {
		t["etc/passwd"] = entry{mode: 0o644, data: "root:x:0:0:root:/root:/bin/sh\napp:x:1654:1654::/home/app:/bin/sh\n"}
		t.addDir("tmp", 0o777|os.ModeSticky, 0)
	}
	return t
}
