/* SPDX-License-Identifier: Apache-2.0
 *
 * One byte through a pipe and, between two processes, another one back.
 */
#include <unistd.h>

#include "../runtime.h"

enum { THERE_READ, THERE_WRITE, BACK_READ, BACK_WRITE };

static void setup(struct ctx *c)
{
	MUST(!pipe(&c->fd[THERE_READ]));
	MUST(!pipe(&c->fd[BACK_READ]));
}

static void op(struct ctx *c)
{
	char byte = 'k';
	MUST(write(c->fd[THERE_WRITE], &byte, 1) == 1);
	MUST(read(c->fd[THERE_READ], &byte, 1) == 1);
}

static void ping(struct ctx *c)
{
	char byte = 'k';
	MUST(write(c->fd[THERE_WRITE], &byte, 1) == 1);
	MUST(read(c->fd[BACK_READ], &byte, 1) == 1);
}

static void pong(struct ctx *c)
{
	char byte;
	MUST(read(c->fd[THERE_READ], &byte, 1) == 1);
	MUST(write(c->fd[BACK_WRITE], &byte, 1) == 1);
}

static const struct workload pipe_workload = {
	.name = "pipe", .setup = setup, .op = op, .ping = ping, .pong = pong};
WORKLOAD(pipe_workload);
