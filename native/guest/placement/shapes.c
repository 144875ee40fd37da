/* SPDX-License-Identifier: Apache-2.0 */
#include "shapes.h"

#include <stdio.h>
#include <string.h>

#include "mailbox.h"

enum { SPIN_UNITS = 4, TURN_UNITS = 4, ITEM_UNITS = 8 };

int alike_seats(struct stage *stage, int groups, int threads, const char *role)
{
	if (groups * threads > MAX_SEATS)
		return -1;
	for (int i = 0; i < groups * threads; i++) {
		stage->seat[i].process = i / threads;
		stage->seat[i].thread = i % threads;
		snprintf(stage->seat[i].role, ROLE, "%s", role);
	}
	return groups * threads;
}

/* spin: threads that compute on the data of their process and never sleep. */

static int spin_seats(struct stage *stage, int groups, int threads)
{
	return alike_seats(stage, groups, threads, "spin");
}

static size_t nothing_shared(int groups, int threads)
{
	(void)groups, (void)threads;
	return 1;
}

static void spin_body(struct stage *stage, struct seat *seat, void *shared, volatile uint32_t *own)
{
	(void)shared;
	for (;;) {
		work(own, SPIN_UNITS);
		look(stage, seat);
	}
}

const struct shape shape_spin = {"spin", spin_seats, nothing_shared, NULL, spin_body};

/* ping-pong: pairs of threads of one process; only one of a pair works at a time. A thread
 * without a partner plays with itself, that is, spins. */

static int pair_seats(struct stage *stage, int groups, int threads)
{
	return alike_seats(stage, groups, threads, "turn");
}

static size_t box_for_each(int groups, int threads)
{
	return (size_t)(groups * threads) * sizeof(struct mailbox);
}

static void pair_body(struct stage *stage, struct seat *seat, void *shared, volatile uint32_t *own)
{
	struct mailbox *box = shared;
	int mine = (int)(seat - stage->seat), theirs = mine + (seat->thread % 2 ? -1 : 1);
	if (theirs >= stage->seats || stage->seat[theirs].process != seat->process)
		spin_body(stage, seat, shared, own);
	uint32_t number = 0;
	if (seat->thread % 2 == 0)
		mailbox_put(&box[theirs], token_make(0));
	for (;;) {
		token_took(stage, seat, mailbox_take(&box[mine]));
		work(own, TURN_UNITS);
		look(stage, seat);
		mailbox_put(&box[theirs], token_make(++number));
	}
}

const struct shape shape_ping_pong = {"ping-pong", pair_seats, box_for_each, NULL, pair_body};

/* pipeline: the threads of a process hand items from one to the next; the first makes them,
 * the last consumes them. A full mailbox holds its sender up. */

static int stage_seats(struct stage *stage, int groups, int threads)
{
	int n = alike_seats(stage, groups, threads, "middle");
	for (int i = 0; i < n; i++)
		if (stage->seat[i].thread == 0)
			strcpy(stage->seat[i].role, "producer");
		else if (stage->seat[i].thread == threads - 1)
			strcpy(stage->seat[i].role, "consumer");
	return n;
}

static void stage_body(struct stage *stage, struct seat *seat, void *shared, volatile uint32_t *own)
{
	struct mailbox *box = shared;
	int mine = (int)(seat - stage->seat), next = mine + 1;
	int last = next >= stage->seats || stage->seat[next].process != seat->process;
	for (uint32_t number = 0;; number++) {
		if (seat->thread)
			token_took(stage, seat, mailbox_take(&box[mine]));
		work(own, ITEM_UNITS);
		look(stage, seat);
		if (!last)
			mailbox_put(&box[next], token_make(number));
	}
}

const struct shape shape_pipeline = {"pipeline", stage_seats, box_for_each, NULL, stage_body};

const struct shape *shape_find(const char *name)
{
	static const struct shape *const all[] = {&shape_spin, &shape_ping_pong, &shape_pipeline,
						  &shape_serving};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(all[i]->name, name))
			return all[i];
	return NULL;
}
