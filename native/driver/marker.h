/* SPDX-License-Identifier: Apache-2.0
 *
 * The guest's markers around the measured window: instructions without effect (see
 * native/guest/marker.h), which the counting plugin sees and a host's processor skips.
 */
#ifndef KERNLEAP_DRIVER_MARKER_H
#define KERNLEAP_DRIVER_MARKER_H

#include <stdbool.h>

#if defined(__x86_64__) || defined(__aarch64__)
#include "../guest/marker.h"
enum { MARKERS = true };
static inline void marker_begin(void) { KL_BEGIN(); }
static inline void marker_operation(void) { KL_OPERATION(); }
static inline void marker_end(void) { KL_END(); }
#else
enum { MARKERS = false }; /* nothing counts on this architecture yet */
static inline void marker_begin(void) {}
static inline void marker_operation(void) {}
static inline void marker_end(void) {}
#endif

#endif
