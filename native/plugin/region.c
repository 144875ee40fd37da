/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attributing slots to variants, exactly and cheaply.
 *
 * Every MARK ends an operation whose slot deltas belong to its variant. Reading all slots at
 * every MARK would be exact but slow (a boot translates some 100k kernel addresses). So only
 * *active* lines, those seen to change in this region, are read. That this was enough is
 * proved each time by a checksum: the kernel and REP totals are counted apart from the
 * slots, deltas are never negative, and so if the active deltas add up to the totals' delta
 * no other slot can have changed. Where they do not, all slots are read and the lines that
 * changed become active. No count is ever estimated or carried from one operation to
 * another.
 */
#include "region.h"

#include <stdlib.h>
#include <string.h>

static void free_variant(struct kl_variant *v)
{
    free(v->counts);
    memset(v, 0, sizeof(*v));
}

void kl_region_begin(struct kl_region *r, struct kl_slots *s, uint32_t index)
{
    for (uint32_t i = 0; i < r->n_variants; i++) {
        free_variant(&r->variants[i]);
    }
    free_variant(&r->rest);
    free_variant(&r->pending);
    for (uint32_t i = 0; i < KL_SIDES; i++) {
        free_variant(&r->held[i]);
    }
    for (uint32_t i = 0; i < KL_SIDES_TOLD; i++) {
        free_variant(&r->sides[i]);
    }
    r->n_dirty = 0;
    for (uint32_t i = 0; i < r->n_active; i++) {
        s->line_active[r->active[i]] = 0;
    }
    r->index = index;
    r->flags = 0;
    r->n_ops = r->n_variants = r->last_variant = r->n_active = 0;
    r->profile_bytes = r->pending_sum = 0;
    kl_slots_sync(s);
}

static bool same(const struct kl_signature *a, const struct kl_signature *b)
{
    for (unsigned i = 0; i < KL_EVENTS; i++) {
        if (a->events[i] != b->events[i] && i != KL_EVENT_INTERRUPT && i != KL_EVENT_IPI) {
            return false;
        }
    }
    return a->kernel == b->kernel && a->rep == b->rep;
}

/* The variant with this signature, made if need be; the rest where it has no room. */
static struct kl_variant *variant_of(struct kl_region *r, const struct kl_signature *sig)
{
    struct kl_variant *v;

    if (r->n_variants && same(&r->variants[r->last_variant].sig, sig)) {
        return &r->variants[r->last_variant];
    }
    for (uint32_t i = 0; i < r->n_variants; i++) {
        if (same(&r->variants[i].sig, sig)) {
            r->last_variant = i;
            return &r->variants[i];
        }
    }
    if (r->n_variants == KL_MAX_VARIANTS || r->profile_bytes > KL_MAX_PROFILE_BYTES) {
        r->flags |= KL_FLAG_VARIANTS_MERGED;
        return &r->rest;
    }
    r->last_variant = r->n_variants++;
    v = &r->variants[r->last_variant];
    v->sig = *sig;
    return v;
}

/* Makes the profile as long as the active list. */
static bool extend(struct kl_region *r, struct kl_variant *v)
{
    size_t line_bytes = KL_LINE * sizeof(*v->counts);
    uint32_t lines = r->n_active + r->n_active / 4 + 64;
    uint64_t *longer;

    if (v->lines >= r->n_active && v->counts) {
        return true;
    }
    longer = realloc(v->counts, lines * line_bytes);
    if (!longer) {
        return false;
    }
    memset((char *)longer + v->lines * line_bytes, 0, (lines - v->lines) * line_bytes);
    r->profile_bytes += (lines - v->lines) * line_bytes;
    v->counts = longer;
    v->lines = lines;
    return true;
}

static uint64_t take_line(struct kl_slots *s, uint32_t line, uint64_t *counts)
{
    const uint64_t *now = kl_line_now(s, line);
    uint64_t *seen = s->seen + (size_t)line * KL_LINE;
    uint64_t sum = 0;

    if (memcmp(now, seen, KL_LINE * sizeof(*now)) == 0) {
        return 0;
    }
    for (unsigned j = 0; j < KL_LINE; j++) {
        uint64_t delta = now[j] - seen[j];

        sum += delta;
        counts[j] += delta;
        seen[j] = now[j];
    }
    return sum;
}

/* Adds lines that changed but are not active yet to the active list. */
static bool activate_changed(struct kl_region *r, struct kl_slots *s)
{
    uint32_t lines = kl_lines_used(s);

    for (uint32_t line = 0; line < lines; line++) {
        const uint64_t *seen = s->seen + (size_t)line * KL_LINE;

        if (s->line_active[line] || memcmp(kl_line_now(s, line), seen, KL_LINE * 8) == 0) {
            continue;
        }
        if (r->n_active == r->cap_active) {
            uint32_t cap = r->cap_active ? r->cap_active * 2 : 4096;
            uint32_t *longer = realloc(r->active, cap * sizeof(*longer));

            if (!longer) {
                return false;
            }
            r->active = longer;
            r->cap_active = cap;
        }
        s->line_active[line] = 1;
        r->active[r->n_active++] = line;
    }
    return true;
}

/* Room to remember every active line once more. */
static bool room_for_dirty(struct kl_region *r)
{
    uint32_t cap = r->n_dirty + r->n_active;
    uint32_t *longer;

    if (cap <= r->cap_dirty) {
        return true;
    }
    longer = realloc(r->dirty, 2 * (size_t)cap * sizeof(*longer));
    if (!longer) {
        return false;
    }
    r->dirty = longer;
    r->cap_dirty = 2 * cap;
    return true;
}

static uint64_t take_lines(struct kl_region *r, struct kl_slots *s, struct kl_variant *v,
                           uint32_t first)
{
    bool note = r->sided && v == &r->pending;
    uint64_t sum = 0;

    for (uint32_t i = first; i < r->n_active; i++) {
        uint64_t taken = take_line(s, r->active[i], v->counts + (size_t)i * KL_LINE);

        if (taken && note) {
            r->dirty[r->n_dirty++] = i;
        }
        sum += taken;
    }
    return sum;
}

/* Moves all slot deltas into the profile; `expected` is what they must add up to. */
static bool attribute(struct kl_region *r, struct kl_slots *s, struct kl_variant *v,
                      uint64_t expected)
{
    uint64_t sum;
    uint32_t known = r->n_active;

    if (!extend(r, v) || (r->sided && !room_for_dirty(r))) {
        return false;
    }
    if (!expected) {
        return true; /* no delta is negative: nothing ran */
    }
    sum = take_lines(r, s, v, 0);
    if (sum == expected) {
        return true;
    }
    if (!activate_changed(r, s) || !extend(r, v) || (r->sided && !room_for_dirty(r))) {
        return false;
    }
    sum += take_lines(r, s, v, known);
    if (sum != expected) {
        r->flags |= KL_FLAG_INEXACT;
    }
    return true;
}

static bool room_for_operation(struct kl_region *r)
{
    struct kl_operation *more;
    uint32_t cap;

    if (r->n_ops < r->cap_ops) {
        return true;
    }
    if (r->n_ops == KL_MAX_OPS) {
        r->flags |= KL_FLAG_OPS_DROPPED;
        return false;
    }
    cap = r->cap_ops ? r->cap_ops * 2 : 1024;
    more = realloc(r->ops, cap * sizeof(*more));
    if (!more) {
        r->flags |= KL_FLAG_NO_MEMORY;
        return false;
    }
    r->ops = more;
    r->cap_ops = cap;
    return true;
}

void kl_region_pause(struct kl_region *r, struct kl_slots *s, uint64_t delta)
{
    if (!attribute(r, s, &r->pending, delta)) {
        r->flags |= KL_FLAG_NO_MEMORY;
    }
    r->pending_sum += delta;
}

static void clear(struct kl_variant *v)
{
    if (v->lines) {
        memset(v->counts, 0, (size_t)v->lines * KL_LINE * sizeof(*v->counts));
    }
}

static void forget_pending(struct kl_region *r)
{
    if (r->pending_sum) {
        clear(&r->pending);
        for (unsigned side = 0; side < KL_SIDES; side++) {
            clear(&r->held[side]);
        }
    }
    r->pending_sum = r->n_dirty = 0;
}

void kl_region_side(struct kl_region *r, enum kl_side side)
{
    struct kl_variant *held = &r->held[side];

    if (!extend(r, held)) {
        r->flags |= KL_FLAG_NO_MEMORY;
        return;
    }
    for (uint32_t k = 0; k < r->n_dirty; k++) {
        uint64_t *from = r->pending.counts + (size_t)r->dirty[k] * KL_LINE;
        uint64_t *to = held->counts + (size_t)r->dirty[k] * KL_LINE;

        for (unsigned j = 0; j < KL_LINE; j++) {
            to[j] += from[j];
            from[j] = 0;
        }
    }
    r->n_dirty = 0;
}

void kl_region_discard(struct kl_region *r, struct kl_slots *s)
{
    forget_pending(r);
    kl_slots_sync(s);
}

static void add(struct kl_variant *to, const struct kl_variant *from)
{
    size_t n = (size_t)(from->lines < to->lines ? from->lines : to->lines) * KL_LINE;

    for (size_t i = 0; i < n; i++) {
        to->counts[i] += from->counts[i];
    }
}

/* The profile `v`, as long as the active list by now, takes the pieces before the last. */
static bool add_pending(struct kl_region *r, struct kl_variant *v)
{
    if (r->pending_sum) {
        add(v, &r->pending);
    }
    for (unsigned side = 0; r->sided && side < KL_SIDES; side++) {
        add(v, &r->held[side]);
        if (side < KL_SIDES_TOLD) {
            if (!extend(r, &r->sides[side])) {
                return false;
            }
            add(&r->sides[side], &r->held[side]);
            r->sides[side].operations++;
        }
    }
    forget_pending(r);
    return true;
}

void kl_region_mark(struct kl_region *r, struct kl_slots *s, const struct kl_operation *op)
{
    struct kl_variant *v;

    if (!room_for_operation(r)) {
        kl_region_discard(r, s);
        return;
    }
    v = variant_of(r, &op->sig);
    if (!attribute(r, s, v, op->sig.kernel + op->sig.rep - r->pending_sum) ||
        !add_pending(r, v)) {
        r->flags |= KL_FLAG_NO_MEMORY;
        kl_region_discard(r, s);
    }
    v->operations++;
    r->ops[r->n_ops] = *op;
    r->ops[r->n_ops++].variant = v == &r->rest ? KL_VARIANT_REST : (uint32_t)(v - r->variants);
}

/* The variants that qsort's comparison looks at; one region is ranked at a time. */
static const struct kl_variant *ranked;

static int commoner(const void *pa, const void *pb)
{
    uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

    if (ranked[a].operations != ranked[b].operations) {
        return ranked[a].operations > ranked[b].operations ? -1 : 1;
    }
    return a < b ? -1 : 1;
}

void kl_region_rank(const struct kl_region *r, uint32_t *order)
{
    for (uint32_t i = 0; i < r->n_variants; i++) {
        order[i] = i;
    }
    ranked = r->variants;
    qsort(order, r->n_variants, sizeof(*order), commoner);
}
