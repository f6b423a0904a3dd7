package registry

import "strings"

// PullMode is how a base in registry base is read for an image that goes to registry output; output may be empty.
func PullMode(base, output string) Mode {
	if strings.EqualFold(base, output) {
		return ModePullFromOutput
	}
	return ModePull
}
