/* SPDX-License-Identifier: Apache-2.0
 *
 * No evidence, but a proof of the counter: a page through a pipe, which executes user and
 * kernel instructions and string copies, between readings of the emulated cycle counter.
 */
#include <unistd.h>

#include "../runtime.h"

static char page[4096];

static void setup(struct ctx *c)
{
	MUST(!pipe(c->fd));
}

static void op(struct ctx *c)
{
	MUST(write(c->fd[1], page, sizeof page) == sizeof page);
	MUST(read(c->fd[0], page, sizeof page) == sizeof page);
}

static const struct workload selfcheck_workload = {
	.name = "selfcheck", .setup = setup, .op = op, .record_ticks = 1};
WORKLOAD(selfcheck_workload);
