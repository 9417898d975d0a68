#!/bin/sh
# Installs NVIDIA's MPS control daemon (Debian's non-free nvidia-cuda-mps, 0.3 MB, needs no driver),
# which tests of the node agent use where it is there. The system's package sources stay as they
# are: the non-free section of the mirror that they name is read into a folder of our own. Does
# nothing where it cannot.
set -eu
command -v nvidia-cuda-mps-control >/dev/null && exit 0
[ "$(id -u)" = 0 ] || { echo "nvidia-cuda-mps: not installed: needs root"; exit 0; }
. /etc/os-release
[ "${ID:-}" = debian ] || { echo "nvidia-cuda-mps: not installed: this is no Debian"; exit 0; }
mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    sed -n "s/^$VERSION_CODENAME //p" | head -n 1)
[ -n "$mirror" ] || { echo "nvidia-cuda-mps: not installed: apt names no mirror"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
mkdir -p "$folder/lists/partial"
echo "deb $mirror $VERSION_CODENAME non-free" >"$folder/sources.list"
apt() {
    apt-get -qq -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$folder/lists" "$@"
}
apt update && apt install --yes --no-install-recommends nvidia-cuda-mps >/dev/null ||
    echo "nvidia-cuda-mps: not installed: its tests will be skipped"
