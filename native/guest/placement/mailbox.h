/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of tokens in shared memory for one sender and one receiver; a futex only for the one
 * who would otherwise spin. Threads of one process and of several use it alike.
 */
#ifndef KERNLEAP_MAILBOX_H
#define KERNLEAP_MAILBOX_H

#include <stdalign.h>

#include "../workloads/futex_call.h"
#include "stage.h"

enum { MAIL_SLOTS = 16, MAIL_LINE = 64 };

struct mailbox {
	alignas(MAIL_LINE) _Atomic uint32_t head; /* tokens put */
	_Atomic uint32_t hungry;                  /* the receiver sleeps on head */
	alignas(MAIL_LINE) _Atomic uint32_t tail; /* tokens taken */
	_Atomic uint32_t full;                    /* the sender sleeps on tail */
	alignas(MAIL_LINE) struct token slot[MAIL_SLOTS];
};

static inline void mailbox_put(struct mailbox *box, struct token token)
{
	uint32_t head = atomic_load(&box->head), tail;
	while (head - (tail = atomic_load(&box->tail)) == MAIL_SLOTS) {
		atomic_store(&box->full, 1);
		if (atomic_load(&box->tail) == tail)
			futex_wait(&box->tail, tail);
	}
	box->slot[head % MAIL_SLOTS] = token;
	atomic_store(&box->head, head + 1);
	if (atomic_exchange(&box->hungry, 0))
		futex_wake(&box->head);
}

/* Whether one waits; never sleeps. */
static inline int mailbox_ready(struct mailbox *box)
{
	return atomic_load(&box->head) != atomic_load(&box->tail);
}

static inline struct token mailbox_take(struct mailbox *box)
{
	uint32_t tail = atomic_load(&box->tail);
	while (atomic_load(&box->head) == tail) {
		atomic_store(&box->hungry, 1);
		if (atomic_load(&box->head) == tail)
			futex_wait(&box->head, tail);
	}
	struct token token = box->slot[tail % MAIL_SLOTS];
	atomic_store(&box->tail, tail + 1);
	if (atomic_exchange(&box->full, 0))
		futex_wake(&box->tail);
	return token;
}

#endif
