package createlayers

import (
	"fmt"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/layer"
)

// parseEpoch reads SOURCE_DATE_EPOCH by the rule of image.ParseEpoch, and refuses in addition what a tar cannot hold; nil
// stands for none.
func parseEpoch(s string) (*int64, error) {
	t, ok, err := image.ParseEpoch(s)
	if err != nil || !ok {
		return nil, err
	}
	seconds := t.Unix()
	if seconds > layer.MaxTime {
		return nil, diag.New(diag.InvalidEpoch, fmt.Sprintf("SOURCE_DATE_EPOCH %s is later than %d (year 2242), the last time that a tar can hold", s, int64(layer.MaxTime)),
			"use an earlier time, for example the commit's time")
	}
	return &seconds, nil
}
