/* SPDX-License-Identifier: Apache-2.0 */
#include "region.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "marker.h"

enum { MAX_TICKS = 128 };
/* Operations of a burst; uncounted ones at its start; the gap before it. */
enum { BURST = 16, REWARM = 8, GAP_NS = 1000 * 1000 };
enum { NANOSECOND = 1000000000, REGION_LIMIT_S = 60, FIFO_PRIORITY = 10 };
/* Regions start at a multiple of PHASE_NS plus an offset drawn from the boot's seed. The
 * multiple keeps a shift of the boot's clock (another boot parameter, say) out of the figures;
 * the draw makes every boot meet the tick and the scheduler's slices at another phase, so
 * that the spread over seeds shows what such a shift could do. */
enum { PHASE_NS = 40 * 1000 * 1000, OFFSET_NS = 20 * 1000 * 1000 };

extern const struct workload *const __start_kl_workloads[];
extern const struct workload *const __stop_kl_workloads[];

enum outcome { RUNNING, COUNTED, UNSUPPORTED, FAILED };

/* Shared with the measured process: how it ended, and why. */
struct report {
	volatile enum outcome outcome;
	char why[512];
	int ticks;
	uint64_t tick[MAX_TICKS];
};

static struct report *report;

const struct workload *workload_find(const char *name)
{
	for (const struct workload *const *w = __start_kl_workloads; w < __stop_kl_workloads; w++)
		if (!strcmp((*w)->name, name))
			return *w;
	return NULL;
}

void *shared_block(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
		       -1, 0);
	if (p == MAP_FAILED)
		failed("mapping %zu shared bytes", bytes);
	return p;
}

static noreturn void give_up(enum outcome outcome, int error, const char *fmt, va_list args)
{
	int n = vsnprintf(report->why, sizeof report->why, fmt, args);
	if (error && n >= 0 && (size_t)n < sizeof report->why)
		snprintf(report->why + n, sizeof report->why - (size_t)n, " (%s)", strerror(error));
	__sync_synchronize();
	report->outcome = outcome;
	_exit(outcome);
}

noreturn void unsupported(const char *fmt, ...)
{
	int error = errno;
	va_list args;
	va_start(args, fmt);
	give_up(UNSUPPORTED, error, fmt, args);
}

noreturn void failed(const char *fmt, ...)
{
	int error = errno;
	va_list args;
	va_start(args, fmt);
	give_up(FAILED, error, fmt, args);
}

static void set_policy(const struct ctx *c)
{
	struct sched_param param = {0};
	int policy = -1;
	if (!strcmp(c->form, "2p-fifo") || c->undisturbed) {
		policy = SCHED_FIFO;
		param.sched_priority = FIFO_PRIORITY;
	} else if (!strcmp(c->form, "2p-batch")) {
		policy = SCHED_BATCH;
	}
	/* The system call itself: musl's wrapper refuses, by its reading of POSIX. */
	if (policy >= 0 && syscall(SYS_sched_setscheduler, 0, policy, &param))
		failed("setting the scheduling policy of form %s", c->form);
}

static void wait_for_phase(uint64_t draw)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	int64_t ns = (int64_t)at.tv_sec * NANOSECOND + at.tv_nsec;
	ns = (ns / PHASE_NS + 1) * PHASE_NS + (int64_t)(draw % OFFSET_NS);
	at.tv_sec = ns / NANOSECOND;
	at.tv_nsec = ns % NANOSECOND;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

/* Two FIFO processes never leave the CPU to a kernel thread. One that becomes runnable (a timer
 * wakes it) stays so until the region ends, and adds a few instructions to each further switch:
 * when a timer fires would decide which of two values is the mode. So these forms run in
 * bursts, and between them everybody else catches up. So do long operations of one process:
 * in each of those a tick would make some kernel thread run. */
static int bursts(const struct ctx *c)
{
	return !strcmp(c->form, "2p-fifo") || c->undisturbed;
}

static long all_operations(const struct ctx *c)
{
	return c->warmup + c->iterations + (bursts(c) ? (c->iterations - 1) / BURST * REWARM : 0);
}

static void let_others_run(void)
{
	struct timespec gap = {.tv_nsec = GAP_NS};
	nanosleep(&gap, NULL);
}

static noreturn void partner_main(const struct workload *w, struct ctx *c)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (w->partner)
		w->partner(c);
	for (long i = all_operations(c); i > 0; i--)
		w->pong(c);
	_exit(COUNTED);
}

/* With the same gaps: what kernel threads free would else be missing where counting begins. */
static void warm_up(void (*operation)(struct ctx *), struct ctx *c)
{
	for (long i = c->warmup; i > 0; i--) {
		if (bursts(c) && i % BURST == 0)
			let_others_run();
		operation(c);
	}
}

static void measure(void (*operation)(struct ctx *), struct ctx *c)
{
	KL_BEGIN();
	for (long i = 1; i <= c->iterations; i++) {
		operation(c);
		KL_OPERATION();
		if (bursts(c) && i % BURST == 0 && i < c->iterations) {
			let_others_run();
			for (long j = REWARM; j > 0; j--)
				operation(c);
			KL_RESUME();
		}
	}
	KL_END();
}

/* The counter is read at a fixed distance behind each marker, so the difference of two
 * readings spans as many instructions as the plugin counts between the two markers. */
static void measure_with_ticks(void (*operation)(struct ctx *), struct ctx *c)
{
	KL_BEGIN();
	for (long i = 0; i < c->iterations; i++) {
		operation(c);
		KL_OPERATION();
		report->tick[i < MAX_TICKS ? i : MAX_TICKS - 1] = kl_ticks();
	}
	KL_END();
	report->ticks = c->iterations < MAX_TICKS ? (int)c->iterations : 0;
}

static noreturn void measured_main(const struct workload *w, struct ctx *c)
{
	void (*operation)(struct ctx *) = c->two_process ? w->ping : w->op;
	pid_t partner = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (w->setup)
		w->setup(c);
	set_policy(c);
	if (c->two_process) {
		partner = fork();
		if (partner < 0)
			failed("forking the partner");
		if (!partner)
			partner_main(w, c);
	}
	wait_for_phase(c->draw);
	warm_up(operation, c);
	if (w->record_ticks)
		measure_with_ticks(operation, c);
	else
		measure(operation, c);
	if (w->teardown)
		w->teardown(c);
	if (partner) {
		int status;
		if (waitpid(partner, &status, 0) != partner || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != COUNTED)
			failed("the partner did not end well");
	}
	report->outcome = COUNTED;
	_exit(COUNTED);
}

/* Waits for the child at most REGION_LIMIT_S guest seconds; kills it after that. */
static void reap(pid_t child)
{
	struct timespec limit = {.tv_sec = REGION_LIMIT_S};
	sigset_t chld;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	for (;;) {
		if (waitpid(child, NULL, WNOHANG) == child)
			break;
		if (sigtimedwait(&chld, NULL, &limit) < 0 && errno == EAGAIN) {
			kill(child, SIGKILL);
			waitpid(child, NULL, 0);
			if (report->outcome == RUNNING) {
				snprintf(report->why, sizeof report->why,
					 "not done after %d guest seconds", REGION_LIMIT_S);
				report->outcome = FAILED;
			}
			break;
		}
	}
	/* Orphans of a failed region would run into the next one. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

void region_prepare(void)
{
	sigset_t chld;
	report = shared_block(sizeof *report);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
}

static void record_ticks(void)
{
	char text[MAX_TICKS * 12] = "";
	size_t at = 0;
	for (int i = 1; i < report->ticks && at + 12 < sizeof text; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%u", i > 1 ? "," : "",
				       (unsigned)(report->tick[i] - report->tick[i - 1]));
	channel_record("{\"type\":\"ticks\",\"step\":%u,\"differences\":[%s]}", kl_tick_step(), text);
}

int region_run(const struct workload *w, struct ctx *c, int index)
{
	static const char *const word[] = {"failed", "ok", "unsupported", "failed"};
	char why[1024];

	c->two_process = !strncmp(c->form, "2p", 2);
	c->undisturbed = 0;
	for (size_t i = 0; i < sizeof c->fd / sizeof *c->fd; i++)
		c->fd[i] = -1;
	memset(report, 0, sizeof *report);
	if (!(c->two_process ? w->ping && w->pong : !!w->op)) {
		strcpy(report->why, "the workload has no such form");
		report->outcome = FAILED;
	} else {
		pid_t child = fork();
		if (!child)
			measured_main(w, c);
		if (child < 0) {
			strcpy(report->why, "no process for the region");
			report->outcome = FAILED;
		} else {
			reap(child);
		}
	}
	if (report->outcome == RUNNING)
		strcpy(report->why, "the measured process died");
	channel_record("{\"type\":\"region\",\"index\":%d,\"workload\":\"%s\",\"form\":\"%s\","
		       "\"operations\":%ld,\"status\":\"%s\",\"why\":\"%s\"}",
		       index, w->name, c->form, c->iterations, word[report->outcome],
		       json_text(why, sizeof why, report->why));
	if (report->ticks)
		record_ticks();
	return report->outcome == COUNTED;
}
