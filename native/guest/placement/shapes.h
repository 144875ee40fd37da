/* SPDX-License-Identifier: Apache-2.0
 *
 * The shapes of placement workloads: which processes there are, and what their threads do.
 */
#ifndef KERNLEAP_SHAPES_H
#define KERNLEAP_SHAPES_H

#include "stage.h"

struct shape {
	const char *name;
	/* Fills in process, thread and role of the seats for `groups` groups of `threads` each
	 * (what a group is, is the shape's own). Returns how many seats, -1 if they do not fit. */
	int (*seats)(struct stage *stage, int groups, int threads);
	/* Bytes of memory that the shape's processes share, mapped before they are forked. */
	size_t (*shared)(int groups, int threads);
	/* Before the processes are forked: sockets, rings. May be NULL. */
	int (*prepare)(struct stage *stage, void *shared, int groups, int threads);
	/* A thread's endless work. `own` is SHARED_WORDS words of its process. */
	void (*body)(struct stage *stage, struct seat *seat, void *shared, volatile uint32_t *own);
};

const struct shape *shape_find(const char *name);

extern const struct shape shape_spin, shape_ping_pong, shape_pipeline, shape_serving;

/* Seats for processes that are all alike. */
int alike_seats(struct stage *stage, int groups, int threads, const char *role);

#endif
