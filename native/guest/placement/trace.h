/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's own account of a placement workload: hist triggers of tracefs, over all threads
 * whose name begins with TRACED.
 */
#ifndef KERNLEAP_TRACE_H
#define KERNLEAP_TRACE_H

#include <stdint.h>

#define TRACED "kp"

/* Mounts tracefs and sets the triggers, once in a boot: they stay, as taking them away makes a
 * busy guest wait for all its processors for many seconds. Returns NULL, or what the kernel does
 * not offer. */
const char *trace_prepare(void);
/* Forgets what has been counted so far. Returns the moment (CLOCK_MONOTONIC). */
uint64_t trace_half(void);
/* Ends the account that trace_half began; the moment too. */
uint64_t trace_full(void);
/* Records its rows. */
void trace_record(int region);

#endif
