package push

import (
	"context"
	"fmt"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/deliver"
	"github.com/gantry-build/gantry/internal/diag"
)

// repair looks for the blobs behind a manifest that is there, and sends those that are gone, or that the account may not see.
func (r *run) repair(ctx context.Context) error {
	missing, hidden, err := r.oracle().MissingBlobs(ctx, r.content())
	if err != nil || len(missing)+len(hidden) == 0 {
		return err
	}
	gone := map[cas.Digest]bool{}
	for _, m := range append(hidden, missing...) {
		gone[m.Digest] = true
	}
	var again []deliver.Blob
	for _, b := range unmounted(r.blobs) {
		if gone[b.Digest] {
			again = append(again, b)
		}
	}
	r.result.Pushed = true
	r.result.Reason = fmt.Sprintf("the destination has the manifest and does not give %d of its blobs", len(again))
	r.Log.Info("blobs are sent again", "reason", r.result.Reason)
	if err := r.send(ctx, again); err != nil {
		return err
	}
	still, _, err := r.oracle().MissingBlobs(ctx, missing)
	if err == nil && len(still) > 0 {
		return diag.New(diag.BlobUploadFailed, fmt.Sprintf("%s took the blob %s and does not give it", r.dst, still[0].Digest),
			"the registry's storage is damaged: ask its administrator")
	}
	return err
}
