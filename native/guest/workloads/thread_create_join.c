/* SPDX-License-Identifier: Apache-2.0
 *
 * pthread_create and pthread_join of a thread that does nothing, with musl's defaults: its
 * stack is mapped and unmapped each time. The second party is that thread, so this has only
 * two-process forms, and the runtime's partner does nothing.
 */
#include <pthread.h>
#include <stddef.h>

#include "../runtime.h"

static void *body(void *argument)
{
	return argument;
}

static void ping(struct ctx *c)
{
	pthread_t thread;
	void *result;
	MUST(!pthread_create(&thread, NULL, body, c));
	MUST(!pthread_join(thread, &result));
	MUST(result == c);
}

static void pong(struct ctx *c)
{
	(void)c;
}

static const struct workload thread_workload = {
	.name = "thread-create-join", .ping = ping, .pong = pong};
WORKLOAD(thread_workload);
