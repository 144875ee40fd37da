/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "region.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A key is the address with bit 63 kept for plain instructions and cleared for repeated ones
 * (kernel addresses always have it set, so nothing is lost and 0 stays free for overflow).
 */
#define PLAIN_BIT (1ull << 63)
#define FIRST_TABLE (1u << 16)

static uint64_t *(*get_block)(uint32_t);

static uint32_t hash(uint64_t key)
{
    return (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32);
}

static void place(struct kl_slots *s, uint32_t slot)
{
    uint32_t i = hash(s->keys[slot]) & (s->table_size - 1);

    while (s->table[i]) {
        i = (i + 1) & (s->table_size - 1);
    }
    s->table[i] = slot;
}

static bool grow_table(struct kl_slots *s)
{
    uint32_t *bigger = calloc((size_t)s->table_size * 2, sizeof(*bigger));

    if (!bigger) {
        return false;
    }
    free(s->table);
    s->table = bigger;
    s->table_size *= 2;
    for (uint32_t slot = 2; slot < s->used; slot++) {
        place(s, slot);
    }
    return true;
}

/* Makes sure that the block of this slot exists. Slot blocks start at block number 1. */
static bool back(struct kl_slots *s, uint32_t slot)
{
    uint32_t block = slot / KL_BLOCK_COUNTERS;

    if (!s->now[block]) {
        s->now[block] = get_block(block + 1);
    }
    return s->now[block] != NULL;
}

int kl_slots_init(struct kl_slots *s, uint64_t *(*new_block)(uint32_t))
{
    /* Untouched pages of these cost nothing, so the bounds need no growing code. */
    get_block = new_block;
    s->keys = calloc(KL_MAX_SLOTS, sizeof(*s->keys));
    s->seen = calloc(KL_MAX_SLOTS, sizeof(*s->seen));
    s->now = calloc(KL_MAX_SLOTS / KL_BLOCK_COUNTERS, sizeof(*s->now));
    s->line_active = calloc(KL_MAX_SLOTS / KL_LINE, 1);
    s->table = calloc(FIRST_TABLE, sizeof(*s->table));
    s->table_size = FIRST_TABLE;
    s->used = 2;
    return s->keys && s->seen && s->now && s->line_active && s->table ? 0 : -1;
}

uint32_t kl_slot_of(struct kl_slots *s, uint64_t vaddr, bool repeat)
{
    uint64_t key = repeat ? vaddr & ~PLAIN_BIT : vaddr | PLAIN_BIT;
    uint32_t i = hash(key) & (s->table_size - 1);

    while (s->table[i]) {
        if (s->keys[s->table[i]] == key) {
            return s->table[i];
        }
        i = (i + 1) & (s->table_size - 1);
    }
    if (s->used == KL_MAX_SLOTS || !back(s, s->used) ||
        (s->used * 2 >= s->table_size && !grow_table(s))) {
        s->full = true;
        return repeat ? 1 : 0;
    }
    s->keys[s->used] = key;
    place(s, s->used);
    return s->used++;
}

uint64_t kl_slot_address(const struct kl_slots *s, uint32_t slot)
{
    return slot < 2 ? 0 : s->keys[slot] | PLAIN_BIT;
}

bool kl_slot_repeats(const struct kl_slots *s, uint32_t slot)
{
    return slot < 2 ? slot == 1 : !(s->keys[slot] & PLAIN_BIT);
}

void kl_slots_sync(struct kl_slots *s)
{
    for (uint32_t slot = 0; slot < s->used; slot += KL_BLOCK_COUNTERS) {
        uint32_t n = s->used - slot < KL_BLOCK_COUNTERS ? s->used - slot : KL_BLOCK_COUNTERS;

        if (s->now[slot / KL_BLOCK_COUNTERS]) {
            memcpy(s->seen + slot, s->now[slot / KL_BLOCK_COUNTERS], n * sizeof(*s->seen));
        }
    }
}
