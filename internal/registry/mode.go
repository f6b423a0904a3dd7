package registry

import "strings"

// PullMode is how a base in registry base is read for an image that goes to registry output; output may be empty.
func PullMode(base, output string) Mode {
	if strings.EqualFold(base, output) {
		return ModePullFromOutput
	}
	return ModePull
}

// PushMode is how an image is written to registry other whose first destination is in registry main.
func PushMode(other, main string) Mode {
	if strings.EqualFold(other, main) {
		return ModePush
	}
	return ModePushElsewhere
}
