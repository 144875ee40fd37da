/* SPDX-License-Identifier: Apache-2.0
 *
 * fork, exit, wait: a child of this small static process lives and dies. The second process
 * is that child, so this has only two-process forms, and the runtime's partner does nothing.
 * System calls themselves: a libc's handlers and signal masks would come on top.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../runtime.h"

static void ping(struct ctx *c)
{
	int status;
	(void)c;
	long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	MUST(child >= 0);
	if (!child)
		syscall(SYS_exit_group, 0);
	MUST(syscall(SYS_wait4, child, &status, 0, NULL) == child && status == 0);
}

static void pong(struct ctx *c)
{
	(void)c;
}

static const struct workload fork_workload = {
	.name = "fork-exit-wait", .ping = ping, .pong = pong};
WORKLOAD(fork_workload);
