/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest system call that does real work: entry, a lock-free read, exit.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "../runtime.h"

static void op(struct ctx *c)
{
	(void)c;
	syscall(SYS_getppid);
}

static const struct workload getppid_workload = {.name = "syscall-getppid", .op = op};
WORKLOAD(getppid_workload);
