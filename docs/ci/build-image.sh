#!/bin/sh
# Builds one image with docker buildx and stamps it, as gantry graph run --builder docker does: for builds that need something else in between.
#   build-image.sh IMAGE
# The plan is made now and not taken from the job that planned: the parents that were built meanwhile have their digests only now, and where they
# were built to what they were before, there is nothing to build.
set -eu
image=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

status=0
gantry graph plan --unknown-built --target="$image" ${GRAPH_FORCE:+--force="$image"} --format json --exit-code > "$dir/plan.json" || status=$?
case $status in
  0) ;;
  10) echo "nothing to build: $image is there"; exit 0 ;;
  *) exit "$status" ;;
esac
jq --arg image "$image" '.images[] | select(.name == $image).job' "$dir/plan.json" > "$dir/job.json"
if jq -e '.needs' "$dir/job.json" > /dev/null; then
  echo "a parent of $image is not built" >&2
  exit 1
fi

# one word for the shell each; a pin takes the place of the name that the Dockerfile has, in the form that BuildKit compares
eval "set -- $(jq -r '. as $job | [
  (.tags[]? | "--tag", .),
  (.args // {} | to_entries[] | "--build-arg", "\(.key)=\(.value)"),
  (.contexts // {} | to_entries[] | "--build-context", "\(.key)=\(if $job.pins[.value]? then "docker-image://" + $job.pins[.value] else .value end)"),
  (.pins // {} | to_entries[] | select(.key | startswith("target:") | not)
    | "--build-context", "\(.key | sub("^docker[.]io/(library/)?"; "") | sub(":latest$"; ""))=docker-image://\(.value)"),
  (if .platforms then "--platform", (.platforms | join(",")) else empty end),
  (if .target then "--target", .target else empty end),
  "--file", .file, .context] | @sh' "$dir/job.json")"
# --push, without unpacking the image on this machine as well
BUILDX_METADATA_PROVENANCE=max docker buildx build --output=type=image,push=true,unpack=false --metadata-file "$dir/metadata.json" "$@"

if jq -e '.stamp' "$dir/job.json" > /dev/null; then
  gantry graph stamp --metadata-file "$dir/metadata.json" --plan "$dir/plan.json" -- "$image"
fi
