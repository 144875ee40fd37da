/* SPDX-License-Identifier: Apache-2.0
 *
 * A datagram over UDP on loopback and, between two processes, another one back. Both
 * sockets are connected, as those of a client with one server are.
 * param[0]: bytes of a datagram.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "../runtime.h"
#include "loopback.h"

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
	struct sockaddr_in near, far;
	MUST(c->param[0] > 0 && c->param[0] <= MAX_BYTES);
	c->fd[NEAR] = loopback_socket(SOCK_DGRAM, &near);
	c->fd[FAR] = loopback_socket(SOCK_DGRAM, &far);
	MUST(!connect(c->fd[NEAR], (struct sockaddr *)&far, sizeof far));
	MUST(!connect(c->fd[FAR], (struct sockaddr *)&near, sizeof near));
}

static void op(struct ctx *c)
{
	put(c->fd[NEAR], (size_t)c->param[0]);
	take(c->fd[FAR], (size_t)c->param[0]);
}

static void ping(struct ctx *c)
{
	put(c->fd[NEAR], (size_t)c->param[0]);
	take(c->fd[NEAR], (size_t)c->param[0]);
}

static void pong(struct ctx *c)
{
	take(c->fd[FAR], (size_t)c->param[0]);
	put(c->fd[FAR], (size_t)c->param[0]);
}

static const struct workload udp_workload = {
	.name = "udp", .setup = setup, .op = op, .ping = ping, .pong = pong};
WORKLOAD(udp_workload);
