/* SPDX-License-Identifier: Apache-2.0
 *
 * A count through an eventfd and, between two processes, another one back.
 */
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../runtime.h"

enum { THERE, BACK };

static void put(int fd)
{
	uint64_t one = 1;
	MUST(write(fd, &one, sizeof one) == sizeof one);
}

static void take(int fd)
{
	uint64_t count;
	MUST(read(fd, &count, sizeof count) == sizeof count);
}

static void setup(struct ctx *c)
{
	MUST((c->fd[THERE] = eventfd(0, EFD_CLOEXEC)) >= 0);
	MUST((c->fd[BACK] = eventfd(0, EFD_CLOEXEC)) >= 0);
}

static void op(struct ctx *c)
{
	put(c->fd[THERE]);
	take(c->fd[THERE]);
}

static void ping(struct ctx *c)
{
	put(c->fd[THERE]);
	take(c->fd[BACK]);
}

static void pong(struct ctx *c)
{
	take(c->fd[THERE]);
	put(c->fd[BACK]);
}

static const struct workload eventfd_workload = {
	.name = "eventfd", .setup = setup, .op = op, .ping = ping, .pong = pong};
WORKLOAD(eventfd_workload);
