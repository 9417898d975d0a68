#!/bin/sh
# Installs what some tests use besides: musl-tools (a program without glibc under the hook). Does
# nothing where it cannot; those tests are skipped then.
set -eu
command -v musl-gcc >/dev/null && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "musl-tools: not installed: needs root and apt-get"; exit 0; }
apt-get -qq update && apt-get -qq install --yes --no-install-recommends musl-tools >/dev/null ||
    echo "musl-tools: not installed: its tests will be skipped"
