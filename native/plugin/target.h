/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the counting core must know about an instruction set. Everything that depends on the
 * guest's architecture sits behind this table; a new target is one more file and one more row
 * in target.c.
 */
#ifndef KERNLEAP_TARGET_H
#define KERNLEAP_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kl_op {
    KL_OP_NONE = 0,
    KL_OP_ARM = 1,
    KL_OP_BEGIN = 2,
    KL_OP_MARK = 3,
    KL_OP_END = 4,
    KL_OP_SEND = 5,
    KL_OP_RESUME = 6,
    KL_OP_SERVICE = 7,
    KL_OP_LAST = KL_OP_SERVICE,
};

/* High half of a marker's immediate ("KL"); the low half is the operation. Where an instruction
 * has less room, target_*.c says what is left of it. */
#define KL_MARKER_MAGIC 0x4B4C0000u

struct kl_target {
    const char *name; /* as in qemu_info_t.target_name */
    /* Longest instruction, in bytes: how much of one an ABI file must be able to hand over. */
    size_t max_insn_bytes;
    /* True where an interrupt from another processor enters the kernel by an address of its own
     * (event 7); false where that event happens inside what event 4 entered. */
    bool ipi_is_entry;
    bool (*is_kernel)(uint64_t vaddr);
    /* The marker this instruction is, or KL_OP_NONE. Only asked about user-space addresses. */
    enum kl_op (*marker)(const uint8_t *bytes, size_t size);
    /* True where the emulator executes one iteration of a repeated string operation per
     * counted instruction. Such iterations are never part of an instruction count. */
    bool (*is_repeat)(const uint8_t *bytes, size_t size);
    /* True for the instruction that ends a kernel's handling of an interrupt or a fault. */
    bool (*is_interrupt_return)(const uint8_t *bytes, size_t size);
    /* True for the load by which a context switch takes the next task's stack (or, on the way to
     * it, its return address) out of that task's structure: each task has it at an address of
     * its own, and each switch executes it once. */
    bool (*is_switch_load)(const uint8_t *bytes, size_t size);
};

#define KL_MAX_INSN_BYTES 16

extern const struct kl_target kl_target_x86, kl_target_arm64;

/* NULL when counting does not know this target. */
const struct kl_target *kl_target_find(const char *name);

#endif
