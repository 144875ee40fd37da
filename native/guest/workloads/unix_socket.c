/* SPDX-License-Identifier: Apache-2.0
 *
 * A message through a pair of unix sockets and, between two processes, another one back.
 * param[0]: the socket type by number (1 stream, 2 datagram, 5 seqpacket).
 * param[1]: bytes of a message.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "../runtime.h"

enum { NEAR, FAR, MAX_BYTES = 4096 };

static char message[MAX_BYTES];

static void put(int fd, size_t bytes)
{
	MUST(write(fd, message, bytes) == (ssize_t)bytes);
}

static void take(int fd, size_t bytes)
{
	MUST(read(fd, message, bytes) == (ssize_t)bytes);
}

static void setup(struct ctx *c)
{
	MUST(c->param[1] > 0 && c->param[1] <= MAX_BYTES);
	MUST(!socketpair(AF_UNIX, (int)c->param[0] | SOCK_CLOEXEC, 0, &c->fd[NEAR]));
}

static void op(struct ctx *c)
{
	put(c->fd[NEAR], (size_t)c->param[1]);
	take(c->fd[FAR], (size_t)c->param[1]);
}

static void ping(struct ctx *c)
{
	put(c->fd[NEAR], (size_t)c->param[1]);
	take(c->fd[NEAR], (size_t)c->param[1]);
}

static void pong(struct ctx *c)
{
	take(c->fd[FAR], (size_t)c->param[1]);
	put(c->fd[FAR], (size_t)c->param[1]);
}

static const struct workload unix_workload = {
	.name = "unix-socket", .setup = setup, .op = op, .ping = ping, .pong = pong};
WORKLOAD(unix_workload);
