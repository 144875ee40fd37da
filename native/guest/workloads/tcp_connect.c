/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a TCP connection on loopback: socket, connect, accept, close at both ends.
 *
 * The client closes first, as HTTP clients do, so each operation leaves one socket in
 * TIME_WAIT: making it is part of the path. They are spread over ports that the kernel
 * picks, so none is met again; the few hash chains that grow show as outliers. The client
 * then waits for the end of the stream, so an operation ends with both ends closed.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "../runtime.h"
#include "loopback.h"

enum { LISTENER };

static struct sockaddr_in at;

static void setup(struct ctx *c)
{
	c->fd[LISTENER] = loopback_socket(SOCK_STREAM, &at);
	MUST(!listen(c->fd[LISTENER], 8));
}

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(fd >= 0);
	MUST(!connect(fd, (struct sockaddr *)&at, sizeof at));
	return fd;
}

static int answer(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	MUST(fd >= 0);
	return fd;
}

static void hear_end(int fd)
{
	char byte;
	MUST(read(fd, &byte, 1) == 0);
}

static void op(struct ctx *c)
{
	int client = dial();
	int server = answer(c->fd[LISTENER]);
	MUST(!shutdown(client, SHUT_WR));
	hear_end(server);
	MUST(!close(server));
	hear_end(client);
	MUST(!close(client));
}

static void ping(struct ctx *c)
{
	(void)c;
	int client = dial();
	MUST(!shutdown(client, SHUT_WR));
	hear_end(client);
	MUST(!close(client));
}

static void pong(struct ctx *c)
{
	int server = answer(c->fd[LISTENER]);
	hear_end(server);
	MUST(!close(server));
}

static const struct workload connect_workload = {
	.name = "tcp-connect", .setup = setup, .op = op, .ping = ping, .pong = pong};
WORKLOAD(connect_workload);
