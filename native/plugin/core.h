/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The counting core: decides what each instruction adds to, follows the guest's markers and
 * attributes counts to operations. It knows nothing of QEMU's API: the two ABI files
 * translate between that and this header. One vCPU, so no locks and no atomics.
 *
 * What is counted is an instruction *begun*: one that faults is begun again when its handler
 * returns, and counts twice. Under `-icount shift=0` the guest's cycle counter advances by
 * one per instruction *completed*; between two markers it therefore equals kernel + user +
 * REP exactly, in and out of interruptions, less one for each instruction that faulted.
 */
#ifndef KERNLEAP_CORE_H
#define KERNLEAP_CORE_H

#include "target.h"

#define KL_EVENTS 8
/* The events that the core knows by name: they bound interruptions (see running.h). */
enum { KL_EVENT_SCHEDULE = 1, KL_EVENT_SWITCH = 2, KL_EVENT_INTERRUPT = 4, KL_EVENT_FAULT = 5, KL_EVENT_IPI = 7 };
/* Counters live in blocks that never move: generated code holds their addresses. */
#define KL_BLOCK_COUNTERS 4096u

/* Counters of block 0; blocks 1.. hold one counter per instruction address. */
enum kl_total {
    KL_TOTAL_KERNEL = 0,
    KL_TOTAL_USER = 1,
    KL_TOTAL_REP = 2,
    KL_TOTAL_EVENT = 3, /* ... + event id */
    KL_TOTALS = KL_TOTAL_EVENT + KL_EVENTS,
};

/* "Add 1 to counter `index` of block `block`." */
struct kl_add {
    uint32_t block;
    uint32_t index;
};

/* What an ABI file must attach to one instruction, in this order: calls, then adds. */
struct kl_plan {
    enum kl_op marker;  /* call kl_marker() when it executes, unless KL_OP_NONE */
    bool watch_load;    /* call kl_load() with the address that it reads */
    uintptr_t boundary; /* call kl_boundary() with this when it executes, unless 0 */
    unsigned n_adds;
    struct kl_add adds[3];
};

struct kl_setup {
    unsigned abi;       /* plugin API the binary was built for */
    int api_min, api_cur; /* what this QEMU accepts */
    const char *target_name;
    bool system_emulation;
    int smp_vcpus, max_vcpus;
    int argc;
    char **argv;
    /* Returns KL_BLOCK_COUNTERS zeroed counters for block number `block` (blocks are asked
     * for once each, in order), or NULL. They must stay where they are for good. */
    uint64_t *(*new_block)(uint32_t block);
};

/* 0, or -1 after saying on standard error why counting cannot work here. */
int kl_init(const struct kl_setup *setup);

/* True when a translation block at this address needs kl_plan() for its instructions. */
bool kl_wants(uint64_t vaddr);
/* Fills `plan` for one instruction. Call it in order for each instruction of a block. */
void kl_plan(uint64_t vaddr, const uint8_t *bytes, size_t size, struct kl_plan *plan);

/* True when the plugin must now be reset and, after that, call kl_rearmed(). */
bool kl_marker(enum kl_op op);
void kl_boundary(uintptr_t what);
void kl_load(uint64_t vaddr);
void kl_rearmed(void);
void kl_finish(void);

#endif
