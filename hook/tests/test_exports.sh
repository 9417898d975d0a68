#!/bin/sh
# The hook exports exactly the calls that symbols.def names and what shims call, and needs nothing
# that musl lacks.
set -eu
cd "$(dirname "$0")/.."
hook="$OUT/lib/libgshare_hook.so"

exported=$(nm -D --defined-only "$hook" | awk '{print $3}' | sort)
named=$( (echo dlsym; echo dlvsym; echo gshare_shim_fill
          ${CC:-cc} -E -P -Isrc -x c - <<'TABLE' | grep -o '@ *[a-zA-Z0-9_]*' | tr -d '@ '
#define GSHARE_LAUNCH(symbol, ...) @symbol
#define GSHARE_HOOKED(symbol, ...) @symbol
#define GSHARE_NVML(symbol, ...) @symbol
#include "hook/symbols.def"
TABLE
          ) | sort)
case "${SANITIZER_RUNTIME:-}" in *tsan*) exit 0 ;; esac # dlsym is left alone there
if [ "$exported" != "$named" ]; then
    echo "exports.map differs from symbols.def:" >&2
    printf '%s\n' "$exported" > "$OUT/tests/exported"
    printf '%s\n' "$named" | diff "$OUT/tests/exported" - >&2
    exit 1
fi

# A hard reference to one of these makes every musl program of a container fail to start.
[ -n "${SANITIZER_RUNTIME:-}" ] && exit 0
if nm -D --undefined-only "$hook" | grep -E ' U (__.*_chk|__isoc|dlvsym|__register_atfork|gnu_)'; then
    echo "the hook needs what only glibc has" >&2
    exit 1
fi
