package doctor

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

const (
	configType = "application/vnd.oci.image.config.v1+json"
	layerType  = "application/vnd.oci.image.layer.v1.tar"
	// artifactType is that of the manifest whose subject is the image.
	artifactType = "application/vnd.gantry.doctor.v1"
)

type object map[string]any

func descriptor(mediaType string, content []byte) object {
	return object{"mediaType": mediaType, "digest": string(cas.DigestOf(content)), "size": len(content)}
}

// makeContent makes images that hold one small file. They are whole, as some registries look into them.
func (v *visit) makeContent() error {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := "Written by gantry registry doctor, and of no use to anybody: " + v.id + "\n"
	err := w.WriteHeader(&tar.Header{Name: "gantry-doctor.txt", Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR})
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	v.layer = b.Bytes()
	encode := func(o object) (out []byte) {
		if err == nil {
			out, err = json.Marshal(o)
		}
		return out
	}
	v.config = encode(object{
		"architecture": "amd64", "os": "linux", "config": object{},
		"rootfs": object{"type": "layers", "diff_ids": []string{string(cas.DigestOf(v.layer))}},
	})
	manifest := func(extra object) []byte {
		o := object{
			"schemaVersion": 2, "mediaType": registry.OCIManifest, "config": descriptor(configType, v.config),
			"layers": []object{descriptor(layerType, v.layer)},
		}
		for k, e := range extra {
			o[k] = e
		}
		return encode(o)
	}
	v.image = manifest(nil)
	v.other = manifest(object{"annotations": object{"io.github.gantry-build.doctor": "other"}})
	v.artifact = manifest(object{
		"artifactType": artifactType, "subject": descriptor(registry.OCIManifest, v.image),
	})
	if err != nil {
		return diag.Wrap(diag.Internal, err, "the images of the doctor cannot be made", "please report it")
	}
	return nil
}
