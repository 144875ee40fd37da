/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The output file. Little-endian, no padding, version 3:
 *
 *   header   8 bytes "KLCOUNT\n", u32 version, u32 plugin API built for, i32 QEMU's minimum
 *            and i32 current plugin API, u32 number of events, 36 bytes target name (NUL
 *            padded): 64 bytes in all
 *   records  u32 kind, u64 bytes that follow, then:
 *   kind 1   a region: u32 index, flags, operations, variants kept, variants seen,
 *            operations in the rest, addresses, sides (0: not told apart; or 2: server, client);
 *            then the arrays
 *              u64 kernel[operations], user[operations], rep[operations],
 *                interrupt[operations]     (kernel and rep inside interruptions: apart)
 *              u32 events[operations][8]
 *              i32 variant[operations]       (-1: in the rest)
 *              u64 address[addresses], u8 repeat[addresses]
 *            then each variant kept, commonest first, then the rest:
 *              u32 operations, u32 entries, u32 place[entries] (into address),
 *              u64 count[entries]
 *            then for each side:
 *              u64 kernel[operations], user[operations], rep[operations],
 *              u32 events[operations][8], and its profile, as a variant's
 *   kind 2   the trailer, last: u32 regions written, armed, slots, event addresses, errors,
 *            errors listed; u64 totals kernel, user, rep, events[8] (interruptions
 *            included); (u32 code, u32 region) for each error listed; 8 bytes "KLEND..\n"
 *
 * A region is written when it ends. A file without its trailer is from a run that was cut
 * short, and readers refuse it.
 */
#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT_VERSION 3u

static int fd = -1;

/* One record, built in memory so that its length is known before it is written. */
static struct {
    uint8_t *data;
    size_t used, capacity;
    bool failed;
} buf;

static void put(const void *data, size_t size)
{
    if (buf.failed) {
        return;
    }
    if (buf.capacity - buf.used < size) {
        size_t capacity = (buf.used + size) * 2;
        uint8_t *longer = realloc(buf.data, capacity);

        if (!longer) {
            fprintf(stderr, "kernleap: no memory to write counts\n");
            buf.failed = true;
            return;
        }
        buf.data = longer;
        buf.capacity = capacity;
    }
    memcpy(buf.data + buf.used, data, size);
    buf.used += size;
}

/* Hosts that TCG runs on here are little-endian; the header check below makes sure. */
static void put32(uint32_t value)
{
    put(&value, sizeof(value));
}

static void put64(uint64_t value)
{
    put(&value, sizeof(value));
}

static bool flush(void)
{
    size_t done = 0;

    if (buf.failed || fd < 0) {
        return false;
    }
    while (done < buf.used) {
        ssize_t n = write(fd, buf.data + done, buf.used - done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            fprintf(stderr, "kernleap: cannot write counts: %s\n", strerror(errno));
            buf.failed = true;
            return false;
        }
        done += (size_t)n;
    }
    buf.used = 0;
    return true;
}

static void open_record(uint32_t kind)
{
    buf.used = 0;
    put32(kind);
    put64(0);
}

static bool close_record(void)
{
    uint64_t size = buf.used - 12;

    if (!buf.failed) {
        memcpy(buf.data + 4, &size, sizeof(size));
    }
    return flush();
}

bool kl_output_open(const char *path, const struct kl_setup *setup)
{
    static const uint32_t one = 1;
    char target[36] = "";

    if (*(const uint8_t *)&one != 1) {
        fprintf(stderr, "kernleap: big-endian hosts are not supported\n");
        return false;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        fprintf(stderr, "kernleap: cannot open %s: %s\n", path, strerror(errno));
        return false;
    }
    strncpy(target, setup->target_name, sizeof(target) - 1);
    put("KLCOUNT\n", 8);
    put32(FORMAT_VERSION);
    put32(setup->abi);
    put32((uint32_t)setup->api_min);
    put32((uint32_t)setup->api_cur);
    put32(KL_EVENTS);
    put(target, sizeof(target));
    return flush();
}

static uint64_t count_at(const struct kl_variant *v, uint32_t place)
{
    return place < v->lines * KL_LINE ? v->counts[place] : 0;
}

/* `place_of` maps a position of the region's active slots to a row of its address table. */
static void put_profile(const struct kl_variant *v, const uint32_t *place_of, uint32_t n)
{
    uint32_t entries = 0;

    for (uint32_t i = 0; i < n; i++) {
        entries += count_at(v, i) != 0;
    }
    put32(v->operations);
    put32(entries);
    for (uint32_t i = 0; i < n; i++) {
        if (count_at(v, i)) {
            put32(place_of[i]);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        if (count_at(v, i)) {
            put64(count_at(v, i));
        }
    }
}

/* Folds the variants that are not kept into the rest. */
static bool fold(struct kl_region *r, const uint32_t *order, uint32_t kept, uint32_t n)
{
    if (r->rest.lines * KL_LINE < n) {
        uint64_t *counts = realloc(r->rest.counts, n * sizeof(*counts));

        if (!counts) {
            return false;
        }
        memset(counts + r->rest.lines * KL_LINE, 0,
               (n - r->rest.lines * KL_LINE) * sizeof(*counts));
        r->rest.counts = counts;
        r->rest.lines = n / KL_LINE;
    }
    for (uint32_t k = kept; k < r->n_variants; k++) {
        const struct kl_variant *v = &r->variants[order[k]];

        for (uint32_t i = 0; i < n; i++) {
            r->rest.counts[i] += count_at(v, i);
        }
        r->rest.operations += v->operations;
    }
    return true;
}

static void put_operations(const struct kl_region *r, const int32_t *rank)
{
    for (uint32_t i = 0; i < r->n_ops; i++) {
        put64(r->ops[i].sig.kernel);
    }
    for (uint32_t i = 0; i < r->n_ops; i++) {
        put64(r->ops[i].user);
    }
    for (uint32_t i = 0; i < r->n_ops; i++) {
        put64(r->ops[i].sig.rep);
    }
    for (uint32_t i = 0; i < r->n_ops; i++) {
        put64(r->ops[i].interrupt);
    }
    for (uint32_t i = 0; i < r->n_ops; i++) {
        put(r->ops[i].sig.events, sizeof(r->ops[i].sig.events));
    }
    for (uint32_t i = 0; i < r->n_ops; i++) {
        uint32_t v = r->ops[i].variant;

        put32(v == KL_VARIANT_REST ? UINT32_MAX : (uint32_t)rank[v]);
    }
}

/* What of each operation was of one side, and that side's profile over all of them. */
static void put_side(const struct kl_region *r, unsigned side, const uint32_t *place_of, uint32_t n)
{
    for (uint32_t i = 0; i < r->n_ops; i++) {
        put64(r->ops[i].by[side].kernel);
    }
    for (uint32_t i = 0; i < r->n_ops; i++) {
        put64(r->ops[i].by[side].user);
    }
    for (uint32_t i = 0; i < r->n_ops; i++) {
        put64(r->ops[i].by[side].rep);
    }
    for (uint32_t i = 0; i < r->n_ops; i++) {
        put(r->ops[i].by[side].events, sizeof(r->ops[i].by[side].events));
    }
    put_profile(&r->sides[side], place_of, n);
}

bool kl_output_region(struct kl_region *r, const struct kl_slots *s)
{
    static uint32_t order[KL_MAX_VARIANTS];
    static int32_t rank[KL_MAX_VARIANTS];
    uint32_t n = r->n_active * KL_LINE, addresses = 0;
    uint32_t kept = r->n_variants < KL_KEPT_VARIANTS ? r->n_variants : KL_KEPT_VARIANTS;
    uint32_t *place_of = malloc((n + 1) * sizeof(*place_of));

    kl_region_rank(r, order);
    for (uint32_t k = 0; k < r->n_variants; k++) {
        rank[order[k]] = k < kept ? (int32_t)k : -1;
    }
    if (!place_of || !fold(r, order, kept, n)) {
        fprintf(stderr, "kernleap: no memory to write counts\n");
        free(place_of);
        buf.failed = true;
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t any = count_at(&r->rest, i);

        for (uint32_t k = 0; k < kept && !any; k++) {
            any = count_at(&r->variants[order[k]], i);
        }
        place_of[i] = any ? addresses++ : UINT32_MAX;
    }
    open_record(1);
    put32(r->index);
    put32(r->flags | (s->full ? KL_FLAG_SLOTS_FULL : 0));
    put32(r->n_ops);
    put32(kept);
    put32(r->n_variants);
    put32(r->rest.operations);
    put32(addresses);
    put32(r->sided ? KL_SIDES_TOLD : 0);
    put_operations(r, rank);
    for (uint32_t i = 0; i < n; i++) {
        if (place_of[i] != UINT32_MAX) {
            put64(kl_slot_address(s, r->active[i / KL_LINE] * KL_LINE + i % KL_LINE));
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        if (place_of[i] != UINT32_MAX) {
            uint8_t repeats = kl_slot_repeats(s, r->active[i / KL_LINE] * KL_LINE + i % KL_LINE);

            put(&repeats, 1);
        }
    }
    for (uint32_t k = 0; k < kept; k++) {
        put_profile(&r->variants[order[k]], place_of, n);
    }
    put_profile(&r->rest, place_of, n);
    for (unsigned side = 0; r->sided && side < KL_SIDES_TOLD; side++) {
        put_side(r, side, place_of, n);
    }
    free(place_of);
    return close_record();
}

bool kl_output_close(const struct kl_trailer *t)
{
    uint32_t listed = t->n_errors < KL_MAX_ERRORS ? t->n_errors : KL_MAX_ERRORS;

    if (buf.failed || fd < 0) {
        return false;
    }
    open_record(2);
    put32(t->regions);
    put32(t->armed);
    put32(t->slots);
    put32(t->event_addresses);
    put32(t->n_errors);
    put32(listed);
    put(t->totals, sizeof(t->totals));
    put(t->errors, listed * sizeof(t->errors[0]));
    put("KLEND..\n", 8);
    if (!close_record() || close(fd) != 0) {
        fprintf(stderr, "kernleap: the counts are incomplete\n");
        return false;
    }
    fd = -1;
    return true;
}
