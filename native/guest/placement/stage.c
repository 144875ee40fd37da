/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* sched_getcpu */
#include "stage.h"

#include <sched.h>
#include <time.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What is counted and not binned is counted in the second half of the window. */
static int counts(const struct stage *stage, int bin)
{
	return bin >= stage->bins / 2 && bin < stage->bins;
}

uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* The bin of this moment; -1 before the window and long after it. */
static int bin_of_now(struct stage *stage)
{
	uint64_t begin = atomic_load(&stage->begin_ns);
	if (!begin)
		return -1;
	int64_t since = (int64_t)(now_ns() - begin);
	if (since < 0)
		return -1;
	int64_t bin = since / (BIN_MS * 1000000ll);
	return bin < MAX_BINS ? (int)bin : -1;
}

void look(struct stage *stage, struct seat *seat)
{
	int cpu = sched_getcpu();
	uint64_t spent = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int bin = bin_of_now(stage);
	if (bin >= 0 && cpu >= 0 && cpu < MAX_CPUS) {
		/* Microseconds add up without loss: what is not noted now is noted next time. */
		uint32_t us = (uint32_t)((spent - seat->spent_ns) / 1000);
		seat->time_us[bin][cpu] += us;
		seat->spent_ns += us * 1000ull;
		if (counts(stage, bin) && cpu != seat->cpu) {
			if (stage->cpus.llc[cpu] == stage->cpus.llc[seat->cpu])
				seat->within++;
			else
				seat->across++;
		}
	} else {
		seat->spent_ns = spent;
	}
	seat->cpu = cpu >= 0 && cpu < MAX_CPUS ? cpu : 0;
}

struct token token_make(uint32_t number)
{
	return (struct token){.number = number, .cpu = sched_getcpu()};
}

void token_took(struct stage *stage, struct seat *seat, struct token token)
{
	int cpu = sched_getcpu();
	if (!counts(stage, bin_of_now(stage)) || cpu < 0 || cpu >= MAX_CPUS || token.cpu < 0 ||
	    token.cpu >= MAX_CPUS)
		return;
	seat->handoffs++;
	seat->crossings += stage->cpus.llc[cpu] != stage->cpus.llc[token.cpu];
}

void work(volatile uint32_t *words, int units)
{
	uint32_t x = words[0] | 1;
	for (int i = 0; i < units * 1024; i++) {
		x = x * 1664525u + 1013904223u;
		if (!(i & 15))
			words[x % SHARED_WORDS] += x;
	}
}
