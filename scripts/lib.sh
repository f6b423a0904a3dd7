# shellcheck shell=bash
# apt's own $(…) stand in single quotes below
# shellcheck disable=SC2016
#
# Sourced by the other scripts: finds or installs what they need. It changes
# the machine only as root, only with apt, and only for tools that are missing.
#
#   setup_go            Go as go.mod asks for, on PATH; ends the script without
#   setup_tools NAME…   tools of the tests; names each one that stays missing

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

can_install() { have apt-get && [ "$(id -u)" = 0 ]; }

# go_is_enough GO: whether it is at least the Go that go.mod names.
go_is_enough() {
  local has wants
  has=$("$1" env GOVERSION 2>/dev/null) || return 1
  wants=$(awk '$1 == "go" { print $2; exit }' "$ROOT/go.mod")
  [ "$(printf '%s\n%s\n' "$wants" "${has#go}" | sort -V | head -n 1)" = "$wants" ]
}

setup_go() {
  export GOTOOLCHAIN=local
  if ! { have go && go_is_enough go; }; then
    if ! [ -x /usr/lib/go-1.26/bin/go ] && can_install; then
      install_go
    fi
    export PATH="/usr/lib/go-1.26/bin:$PATH"
    { have go && go_is_enough go; } || die "this needs the Go that go.mod names: install it, or run this as root on Debian 12 or 13"
  fi
  # an offline mirror of the modules, where there is one beside the sources
  if [ -z "${GOPROXY:-}" ] && [ -d "$ROOT/../shared/goproxy" ]; then
    GOPROXY="file://$(cd "$ROOT/../shared/goproxy" && pwd)"
    export GOPROXY
  fi
}

# install_go takes Debian's package from the backports of the suite that has
# it, at the mirror that the machine's own sources name. It runs on Debian 12.
install_go() {
  local suite=trixie-backports
  say "set-up: installing golang-1.26-go from $suite"
  add_suite "$suite" gantry-go || die "apt's sources name no Debian mirror: install Go 1.26 by hand"
  apt_get update
  apt_get install -t "$suite" golang-1.26-go
}

# add_suite SUITE NAME makes apt know a suite of Debian, for those who ask for
# it alone; NAME is that of the files.
add_suite() {
  local suite=$1 name=$2 uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=''
  ! apt-get indextargets --format '$(RELEASE)' 'Created-By: Packages' | grep -qx "$suite" || return 0
  uri=$(debian_mirror)
  [ -n "$uri" ] || return 1
  if [ -f "$keyring" ]; then signed="[signed-by=$keyring] "; fi
  printf 'deb %s%s %s main\n' "$signed" "$uri" "$suite" >"/etc/apt/sources.list.d/$name.list"
  # nothing else is ever taken from there
  printf 'Package: *\nPin: release n=%s\nPin-Priority: 1\n' "$suite" >"/etc/apt/preferences.d/$name"
}

# debian_mirror is where the machine gets its own Debian release from, whether
# its sources are written as .list or as deb822.
debian_mirror() {
  local codename
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite="$codename" '($1 == suite || $1 == "stable") && $2 == "main" && !found { print $3; found = 1 }'
}

# apt_get is quiet unless it fails, and asks nothing.
apt_get() {
  local log
  log=$(mktemp)
  if ! DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends "$@" </dev/null >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    say "set-up: apt-get $1 failed"
    return 1
  fi
  rm -f "$log"
}

setup_tools() {
  # the folders of administrators' tools are not on every PATH, nor is that of
  # Docker's plugins
  export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/libexec/docker/cli-plugins"
  local tool missing=()
  for tool in "$@"; do
    have "$tool" || missing+=("$tool")
  done
  if [ ${#missing[@]} -gt 0 ] && can_install; then
    install_tools "${missing[@]}"
  fi
  for tool in "$@"; do
    have "$tool" || say "set-up: $tool is missing: what needs it is left out"
  done
}

# docker_package is the package with Docker's program: later releases have it
# without the daemon.
docker_package() {
  if apt-cache show docker-cli >/dev/null 2>&1; then echo docker-cli; else echo docker.io; fi
}

# buildx_packages are Docker with BuildKit. Debian 12 has none that keeps its
# images in containerd: what Debian 13 has runs there too, with the C library
# of Debian 12.
buildx_packages() {
  if ! [ -e /etc/apt/preferences.d/gantry-docker ] && apt-cache show docker-buildx >/dev/null 2>&1; then
    echo docker.io docker-buildx
  elif add_suite trixie gantry-docker && apt_get update; then
    echo containerd/trixie docker-cli/trixie docker.io/trixie docker-buildx/trixie
  fi
}

# install_tools installs packages, none of whose services is ever started: the
# registry of the package would listen on port 5000.
install_tools() {
  local policy=/usr/sbin/policy-rc.d ours='' packages=() words=() tool
  apt_get update || true # first: which packages there are is asked of the lists
  for tool in "$@"; do
    case $tool in
      gcc) packages+=(gcc libc6-dev) ;;
      dot) packages+=(graphviz) ;;
      podman) packages+=(podman containernetworking-plugins) ;;
      docker) packages+=("$(docker_package)") ;;
      docker-buildx)
        read -ra words <<<"$(buildx_packages)"
        packages+=("${words[@]}")
        ;;
      *) packages+=("$tool") ;;
    esac
  done
  say "set-up: installing ${packages[*]}"
  if ! [ -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  for tool in "${packages[@]}"; do
    # one by one: a package that this release lacks keeps no other away
    apt_get install "$tool" || say "set-up: going on without $tool"
  done
  if [ -n "$ours" ]; then rm -f "$policy"; fi
  case " $* " in
    *" docker-registry "*)
      # nor at the next start of the machine
      if have systemctl; then systemctl --quiet disable docker-registry >/dev/null 2>&1 || true; fi
      if have update-rc.d; then update-rc.d docker-registry disable >/dev/null 2>&1 || true; fi
      ;;
  esac
}
