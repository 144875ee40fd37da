/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A region in progress: its operations, their variants and the variants' profiles. */
#ifndef KERNLEAP_REGION_H
#define KERNLEAP_REGION_H

#include "core.h"
#include "tasks.h"

#define KL_MAX_OPS 65536u          /* operations recorded per region */
#define KL_MAX_VARIANTS 512u       /* profiles held in memory per region */
#define KL_KEPT_VARIANTS 16u       /* profiles written per region, the commonest */
#define KL_MAX_PROFILE_BYTES (256ull << 20) /* memory of all profiles of a region */
#define KL_LINE 8u                 /* slots per cache line, the unit of scanning */
#define KL_VARIANT_REST UINT32_MAX

/* Region flags in the output: something was bounded, and the reader is told. */
enum {
    KL_FLAG_OPS_DROPPED = 1,       /* more than KL_MAX_OPS operations; the rest unrecorded */
    KL_FLAG_VARIANTS_MERGED = 2,   /* variants beyond the memory bounds went to the rest */
    KL_FLAG_SLOTS_FULL = 4,        /* some addresses are lumped together as address 0 */
    KL_FLAG_INEXACT = 8,           /* a profile does not add up: a defect, never expected */
    KL_FLAG_NO_MEMORY = 16,        /* allocation failed; operations unrecorded */
    KL_FLAG_INTERRUPT_OPEN = 32,   /* user space ran before an interruption had ended */
    KL_FLAG_SWITCH_UNSEEN = 64,    /* a switch without its load: sides are not to be trusted */
};

/* What makes operations one variant, but for interrupts and IPIs among the events: what those
 * did is not in the other counts, so an operation that was hit is like one that was not. */
struct kl_signature {
    uint64_t kernel;
    uint64_t rep;
    uint32_t events[KL_EVENTS];
};

struct kl_operation {
    struct kl_signature sig;
    uint64_t user;
    uint64_t interrupt;            /* kernel and REP inside interruptions */
    uint32_t variant;              /* index into variants, or KL_VARIANT_REST */
    struct kl_side_counts {
        uint64_t kernel, user, rep;
        uint32_t events[KL_EVENTS];
    } by[KL_SIDES_TOLD];           /* what of the above was of which side */
};

struct kl_variant {
    struct kl_signature sig;
    uint32_t operations;
    uint32_t lines;                /* length of counts, in lines */
    uint64_t *counts;              /* counts[i * KL_LINE + j]: slot j of active line i */
};

struct kl_region {
    uint32_t index;
    uint32_t flags;
    uint32_t n_ops, cap_ops;
    struct kl_operation *ops;
    uint32_t n_variants, last_variant;
    struct kl_variant variants[KL_MAX_VARIANTS];
    struct kl_variant rest;        /* operations whose variant has no profile of its own */
    struct kl_variant pending;     /* the running operation, up to its last interruption */
    uint64_t pending_sum;
    bool sided;                    /* tasks are told apart; pending is then what of the */
    struct kl_variant held[KL_SIDES]; /* operation has not moved here, when its side was known */
    struct kl_variant sides[KL_SIDES_TOLD]; /* all operations */
    uint32_t n_dirty, cap_dirty;
    uint32_t *dirty;               /* positions of the lines of pending that may not be zero */
    uint64_t profile_bytes;
    uint32_t n_active, cap_active;
    uint32_t *active;              /* line numbers that ran in this region, in order found */
};

/* Slots: one counter per kernel instruction address. Slots 0 and 1 take what does not fit. */
#define KL_MAX_SLOTS (1u << 20)

struct kl_slots {
    uint32_t used;
    bool full;
    uint64_t *keys;                /* keys[slot]: see slots.c */
    uint64_t **now;                /* now[block]: live counters */
    uint64_t *seen;                /* seen[slot]: value when last attributed */
    uint8_t *line_active;          /* per line: already in region->active */
    uint32_t *table;
    uint32_t table_size;
};

int kl_slots_init(struct kl_slots *s, uint64_t *(*new_block)(uint32_t));
uint32_t kl_slot_of(struct kl_slots *s, uint64_t vaddr, bool repeat);
uint64_t kl_slot_address(const struct kl_slots *s, uint32_t slot);
bool kl_slot_repeats(const struct kl_slots *s, uint32_t slot);
/* Forget everything counted so far. */
void kl_slots_sync(struct kl_slots *s);

static inline uint64_t *kl_line_now(const struct kl_slots *s, uint32_t line)
{
    return s->now[line / (KL_BLOCK_COUNTERS / KL_LINE)] +
           (size_t)(line % (KL_BLOCK_COUNTERS / KL_LINE)) * KL_LINE;
}

static inline uint32_t kl_lines_used(const struct kl_slots *s)
{
    return (s->used + KL_LINE - 1) / KL_LINE;
}

void kl_region_begin(struct kl_region *r, struct kl_slots *s, uint32_t index);
/* The running operation is interrupted; since its last piece it counted `delta`, kernel and
 * REP. The slots must be synced when it goes on. */
void kl_region_pause(struct kl_region *r, struct kl_slots *s, uint64_t delta);
/* What has been paused since the last call, or since the operation began, is of this side. */
void kl_region_side(struct kl_region *r, enum kl_side side);
/* What ran since the last operation belongs to none. */
void kl_region_discard(struct kl_region *r, struct kl_slots *s);
/* The running operation ended as `op`, whose variant this finds. */
void kl_region_mark(struct kl_region *r, struct kl_slots *s, const struct kl_operation *op);
/* Order of variants for output: commonest first, then first seen. Fills order[n_variants]. */
void kl_region_rank(const struct kl_region *r, uint32_t *order);

/* output.c: see its head for the format. Each returns false once writing has failed. */
struct kl_trailer {
    uint32_t regions;
    uint32_t armed;
    uint32_t slots;
    uint32_t event_addresses;
    uint64_t totals[KL_TOTALS];
    uint32_t n_errors;             /* all of them; the first KL_MAX_ERRORS are listed */
    const uint32_t (*errors)[2];   /* (code, region index) */
};
#define KL_MAX_ERRORS 64u

bool kl_output_open(const char *path, const struct kl_setup *setup);
bool kl_output_region(struct kl_region *r, const struct kl_slots *s);
bool kl_output_close(const struct kl_trailer *t);

#endif
