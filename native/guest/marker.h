/* SPDX-License-Identifier: Apache-2.0
 *
 * Markers: instructions without effect that the counting plugin recognises by their bytes.
 * Only user space executes them, so the kernel under test never knows that it is counted.
 */
#ifndef KERNLEAP_MARKER_H
#define KERNLEAP_MARKER_H

#include <stdint.h>

#if defined(__x86_64__)
/* nopl imm32(%rax), imm32 = 'K''L' << 16 | op */
#define KL_STR2(x) #x
#define KL_STR(x) KL_STR2(x)
#define KL_MARK(op)                                                                        \
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80\n\t.long 0x4b4c0000 + " KL_STR(op)::      \
				 : "memory")
/* The marker and the load that carries 16 bits in its address, in one block. */
static inline void kl_send16(const unsigned char *window, uint16_t value)
{
	unsigned int sink;
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80\n\t.long 0x4b4c0005\n\tmovzbl (%1), %0"
			 : "=r"(sink)
			 : "r"(window + value)
			 : "memory");
	(void)sink;
}
/* Instructions that one tick takes under the lab's clock. */
static inline unsigned kl_tick_step(void)
{
	return 1;
}
static inline uint64_t kl_ticks(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}
#elif defined(__aarch64__)
/* movz xzr, #('K' << 8 | op), lsl #32: a write to the register that is always zero. */
#define KL_STR2(x) #x
#define KL_STR(x) KL_STR2(x)
#define KL_MARK(op) __asm__ volatile("movz xzr, #0x4b00 + " KL_STR(op) ", lsl #32" ::: "memory")
static inline void kl_send16(const unsigned char *window, uint16_t value)
{
	unsigned int sink;
	__asm__ volatile("movz xzr, #0x4b05, lsl #32\n\tldrb %w0, [%1]"
			 : "=r"(sink)
			 : "r"(window + value)
			 : "memory");
	(void)sink;
}
/* The system counter; slower than an instruction, see kernleap/machine/selfcheck.py. No barrier:
 * the emulator executes in order. */
static inline unsigned kl_tick_step(void)
{
	uint64_t hertz;
	__asm__("mrs %0, cntfrq_el0" : "=r"(hertz));
	return (unsigned)(1000000000 / hertz);
}
static inline uint64_t kl_ticks(void)
{
	uint64_t ticks;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks)::"memory");
	return ticks;
}
#else
#error "no marker for this architecture yet"
#endif

enum { KL_ARM_OP = 1, KL_BEGIN_OP = 2, KL_MARK_OP = 3, KL_END_OP = 4, KL_SEND_OP = 5, KL_RESUME_OP = 6, KL_SERVICE_OP = 7 };
#define KL_ARM() KL_MARK(1)
#define KL_BEGIN() KL_MARK(2)
#define KL_OPERATION() KL_MARK(3)
#define KL_END() KL_MARK(4)
/* What ran since the last marker belongs to no operation. */
#define KL_RESUME() KL_MARK(6)
/* From here on tasks are told apart: whoever begins a region is its client, and everybody else
 * who runs in user space, but for the process that executes this, is the server. */
#define KL_SERVICE() KL_MARK(7)

#endif
