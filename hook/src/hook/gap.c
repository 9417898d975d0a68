#include "hook/gap.h"

#include <stdbool.h>
#include <string.h>

#include "hook/gate.h"
#include "hook/os.h"
#include "hook/symbols.h"
#include "hook/track_state.h"

#define SAMPLE_NS (500 * GSHARE_NS_PER_US) /* two events and their reading cost 0.2 % of this */
#define SHARE 16                           /* of a sample in what is believed of all gaps */

enum stage {
    NONE,
    BEGUN, /* the event after the last launch is recorded */
    WHOLE, /* and the one before the next launch, but they are not read yet */
};

/* The gaps of this process. Under the gate's lock. */
static struct {
    uint32_t epoch;
    uint32_t working;    /* tracks with work of the epoch */
    uint64_t since_ns;   /* begin of the open gap; 0: none */
    uint64_t until_ns;   /* end of the last gap */
    uint64_t work_ns;    /* what usually lies between two gaps */
    int64_t total_ns;    /* closed gaps not yet deducted, and corrections of deducted ones */
    int64_t trailing_ns; /* of the gap that was open when the ends were marked */
    bool ends_exactly;   /* and the event at its begin is there */
    int64_t lateness_ns; /* what a gap is longer than the host sees; learnt */
    bool has_lateness;
    uint64_t next_sample_ns;
} gaps;

static struct {
    enum stage stage;
    struct gshare_track *track;
    struct gshare_lane *lane; /* whose thread recorded its begin */
    uint64_t progress;        /* and had launched this far */
    int64_t seen_ns;          /* what the host saw of it */
    int64_t booked_ns;        /* what was believed of it */
    bool is_wanted;           /* the gap that has begun is to be a sample */
    bool is_usual;            /* taken in its turn, not because it was suspect */
} sample;

void gshare_gap_begin_epoch(uint32_t epoch) {
    gaps.epoch = epoch;
    gaps.working = 0;
    gaps.since_ns = 0;
    gaps.until_ns = 0;
    gaps.trailing_ns = 0;
    gaps.ends_exactly = false;
    if (sample.stage != WHOLE)
        sample.stage = NONE;
}

void gshare_gap_works(struct gshare_track *track) {
    if (track->working_epoch == gaps.epoch)
        return;
    track->working_epoch = gaps.epoch;
    gaps.working++;
}

static bool is_sampled(const struct gshare_track *track) {
    return sample.track == track && sample.stage != NONE;
}

static uint64_t least(uint64_t left, uint64_t right) {
    return left < right ? left : right;
}

/* A gap is sampled in its turn, or where the work before it took unusually long: the thread may
 * have been off its CPU when the wait was over. Only the turns teach, and they are irregular:
 * nothing that recurs may fall on them. */
static void choose_sample(uint64_t now_ns) {
    uint64_t work_ns = now_ns - gaps.until_ns, usual_ns = 2 * gaps.work_ns;
    bool is_suspect = gaps.until_ns == 0 || work_ns > usual_ns;
    sample.is_usual = !is_suspect && now_ns >= gaps.next_sample_ns;
    sample.is_wanted = is_suspect || sample.is_usual;
    if (gaps.until_ns != 0)
        gaps.work_ns = gaps.work_ns - gaps.work_ns / SHARE +
                       (gaps.work_ns ? least(work_ns, usual_ns) / SHARE : work_ns);
    if (sample.is_usual)
        gaps.next_sample_ns = now_ns + SAMPLE_NS / 2 + now_ns % SAMPLE_NS;
}

/* The thread has launched nothing since it recorded the begin. */
static bool is_fresh(void) {
    return sample.stage == BEGUN && sample.progress == gshare_lane_progress(sample.lane);
}

void gshare_gap_rests(struct gshare_track *track, struct gshare_lane *lane, uint64_t now_ns) {
    if (track->working_epoch == 0 || track->working_epoch != gaps.epoch)
        return;
    track->working_epoch = 0;
    if (--gaps.working > 0)
        return;
    gaps.since_ns = now_ns;
    if (sample.stage == BEGUN && !(sample.track == track && sample.lane == lane && is_fresh()))
        sample.stage = NONE;
    choose_sample(now_ns);
}

/* Reads a whole sample: corrects what was booked of its gap, and learns. */
static void read_sample(void) {
    int64_t exact_ns;
    if (!gshare_track_elapsed_ns(sample.track->gap_begin, sample.track->gap_end, &exact_ns))
        return;
    int64_t late_ns = exact_ns - sample.seen_ns;
    if (sample.is_usual) {
        gaps.lateness_ns += gaps.has_lateness ? (late_ns - gaps.lateness_ns) / SHARE : late_ns;
        gaps.has_lateness = true;
    }
    gaps.total_ns += exact_ns - sample.booked_ns;
    sample.stage = NONE;
}

static bool has_events(struct gshare_track *track) {
    if (!track->gap_begin)
        gshare_real.cuEventCreate(&track->gap_begin, CU_EVENT_DEFAULT);
    if (!track->gap_end)
        gshare_real.cuEventCreate(&track->gap_end, CU_EVENT_DEFAULT);
    return track->gap_begin && track->gap_end;
}

void gshare_gap_before_wait(struct gshare_lane *lane) {
    struct gshare_track *track = lane->track;
    if (sample.stage == WHOLE)
        read_sample();
    if (sample.stage == WHOLE || gaps.working != 1 || track->working_epoch != gaps.epoch ||
        (sample.track == track && is_fresh()))
        return;
    sample.stage = NONE;
    if (!has_events(track) ||
        gshare_real.cuEventRecord(track->gap_begin, track->stream) != CUDA_SUCCESS)
        return;
    sample.track = track;
    sample.lane = lane;
    sample.progress = gshare_lane_progress(lane);
    sample.stage = BEGUN;
}

void gshare_gap_after_wait(void) {
    if (sample.stage == BEGUN && gaps.since_ns == 0)
        sample.stage = NONE;
}

static int64_t believed_ns(uint64_t since_ns, uint64_t until_ns) {
    int64_t gap_ns = (int64_t)(until_ns - since_ns) + gaps.lateness_ns;
    return gap_ns > 0 ? gap_ns : 0;
}

/* Records the end of a gap that is to be a sample. What the record takes lies within the gap. */
static void end_sample(struct gshare_track *track, uint64_t now_ns) {
    bool is_taken = sample.is_wanted && sample.track == track &&
                    gshare_real.cuEventRecord(track->gap_end, track->stream) == CUDA_SUCCESS;
    sample.stage = is_taken ? WHOLE : NONE;
    if (!is_taken)
        return;
    sample.seen_ns = (int64_t)(now_ns - gaps.since_ns);
    sample.booked_ns = believed_ns(gaps.since_ns, now_ns);
    gaps.total_ns += (int64_t)(gshare_now_ns() - now_ns);
}

void gshare_gap_close(struct gshare_track *track, const struct gshare_lane *lane) {
    if (gaps.since_ns == 0) {
        if (sample.stage == BEGUN && sample.lane != lane)
            sample.stage = NONE;
        return;
    }
    uint64_t now_ns = gshare_now_ns();
    if (sample.stage == BEGUN)
        end_sample(track, now_ns);
    gaps.total_ns += believed_ns(gaps.since_ns, now_ns);
    gaps.since_ns = 0;
    gaps.until_ns = now_ns;
}

/* A thread that still waits may not have been woken yet: with the event it left, that shows. */
void gshare_gap_mark_end(void) {
    bool waits_alone = is_fresh() && atomic_load(&gshare_gate.lane_count) == 1;
    gaps.ends_exactly = waits_alone || (sample.stage == BEGUN && gaps.since_ns);
    gaps.trailing_ns = gaps.since_ns ? believed_ns(gaps.since_ns, gshare_now_ns()) : 0;
}

static uint64_t less(uint64_t from_ns, int64_t take_ns) {
    if (take_ns <= 0)
        return from_ns;
    return from_ns > (uint64_t)take_ns ? from_ns - (uint64_t)take_ns : 0;
}

uint64_t gshare_gap_deduct(uint64_t *used_ns) {
    int64_t exact_ns;
    if (sample.stage == WHOLE)
        read_sample();
    if (gaps.ends_exactly && sample.stage == BEGUN && sample.track->has_end &&
        gshare_track_elapsed_ns(sample.track->gap_begin, sample.track->end, &exact_ns))
        gaps.trailing_ns = exact_ns;
    *used_ns = less(*used_ns, gaps.trailing_ns);
    uint64_t busy_ns = less(*used_ns, gaps.total_ns);
    gaps.total_ns -= (int64_t)(*used_ns - busy_ns);
    if (gaps.total_ns > 0)
        gaps.total_ns = 0; /* more than there was: a measure without an answer */
    return busy_ns;
}

void gshare_gap_drop(const struct gshare_track *track) {
    if (is_sampled(track))
        sample.stage = NONE;
    if (track->working_epoch != 0 && track->working_epoch == gaps.epoch)
        gaps.working--;
}

void gshare_gap_forget(void) {
    memset(&gaps, 0, sizeof gaps);
    memset(&sample, 0, sizeof sample);
}
