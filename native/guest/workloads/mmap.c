/* SPDX-License-Identifier: Apache-2.0
 *
 * Anonymous memory: map it, write to each of its pages, unmap it.
 * param[0]: bytes.
 *
 * In small pages: whether a huge one is free depends on what ran before, and would make two
 * metrics of one. Switched off for the process, which adds no call to the operation.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../runtime.h"

static long page;

static void setup(struct ctx *c)
{
	page = sysconf(_SC_PAGESIZE);
	MUST(c->param[0] > 0 && c->param[0] % page == 0);
	MUST(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
}

static void op(struct ctx *c)
{
	size_t bytes = (size_t)c->param[0];
	volatile char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(at != MAP_FAILED);
	for (size_t i = 0; i < bytes; i += (size_t)page)
		at[i] = 1;
	MUST(!munmap((void *)at, bytes));
}

static const struct workload mmap_workload = {.name = "mmap", .setup = setup, .op = op};
WORKLOAD(mmap_workload);
