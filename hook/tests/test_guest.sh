#!/bin/sh
# The hook is a harmless guest where there is nothing to hook: in musl programs, static programs and
# programs without CUDA, with a lease and without. They run as if it were not there.
set -eu
cd "$(dirname "$0")/.."
hook="$OUT/lib/libgshare_hook.so"
work="$OUT/tests/guest"
[ -n "${SANITIZER_RUNTIME:-}" ] && exit 0 # it is no guest of these: it brings its runtime
mkdir -p "$work"

cat > "$work/program.c" <<'PROGRAM'
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *work(void *argument) {
    return argument;
}

/* Prints what of this process the kernel says: its threads, and the signals that it catches. */
static void print_status(void) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "SigCgt", 6) == 0 || strncmp(line, "Threads", 7) == 0)
            fputs(line, stdout);
}

int main(void) {
    errno = 77;
    void *unknown = dlsym(RTLD_DEFAULT, "cuNoSuchCall"), *known = dlsym(RTLD_DEFAULT, "cuInit");
    printf("%d %d", unknown == NULL, known == NULL);
    printf(" %d\n", dlsym(RTLD_DEFAULT, "pthread_create") != NULL || EXPECTED_NO_SYMBOLS);
    pthread_t thread;
    void *result = NULL;
    if (pthread_create(&thread, NULL, work, &thread) || pthread_join(thread, &result))
        return 1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    int status = 0;
    waitpid(child, &status, 0);
    printf("%d %d\n", result == &thread, WEXITSTATUS(status));
    print_status();
    return 0;
}
PROGRAM

# harmless <program>: it says the same with the hook and without, and nothing on stderr.
harmless() {
    "$@" > "$work/bare" 2>&1
    for lease in "" /nonexistent/lease; do
        GSHARE_LEASE_DIR="$lease" LD_PRELOAD="$hook" "$@" > "$work/hooked" 2> "$work/said" || {
            echo "$* fails under the hook (GSHARE_LEASE_DIR='$lease'):" >&2
            cat "$work/said" >&2
            exit 1
        }
        if ! cmp -s "$work/bare" "$work/hooked" || [ -s "$work/said" ]; then
            echo "$* differs under the hook (GSHARE_LEASE_DIR='$lease'):" >&2
            diff "$work/bare" "$work/hooked" >&2 || cat "$work/said" >&2
            exit 1
        fi
    done
    echo "ok harmless: $(basename "$1")"
}

compile() { # <compiler> <output> [flags]
    compiler=$1 output=$2
    shift 2
    "$compiler" -pthread -D_GNU_SOURCE -DEXPECTED_NO_SYMBOLS=0 -w -o "$work/$output" \
        "$work/program.c" "$@"
}

compile "${CC:-cc}" dynamic -ldl
harmless "$work/dynamic"
sed 's/EXPECTED_NO_SYMBOLS/1/' "$work/program.c" > "$work/static.c"
"${CC:-cc}" -pthread -D_GNU_SOURCE -w -static -o "$work/static" "$work/static.c"
harmless "$work/static"
harmless /bin/sh -c 'echo one | sed s/one/two/; exit 0'
if command -v musl-gcc > /dev/null; then
    compile musl-gcc musl
    harmless "$work/musl"
    musl-gcc -w -D_GNU_SOURCE -static -o "$work/musl-static" "$work/static.c"
    harmless "$work/musl-static"
else
    echo "skipped: no musl-gcc (Debian: musl-tools)"
fi
