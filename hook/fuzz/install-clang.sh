#!/bin/sh
# Prints the name of a clang with libFuzzer, which is Debian's, and is installed if need be.
set -eu
find_clang() {
    for each in clang /usr/bin/clang-[0-9]*; do
        command -v "$each" >/dev/null || continue
        [ -f "$("$each" -print-file-name=libclang_rt.fuzzer-"$(uname -m)".a)" ] || continue
        command -v "$each" && return
    done
    return 1
}
find_clang && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
    { echo "fuzz: needs clang with libFuzzer, and root on Debian to install it" >&2; exit 1; }
apt-get -qq update >&2
apt-get install --yes --no-install-recommends clang >&2
version=$(clang -dumpversion)
apt-get install --yes --no-install-recommends "libclang-rt-${version%%.*}-dev" >&2
find_clang || { echo "fuzz: no libFuzzer in Debian's clang" >&2; exit 1; }
