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

# What is not passed on below would make another image than the one that is stamped.
if jq -e '.inline // .options' "$dir/job.json" > /dev/null; then
  echo "the list has the Dockerfile of $image, or options for its builder: add them here, or use gantry graph run" >&2
  exit 1
fi
syntax='' words=' '
file=$(jq -r '.file' "$dir/job.json")
if [ -f "$file" ]; then
  syntax=$(sed -n -e 's/^#[[:space:]]*syntax[[:space:]]*=[[:space:]]*//p' -e '/^[^#]/q' "$file" | tr -d '\r')
  words=" $(sed -e '/^[[:space:]]*#/d' "$file" | sed -e ':a' -e '/[\\`][[:space:]]*$/{N;s/[\\`][[:space:]]*\n/ /;ba' -e '}' |
    grep -i '^[[:space:]]*from[[:space:]]' | tr '[:upper:]' '[:lower:]' | tr -s '[:space:]' ' ') "
fi
for name in $(jq -r '.pins // {} | keys[] | capture("^docker[.]io/library/(?<name>[^:]*):latest$").name' "$dir/job.json"); do
  case $words in *" as $name "*)
    echo "a stage of $image is called $name, as the image is: BuildKit would put the pin in the place of the stage" >&2
    exit 1 ;;
  esac
done

# one word for the shell each; a pin takes the place of the name that the Dockerfile has, in the form that BuildKit compares
eval "set -- $(jq -r --arg syntax "$syntax" 'def full: sub("^docker-image://"; "") | sub("^(index[.])?docker[.]io/"; "")
  | if test("^([^/]*[.:][^/]*|localhost)/") then . elif test("/") then "docker.io/" + . else "docker.io/library/" + . end
  | if test("@|:[^/]*$") then . else . + ":latest" end;
  (.pins // {}) as $pins | [
  (.tags[]? | "--tag", .),
  (.args // {} | to_entries[] | "--build-arg", "\(.key)=\(.value)"),
  ((.args.BUILDKIT_SYNTAX? // $syntax) | select(. != "" and $pins[full]) | "--build-arg", "BUILDKIT_SYNTAX=\($pins[full])"),
  (.contexts // {} | to_entries[]
    | if .value | startswith("target:") then .value = $pins[.value] | select(.value) | .value = "docker-image://" + .value
      elif (.value | startswith("docker-image:")) and $pins[.value | full] then .value = "docker-image://" + $pins[.value | full] else . end
    | "--build-context", "\(.key)=\(.value)"), # of another image of the list without a pin: the target does not reach it
  ($pins | to_entries[] | select(.key | startswith("target:") | not)
    | "--build-context", "\(.key | sub("^docker[.]io/(library/)?"; "") | sub(":latest$"; ""))=docker-image://\(.value)"),
  (if .platforms then "--platform", (.platforms | join(",")) else empty end),
  (if .target then "--target", .target else empty end),
  "--file", .file, .context] | @sh' "$dir/job.json")"
# --push, without unpacking the image on this machine as well
BUILDX_METADATA_PROVENANCE=max docker buildx build --output=type=image,push=true,unpack=false --metadata-file "$dir/metadata.json" "$@"

if jq -e '.stamp' "$dir/job.json" > /dev/null; then
  gantry graph stamp --metadata-file "$dir/metadata.json" --plan "$dir/plan.json" -- "$image"
fi
