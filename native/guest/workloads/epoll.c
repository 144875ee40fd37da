/* SPDX-License-Identifier: Apache-2.0
 *
 * One of many watched descriptors (eventfds, level-triggered) becomes ready: it is signalled,
 * epoll_wait() finds it, it is read. The next operation signals another one. Between two
 * processes, the partner waits, and answers through an eventfd that nobody watches.
 * param[0]: how many descriptors are watched.
 */
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../runtime.h"

enum { WATCH, BACK, MAX_WATCHED = 4096, EVENTS = 64, SPARE = 64 };
/* Steps through all descriptors in an order that is not theirs; odd, so that it meets each
 * of a power of two. */
enum { STRIDE = 37 };

static int watched[MAX_WATCHED];
static unsigned int next;

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
	long count = c->param[0];
	MUST(count > 0 && count <= MAX_WATCHED);
	struct rlimit room = {.rlim_cur = (rlim_t)count + SPARE, .rlim_max = (rlim_t)count + SPARE};
	MUST(!setrlimit(RLIMIT_NOFILE, &room));
	MUST((c->fd[WATCH] = epoll_create1(EPOLL_CLOEXEC)) >= 0);
	MUST((c->fd[BACK] = eventfd(0, EFD_CLOEXEC)) >= 0);
	for (long i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN};
		MUST((watched[i] = eventfd(0, EFD_CLOEXEC)) >= 0);
		event.data.fd = watched[i];
		MUST(!epoll_ctl(c->fd[WATCH], EPOLL_CTL_ADD, watched[i], &event));
	}
}

static void signal_next(struct ctx *c)
{
	next = (next + STRIDE) % (unsigned int)c->param[0];
	put(watched[next]);
}

static void wait_and_take(struct ctx *c)
{
	struct epoll_event ready[EVENTS];
	MUST(epoll_wait(c->fd[WATCH], ready, EVENTS, -1) == 1);
	take(ready[0].data.fd);
}

static void op(struct ctx *c)
{
	signal_next(c);
	wait_and_take(c);
}

static void ping(struct ctx *c)
{
	signal_next(c);
	take(c->fd[BACK]);
}

static void pong(struct ctx *c)
{
	wait_and_take(c);
	put(c->fd[BACK]);
}

static const struct workload epoll_workload = {
	.name = "epoll", .setup = setup, .op = op, .ping = ping, .pong = pong};
WORKLOAD(epoll_workload);
