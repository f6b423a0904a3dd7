package explain

import (
	"encoding/json"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
)

// plain are the fields of compute-config's request whose values cannot have come from a secret. All others of it, which go into the
// image as the user wrote them, are shown by digest: a field that is added later as well.
func plain(field string) bool {
	switch field {
	case "schemaVersion", "stage", "encoding", "extendsPath", "selectBasePath", "outputRegistry", "sourceDateEpoch", "user", "workingDirectory",
		"appCommandInstruction", "generateLabels", "generateDigestLabel", "generateCreatedLabels":
		return true
	}
	return strings.HasPrefix(field, "ports[")
}

// secret says whether a value of a field may be a secret, whatever document the field is found in: a stamp of another version may have its
// documents in another order.
func secret(input, field string) bool {
	if strings.HasPrefix(input, "compute-config.") {
		return !plain(field)
	}
	if input == settingsName {
		return false
	}
	if strings.HasSuffix(field, ".description") { // of a ContainerLayer item: the user's own words
		return true
	}
	top, _, _ := strings.Cut(strings.TrimPrefix(field, "base."), "[")
	switch top {
	case "reference", "registry", "repository", "digest", "mediaType", "size", "runtimeIdentifier", "ridGraphPath", "resolveBasePath",
		"selectBasePath", "fileListPath", "folderPath", "imageFormat", "outputRegistry", "workingDirectory", "layers", "user", "sourceDateEpoch",
		"compressionLevel", "format", "created", "schemaVersion", "stage", "encoding":
		return false
	}
	return !strings.HasPrefix(field, "base.")
}

// show is a value as people may see it. What is no scalar is shown by the digest that it names, or by its own.
func show(input, field string, v any) string {
	hidden := secret(input, field)
	switch v := v.(type) {
	case nil:
		return ""
	case map[string]any:
		if d, ok := v["digest"].(string); ok && !hidden && strings.HasPrefix(d, "sha256:") {
			return d
		}
		return digest(v)
	case []any:
		return digest(v)
	}
	if hidden {
		return digest(v)
	}
	if text := scalar(v); text != "" {
		return text
	}
	return `""`
}

// digest is the beginning of the SHA-256 of a value; that of the value of a pair, whose name is in the field.
func digest(v any) string {
	if m, ok := v.(map[string]any); ok {
		if value, ok := m["value"]; ok {
			v = value
		}
	}
	return "sha256:" + cas.DigestOf([]byte(scalar(v))).Hex()[:8] + "…"
}

// scalar is a value as text.
func scalar(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		return v
	case json.Number:
		return v.String()
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(data)
}
