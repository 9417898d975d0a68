#include "hook/own_grant.h"

#include <stdatomic.h>

#include "hook/os.h"
#include "hook/pace.h"
#include "hook/session.h"

#define OWN_EPOCHS (1u << 31) /* our own grants are numbered apart from a daemon's */

/* The watcher's. */
static uint32_t last_epoch;
static uint64_t debt_ns;   /* overrun of own grants, taken from the next opening */
static uint64_t opened_ns; /* start of the opening used last */
static uint64_t first_ns;  /* when tokens of a daemon that was lost are back */

void gshare_own_grant_end(void) {
    struct gshare_grant *own = &gshare_session.own_grant;
    uint64_t now_ns = gshare_now_ns(), deadline_ns = atomic_load(&own->deadline_ns);
    if (now_ns < deadline_ns) {
        atomic_store(&own->epoch, OWN_EPOCHS | ++last_epoch);
        gshare_futex_wake_all(&own->epoch);
        return;
    }
    debt_ns += now_ns - deadline_ns;
    atomic_store(&own->epoch, 0);
}

uint64_t gshare_own_grant_pace(uint64_t now_ns) {
    struct gshare_grant *own = &gshare_session.own_grant;
    if (atomic_load(&own->epoch) != 0) {
        uint64_t deadline_ns = atomic_load(&own->deadline_ns);
        if (now_ns < deadline_ns)
            return deadline_ns;
        atomic_store(&own->epoch, 0);
    }
    struct gshare_opening opening = gshare_pace_next(gshare_session.limits, now_ns);
    if (opening.start_ns == opened_ns)
        return opening.end_ns;
    uint64_t start_ns = opening.start_ns + debt_ns;
    if (start_ns >= opening.end_ns) { /* the debt takes the whole opening */
        debt_ns -= opening.end_ns - opening.start_ns;
        opened_ns = opening.start_ns;
        return opening.end_ns;
    }
    start_ns = start_ns < first_ns ? first_ns : start_ns;
    if (now_ns < start_ns)
        return start_ns;
    debt_ns = 0;
    opened_ns = opening.start_ns;
    atomic_store(&own->deadline_ns, opening.end_ns);
    atomic_store(&own->epoch, OWN_EPOCHS | ++last_epoch);
    gshare_futex_wake_all(&own->epoch);
    return opening.end_ns;
}

void gshare_own_grant_begin(uint64_t from_ns) {
    first_ns = from_ns;
    atomic_store(&gshare_session.own_grant.epoch, 0);
}
