/* SPDX-License-Identifier: Apache-2.0
 *
 * The two futex calls, for words shared between processes.
 */
#ifndef KERNLEAP_FUTEX_CALL_H
#define KERNLEAP_FUTEX_CALL_H

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../runtime.h"

/* Wakes one waiter; returns how many there were, or -1. */
static inline long futex_wake(_Atomic uint32_t *word)
{
	return syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Sleeps while the word is `expected`. Returns 1 when woken, 0 when the word had another
 * value (or a signal came): look at the word again in both cases. */
static inline int futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
	if (!syscall(SYS_futex, word, FUTEX_WAIT, expected, NULL, NULL, 0))
		return 1;
	MUST(errno == EAGAIN || errno == EINTR);
	return 0;
}

#endif
