/* SPDX-License-Identifier: Apache-2.0
 *
 * A message gathered from many pieces: sendmsg() over a unix stream, taken by one read().
 * Between two processes, one byte comes back.
 * param[0]: pieces; param[1]: bytes of each.
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../runtime.h"

enum { NEAR, FAR, MAX_PIECES = 1024, MAX_BYTES = 65536 };

static struct iovec pieces[MAX_PIECES];
static char out[MAX_BYTES], in[MAX_BYTES];
static struct msghdr header = {.msg_iov = pieces};
static ssize_t total;

static void setup(struct ctx *c)
{
	size_t count = (size_t)c->param[0], bytes = (size_t)c->param[1];
	MUST(count > 0 && count <= MAX_PIECES && bytes > 0 && count * bytes <= MAX_BYTES / 2);
	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, &c->fd[NEAR]));
	/* Gaps between the pieces, so that nothing can merge them. */
	for (size_t i = 0; i < count; i++)
		pieces[i] = (struct iovec){.iov_base = out + 2 * i * bytes, .iov_len = bytes};
	header.msg_iovlen = (int)count;
	total = (ssize_t)(count * bytes);
}

static void put(int fd)
{
	MUST(sendmsg(fd, &header, 0) == total);
}

static void take(int fd)
{
	MUST(read(fd, in, sizeof in) == total);
}

static void op(struct ctx *c)
{
	put(c->fd[NEAR]);
	take(c->fd[FAR]);
}

static void ping(struct ctx *c)
{
	char byte;
	put(c->fd[NEAR]);
	MUST(read(c->fd[NEAR], &byte, 1) == 1);
}

static void pong(struct ctx *c)
{
	char byte = 'k';
	take(c->fd[FAR]);
	MUST(write(c->fd[FAR], &byte, 1) == 1);
}

static const struct workload sendmsg_workload = {
	.name = "sendmsg", .setup = setup, .op = op, .ping = ping, .pong = pong};
WORKLOAD(sendmsg_workload);
