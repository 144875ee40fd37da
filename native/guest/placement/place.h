/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNLEAP_PLACE_H
#define KERNLEAP_PLACE_H

#include <stdint.h>

/* Runs one placement workload as a line of the plan asks for it, and records what came of it:
 * NAME SHAPE GROUPS THREADS SCATTER_MS WINDOW_MS, separated by spaces. Its threads are pinned
 * alternately over the last-level caches for SCATTER_MS, then free for WINDOW_MS. `draw` are random bits
 * of this boot: they choose the processors and the moment to begin. */
void place_run(char *arguments, int region, uint64_t draw);

#endif
