/* SPDX-License-Identifier: Apache-2.0
 *
 * The futex itself. One process: a wake that finds nobody, and a wait that finds the word
 * changed already. Two processes: each hands the turn to the other through one shared word.
 */
#include "futex_call.h"

#include <stdatomic.h>

#include "../runtime.h"

enum { MINE, THEIRS };

static void setup(struct ctx *c)
{
	c->state = shared_block(sizeof(_Atomic uint32_t));
}

static void op(struct ctx *c)
{
	_Atomic uint32_t *turn = c->state;
	MUST(futex_wake(turn) == 0);
	MUST(!futex_wait(turn, THEIRS));
}

static void hand_over(_Atomic uint32_t *turn, uint32_t to)
{
	atomic_store(turn, to);
	MUST(futex_wake(turn) >= 0);
}

static void await(_Atomic uint32_t *turn, uint32_t wanted, uint32_t other)
{
	while (atomic_load(turn) != wanted)
		futex_wait(turn, other);
}

static void ping(struct ctx *c)
{
	hand_over(c->state, THEIRS);
	await(c->state, MINE, THEIRS);
}

static void pong(struct ctx *c)
{
	await(c->state, THEIRS, MINE);
	hand_over(c->state, MINE);
}

static const struct workload futex_workload = {
	.name = "futex", .setup = setup, .op = op, .ping = ping, .pong = pong};
WORKLOAD(futex_workload);
