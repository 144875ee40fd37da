/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "running.h"

#include <string.h>

/* Closes the piece that ran since `base`: piece[] is what it counted. */
static void cut(struct kl_running *run, uint64_t piece[KL_TOTALS])
{
    for (unsigned i = 0; i < KL_TOTALS; i++) {
        piece[i] = run->totals[i] - run->base[i];
        run->base[i] = run->totals[i];
    }
}

static void gather(struct kl_running *run, const uint64_t piece[KL_TOTALS])
{
    for (unsigned i = 0; i < KL_TOTALS; i++) {
        run->gathered[i] += piece[i];
    }
}

/* The piece ends here; more of the operation may follow. */
static void paused(struct kl_running *run, struct kl_region *r, struct kl_slots *s)
{
    uint64_t piece[KL_TOTALS];

    cut(run, piece);
    gather(run, piece);
    kl_region_pause(r, s, piece[KL_TOTAL_KERNEL] + piece[KL_TOTAL_REP]);
}

static void resumed(struct kl_running *run, struct kl_slots *s)
{
    uint64_t inside[KL_TOTALS];

    cut(run, inside);
    kl_slots_sync(s);
    run->interrupt += inside[KL_TOTAL_KERNEL] + inside[KL_TOTAL_REP];
    inside[KL_TOTAL_KERNEL] = inside[KL_TOTAL_REP] = 0;
    for (unsigned event = 0; event < KL_EVENTS; event++) {
        if (event != KL_EVENT_INTERRUPT && event != KL_EVENT_IPI && event != KL_EVENT_FAULT) {
            inside[KL_TOTAL_EVENT + event] = 0;
        }
    }
    gather(run, inside);
}

/* The return is inside, but counted only after this: leave it out of what comes next. */
static void returned(struct kl_running *run, uint32_t slot, struct kl_slots *s)
{
    resumed(run, s);
    run->interrupt++;
    run->base[KL_TOTAL_KERNEL]++;
    s->seen[slot]++;
}

bool kl_running_start(struct kl_running *run)
{
    bool outside = run->depth == 0;

    memcpy(run->base, run->totals, sizeof(run->base));
    memset(run->gathered, 0, sizeof(run->gathered));
    memset(run->given, 0, sizeof(run->given));
    memset(run->by, 0, sizeof(run->by));
    run->interrupt = 0;
    run->depth = 0;
    return outside;
}

void kl_running_at(struct kl_running *run, enum kl_boundary what, uint32_t slot,
                   struct kl_region *r, struct kl_slots *s)
{
    if (!run->depth) {
        if (what == KL_BOUNDARY_INTERRUPT) {
            run->depth = 1;
            if (r) {
                paused(run, r, s);
            }
        }
        return;
    }
    switch (what) {
    case KL_BOUNDARY_INTERRUPT:
    case KL_BOUNDARY_FAULT:
        run->depth++;
        break;
    case KL_BOUNDARY_RETURN:
        if (!--run->depth && r) {
            returned(run, slot, s);
        }
        break;
    case KL_BOUNDARY_SCHEDULE:
        run->depth = 0;
        if (r) {
            resumed(run, s);
        }
        break;
    default:
        break;
    }
}

static void give(struct kl_running *run, enum kl_side side, struct kl_region *r)
{
    for (unsigned i = 0; i < KL_TOTALS; i++) {
        run->by[side][i] += run->gathered[i] - run->given[i];
        run->given[i] = run->gathered[i];
    }
    kl_region_side(r, side);
}

void kl_running_side(struct kl_running *run, enum kl_side side, struct kl_region *r,
                     struct kl_slots *s)
{
    if (!run->depth) {
        paused(run, r, s);
    }
    give(run, side, r);
}

void kl_running_mark(struct kl_running *run, enum kl_side side, struct kl_region *r,
                     struct kl_slots *s)
{
    uint64_t piece[KL_TOTALS];
    struct kl_operation op = { 0 };

    if (run->depth) {
        resumed(run, s);
    }
    if (r->sided) {
        paused(run, r, s);
        give(run, side, r);
    }
    cut(run, piece);
    gather(run, piece);
    op.sig.kernel = run->gathered[KL_TOTAL_KERNEL];
    op.sig.rep = run->gathered[KL_TOTAL_REP];
    for (unsigned i = 0; i < KL_EVENTS; i++) {
        op.sig.events[i] = (uint32_t)run->gathered[KL_TOTAL_EVENT + i];
    }
    op.user = run->gathered[KL_TOTAL_USER];
    op.interrupt = run->interrupt;
    for (unsigned side = 0; r->sided && side < KL_SIDES_TOLD; side++) {
        op.by[side].kernel = run->by[side][KL_TOTAL_KERNEL];
        op.by[side].user = run->by[side][KL_TOTAL_USER];
        op.by[side].rep = run->by[side][KL_TOTAL_REP];
        for (unsigned i = 0; i < KL_EVENTS; i++) {
            op.by[side].events[i] = (uint32_t)run->by[side][KL_TOTAL_EVENT + i];
        }
    }
    kl_region_mark(r, s, &op);
}
