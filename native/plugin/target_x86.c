/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target.h"

/* x86-64: the kernel owns the upper half of the address space. */
static bool x86_is_kernel(uint64_t vaddr)
{
    return vaddr >> 63;
}

/*
 * The marker is `nopl imm32(%rax)` = 0f 1f 80 imm32: it changes nothing, its displacement
 * carries the operation. Kernels are full of seven-byte nops with displacement 0, so the
 * whole immediate must match.
 */
static enum kl_op x86_marker(const uint8_t *b, size_t size)
{
    uint32_t imm;

    if (size != 7 || b[0] != 0x0f || b[1] != 0x1f || b[2] != 0x80) {
        return KL_OP_NONE;
    }
    imm = (uint32_t)b[3] | (uint32_t)b[4] << 8 | (uint32_t)b[5] << 16 | (uint32_t)b[6] << 24;
    if (imm <= KL_MARKER_MAGIC || imm > (KL_MARKER_MAGIC | KL_OP_LAST)) {
        return KL_OP_NONE;
    }
    return (enum kl_op)(imm & 0xffff);
}

/* F3 or F2, among other legacy prefixes, an optional REX, then a string opcode. */
static bool x86_is_repeat(const uint8_t *b, size_t size)
{
    bool repeat = false;
    size_t i = 0;

    for (; i < size; i++) {
        switch (b[i]) {
        case 0xf2:
        case 0xf3:
            repeat = true;
            continue;
        case 0x66: /* operand size */
        case 0x67: /* address size */
        case 0x26: /* segments */
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
            continue;
        }
        break;
    }
    if (!repeat) {
        return false;
    }
    if (i < size && (b[i] & 0xf0) == 0x40) {
        i++;
    }
    if (i + 1 != size) {
        return false; /* string instructions end with their opcode byte */
    }
    return (b[i] >= 0xa4 && b[i] <= 0xa7) || (b[i] >= 0xaa && b[i] <= 0xaf) ||
           (b[i] >= 0x6c && b[i] <= 0x6f);
}

/* iretq; 64-bit kernels return from interrupts with no other form. */
static bool x86_is_interrupt_return(const uint8_t *b, size_t size)
{
    return size == 2 && b[0] == 0x48 && b[1] == 0xcf;
}

/* mov disp32(%rsi), %rsp in __switch_to_asm(prev, next): compilers never load a stack pointer. */
static bool x86_is_switch_load(const uint8_t *b, size_t size)
{
    return size == 7 && b[0] == 0x48 && b[1] == 0x8b && b[2] == 0xa6;
}

const struct kl_target kl_target_x86 = {
    .name = "x86_64",
    .max_insn_bytes = 15,
    .ipi_is_entry = true,
    .is_kernel = x86_is_kernel,
    .marker = x86_marker,
    .is_repeat = x86_is_repeat,
    .is_interrupt_return = x86_is_interrupt_return,
    .is_switch_load = x86_is_switch_load,
};
