/* SPDX-License-Identifier: Apache-2.0
 *
 * A request and a response of equal size over an established TCP connection on loopback.
 * param[0]: bytes of each.
 *
 * Also the one-process form goes there and back: every segment then carries the
 * acknowledgement of the one before, and no delayed-ACK timer decides what an operation
 * costs. Fixed buffers take the kernel's automatic sizing out of it, and are large enough
 * for a message to be one segment and one copy.
 */
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../runtime.h"
#include "loopback.h"

enum { CLIENT, SERVER, MAX_BYTES = 65536, BUFFER_BYTES = 256 * 1024 };

static char message[MAX_BYTES];

static void prepare(int fd)
{
	socket_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	socket_option(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
	socket_option(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
}

static void setup(struct ctx *c)
{
	struct sockaddr_in at;
	MUST(c->param[0] > 0 && c->param[0] <= MAX_BYTES);
	int listener = loopback_socket(SOCK_STREAM, &at);
	prepare(listener);
	MUST(!listen(listener, 1));
	MUST((c->fd[CLIENT] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	prepare(c->fd[CLIENT]);
	MUST(!connect(c->fd[CLIENT], (struct sockaddr *)&at, sizeof at));
	MUST((c->fd[SERVER] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	socket_option(c->fd[SERVER], IPPROTO_TCP, TCP_NODELAY, 1);
	MUST(!close(listener));
}

static void put(int fd, size_t bytes)
{
	MUST(write(fd, message, bytes) == (ssize_t)bytes);
}

static void take(int fd, size_t bytes)
{
	for (size_t have = 0; have < bytes;) {
		ssize_t n = read(fd, message + have, bytes - have);
		MUST(n > 0);
		have += (size_t)n;
	}
}

static void ping(struct ctx *c)
{
	put(c->fd[CLIENT], (size_t)c->param[0]);
	take(c->fd[CLIENT], (size_t)c->param[0]);
}

static void pong(struct ctx *c)
{
	take(c->fd[SERVER], (size_t)c->param[0]);
	put(c->fd[SERVER], (size_t)c->param[0]);
}

static void op(struct ctx *c)
{
	put(c->fd[CLIENT], (size_t)c->param[0]);
	pong(c);
	take(c->fd[CLIENT], (size_t)c->param[0]);
}

static void teardown(struct ctx *c)
{
	/* Reset rather than close: a socket in TIME_WAIT would lengthen hash chains later. */
	struct linger now = {.l_onoff = 1};
	MUST(!setsockopt(c->fd[CLIENT], SOL_SOCKET, SO_LINGER, &now, sizeof now));
	MUST(!close(c->fd[CLIENT]));
}

static const struct workload tcp_workload = {.name = "tcp",
					     .setup = setup,
					     .op = op,
					     .ping = ping,
					     .pong = pong,
					     .teardown = teardown};
WORKLOAD(tcp_workload);
