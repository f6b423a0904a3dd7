package basemaker

import "encoding/json"

// Attested is an index over the images of a base as docker buildx pushes it, which is one for a single platform too: behind the images stand
// what lies beside each, for the platform unknown/unknown, with annotations that name the image. It returns the index and all that it names.
func Attested(base *TinyBase) (index Blob, all []*Image, err error) {
	var entries, beside []any
	entry := func(i *Image, annotations map[string]string) map[string]any {
		return map[string]any{
			"mediaType": i.Manifest.MediaType, "digest": i.Manifest.Digest, "size": i.Manifest.Size, "platform": i.Platform, "annotations": annotations,
		}
	}
	all = append(all, base.Images...)
	for _, i := range base.Images {
		other, err := Tiny(TinyOptions{Layers: 1, Seed: "attestation of " + i.Manifest.Digest, Platforms: []Platform{{OS: "unknown", Architecture: "unknown"}}})
		if err != nil {
			return Blob{}, nil, err
		}
		all = append(all, other.Images...)
		entries = append(entries, entry(i, nil))
		beside = append(beside, entry(other.Images[0], map[string]string{
			"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": i.Manifest.Digest,
		}))
	}
	body, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": OCIIndex, "manifests": append(entries, beside...)})
	return NewBlob(OCIIndex, body), all, err
}
