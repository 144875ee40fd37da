/* SPDX-License-Identifier: Apache-2.0
 *
 * What a workload sees of the guest runtime.
 *
 * A workload is one file in workloads/ that fills in a `struct workload` and hands it to
 * WORKLOAD(). It describes one operation; the runtime forks the processes, sets their
 * scheduling policy, warms up, places the markers and reports.
 */
#ifndef KERNLEAP_RUNTIME_H
#define KERNLEAP_RUNTIME_H

#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

enum { PARAMS = 4 };

/* One region's run: what the plan asked for, and room for the workload's own state. */
struct ctx {
	const char *form;      /* "1p", "2p-fifo", "2p-batch", "2p-other" */
	long iterations;
	long warmup;
	long param[PARAMS];    /* from the catalogue; 0 when absent */
	int two_process;
	/* Your setup may set it, for the one-process form: operations of milliseconds, during
	 * which ticks make kernel threads run. The form then runs as two FIFO processes do,
	 * which nobody preempts, in bursts. */
	int undisturbed;
	uint64_t draw;         /* 64 random bits of this region in this boot, from the seed */
	int fd[8];             /* yours, -1 at the start */
	void *state;           /* yours; shared between the two processes only if you map it so */
};

struct workload {
	const char *name;
	/* Called once in the measured process, before the partner is forked. */
	void (*setup)(struct ctx *);
	/* One-process form: the whole operation, both ends. NULL when there is none. */
	void (*op)(struct ctx *);
	/* Two-process form: what the measured process does in one round trip, and what the
	 * partner does to answer. NULL when there is none. */
	void (*ping)(struct ctx *);
	void (*pong)(struct ctx *);
	/* Called after the fork in the partner only, before its first pong. May be NULL. */
	void (*partner)(struct ctx *);
	/* Called in the measured process after the last operation. May be NULL. */
	void (*teardown)(struct ctx *);
	/* Read the cycle counter at each marker and report the differences: the lab compares
	 * them with the plugin's counts. Only the self-check sets this. */
	int record_ticks;
};

/* Registers a workload; the linker collects the pointers of all files. */
#define WORKLOAD(w)                                                                        \
	static const struct workload *const kl_entry                                       \
		__attribute__((section("kl_workloads"), used, retain)) = &(w)

/* A page-aligned MAP_SHARED | MAP_ANONYMOUS block of at least `bytes`, zeroed. */
void *shared_block(size_t bytes);

/* Ends the region as *unsupported* (this kernel has no such thing) with the reason. */
noreturn void unsupported(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Ends the region as *failed*; the trial becomes invalid. errno is appended when set. */
noreturn void failed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Fails the region unless cond holds: for results of system calls. The test costs two
 * user instructions and no kernel ones. */
#define MUST(cond)                                                                         \
	do {                                                                               \
		if (__builtin_expect(!(cond), 0))                                          \
			failed("%s:%d: %s", __FILE__, __LINE__, #cond);               \
	} while (0)

#endif
