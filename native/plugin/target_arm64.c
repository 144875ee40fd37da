/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target.h"

static uint32_t word_of(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* The upper half of the address space (TTBR1) is the kernel's; tags are gone from a PC. */
static bool arm64_is_kernel(uint64_t vaddr)
{
    return vaddr >> 63;
}

/*
 * The marker is `movz xzr, #imm16, lsl #32`: it writes the register that is always zero, which
 * no compiler emits. The immediate's high byte is the 'K' of the magic, its low one the
 * operation.
 */
static enum kl_op arm64_marker(const uint8_t *b, size_t size)
{
    uint32_t immediate;

    if (size != 4 || (word_of(b) & 0xffe0001fu) != 0xd2c0001fu) {
        return KL_OP_NONE;
    }
    immediate = word_of(b) >> 5 & 0xffff;
    if (immediate >> 8 != KL_MARKER_MAGIC >> 24 || (immediate & 0xff) > KL_OP_LAST) {
        return KL_OP_NONE;
    }
    return (enum kl_op)(immediate & 0xff);
}

/*
 * No instruction repeats by itself, but two kinds do as much as many: `dc zva` clears a line of
 * the cache, and the memory copy instructions (FEAT_MOPS, which the lab's CPU model lacks) move
 * a page at a time. Both count as the one instruction they are.
 */
static bool arm64_is_repeat(const uint8_t *b, size_t size)
{
    (void)b, (void)size;
    return false;
}

/* eret. System calls return with it too, but not while an interruption is being followed. */
static bool arm64_is_interrupt_return(const uint8_t *b, size_t size)
{
    return size == 4 && word_of(b) == 0xd69f03e0u;
}

/* ldr x30, [x8] in cpu_switch_to(prev, next), the last of its loads; compilers take the return
 * address from the stack. */
static bool arm64_is_switch_load(const uint8_t *b, size_t size)
{
    return size == 4 && word_of(b) == 0xf940011eu;
}

const struct kl_target kl_target_arm64 = {
    .name = "aarch64",
    .max_insn_bytes = 4,
    .ipi_is_entry = false,
    .is_kernel = arm64_is_kernel,
    .marker = arm64_marker,
    .is_repeat = arm64_is_repeat,
    .is_interrupt_return = arm64_is_interrupt_return,
    .is_switch_load = arm64_is_switch_load,
};
