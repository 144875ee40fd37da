/* SPDX-License-Identifier: Apache-2.0
 *
 * Anonymous memory: map it, write to each of its pages, unmap it.
 * param[0]: bytes. param[1]: not 0 for operations so long that kernel threads run in them.
 *
 * In small pages: whether a huge one is free depends on what ran before, and would make two
 * metrics of one. Switched off for the process, which adds no call to the operation.
 *
 * A touched page waits in a per-CPU batch to be put on the LRU list; one that is unmapped while
 * it waits costs about 1000 instructions less. So operations whose pages fill whole batches cost
 * the more the fewer pages waited when they began, and how many did is history. The batch is
 * therefore emptied once, half-way through the warm-up: every page then pays all.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../runtime.h"

static long page, until_drained;

static volatile char *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(at != MAP_FAILED);
	return at;
}

/* Of the calls that empty this CPU's batches, one that every kernel of interest has. */
static void drain_batches(void)
{
	volatile char *at = map((size_t)page);
	MUST(!madvise((void *)at, (size_t)page, MADV_COLD));
	MUST(!munmap((void *)at, (size_t)page));
}

static void setup(struct ctx *c)
{
	page = sysconf(_SC_PAGESIZE);
	MUST(c->param[0] > 0 && c->param[0] % page == 0);
	c->undisturbed = c->param[1] != 0;
	MUST(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	until_drained = c->warmup / 2;
}

static void op(struct ctx *c)
{
	size_t bytes = (size_t)c->param[0];
	if (until_drained && !--until_drained)
		drain_batches();
	volatile char *at = map(bytes);
	for (size_t i = 0; i < bytes; i += (size_t)page)
		at[i] = 1;
	MUST(!munmap((void *)at, bytes));
}

static const struct workload mmap_workload = {.name = "mmap", .setup = setup, .op = op};
WORKLOAD(mmap_workload);
