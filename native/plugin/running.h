/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The running operation: what it has counted so far, with hardware interrupts kept apart.
 *
 * Ticks and device interrupts fall on whichever operation is running. An *interruption* begins
 * with the entry of one (an instruction that is event 4, or 7 where that is an entry) and ends
 *   - with the interrupt return that matches it: further entries, and page faults, nest; or
 *   - where the scheduler is called from it. What a task that preempts does then is part of the
 *     operation, as its events show, and so is the rest of the way out of the interrupt.
 * The entry instruction and the return are inside; the call of the scheduler is not.
 *
 * Kernel instructions and REP iterations inside are neither in the operation's totals nor in
 * its profile, but in a number of their own. Of the events inside, only interrupts, IPIs and
 * page faults are counted to the operation: they say that it was interrupted.
 *
 * Where tasks are told apart (tasks.h), what the operation counts is also counted by side. What
 * runs inside interruptions is nobody's.
 */
#ifndef KERNLEAP_RUNNING_H
#define KERNLEAP_RUNNING_H

#include "region.h"

enum kl_boundary {
    KL_BOUNDARY_NONE = 0,
    KL_BOUNDARY_INTERRUPT, /* entry of an interrupt: begins an interruption, or nests */
    KL_BOUNDARY_FAULT,     /* entry of a page fault: nests, where there is an interruption */
    KL_BOUNDARY_RETURN,    /* interrupt return */
    KL_BOUNDARY_SCHEDULE,  /* the scheduler */
};

struct kl_running {
    const uint64_t *totals;
    uint64_t base[KL_TOTALS];     /* totals where the present piece began, in or out of one */
    uint64_t gathered[KL_TOTALS]; /* what earlier pieces counted */
    uint64_t given[KL_TOTALS];    /* of what is gathered: what has been given to a side */
    uint64_t by[KL_SIDES][KL_TOTALS];
    uint64_t interrupt;
    unsigned depth;               /* of the interruption; 0 outside one */
};

/* A new operation begins here, in user space; true unless an interruption had not ended. */
bool kl_running_start(struct kl_running *run);
/*
 * Before an instruction that is a boundary executes and is counted. `slot` is that
 * instruction's; `r` is NULL outside regions, where only the depth is followed.
 */
void kl_running_at(struct kl_running *run, enum kl_boundary what, uint32_t slot,
                   struct kl_region *r, struct kl_slots *s);
/* What ran since the last call, or since the operation began, was of this side. Only for regions
 * that tell sides apart. */
void kl_running_side(struct kl_running *run, enum kl_side side, struct kl_region *r,
                     struct kl_slots *s);
/* The operation ended, in user space and on that side: hands it to the region. */
void kl_running_mark(struct kl_running *run, enum kl_side side, struct kl_region *r,
                     struct kl_slots *s);

#endif
