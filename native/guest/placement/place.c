/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* CPU_SET, sched_setaffinity */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../channel.h"
#include "../workloads/futex_call.h"
#include "cpus.h"
#include "shapes.h"
#include "trace.h"

enum { STACK = 64 << 10, READY_LIMIT_MS = 20000, LINE = 3500, WATCH_PRIORITY = 20, PHASE_MS = 40 };

struct play {
	const struct shape *shape;
	struct stage *stage;
	void *shared;
	int groups, threads, scatter_ms, window_ms;
	uint64_t draw;
};

/* What the director saw in the second half: instants it looked at, threads that were runnable
 * then, and those that queued while a processor had none; and when it read the trace. */
struct watched {
	int instants;
	long runnable, queued;
	uint64_t half_ns, full_ns;
};

struct actor {
	struct play *play;
	struct seat *seat;
	volatile uint32_t *own;
};

static void sleep_ms(int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l};
	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static void *map_shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void *act(void *argument)
{
	struct actor *actor = argument;
	struct stage *stage = actor->play->stage;
	char name[16];
	snprintf(name, sizeof name, TRACED "%d-%d", actor->seat->process, actor->seat->thread);
	prctl(PR_SET_NAME, name);
	atomic_store(&actor->seat->pid, getpid());
	atomic_store(&actor->seat->tid, (int)syscall(SYS_gettid));
	while (!atomic_load(&stage->go))
		futex_wait(&stage->go, 0);
	actor->play->shape->body(stage, actor->seat, actor->play->shared, actor->own);
	return NULL;
}

/* One process: its first seat is the main thread. It runs until it is killed. */
static void process_main(struct play *play, int process)
{
	struct actor actor[MAX_SEATS], *first = NULL;
	static volatile uint32_t own[SHARED_WORDS];
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < play->stage->seats; i++) {
		struct seat *seat = &play->stage->seat[i];
		pthread_t thread;
		if (seat->process != process)
			continue;
		actor[i] = (struct actor){play, seat, own};
		if (!first)
			first = &actor[i];
		else if (pthread_create(&thread, &small, act, &actor[i]))
			_exit(1);
	}
	if (first)
		act(first);
	_exit(1);
}

static void pin(int tid, int cpu, int cpus)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	for (int i = 0; i < cpus; i++)
		if (cpu < 0 || cpu == i)
			CPU_SET(i, &set);
	sched_setaffinity(tid, sizeof set, &set);
}

/* Thread i of process p begins in cache i + p, on a processor of its own while there are any;
 * which one is drawn. None begins on processor 0, where the director would push it aside. */
static void scatter(struct stage *stage, uint64_t draw)
{
	const struct cpus *c = &stage->cpus;
	int used[MAX_CPUS] = {0};
	for (int i = 0; i < stage->seats; i++) {
		struct seat *seat = &stage->seat[i];
		int llc = (seat->thread + seat->process) % c->llcs;
		int first = c->member[llc][0] == 0 && c->members[llc] > 1;
		unsigned n = (unsigned)(c->members[llc] - first), nth = (unsigned)used[llc]++;
		int cpu = c->member[llc][first + (int)((draw % n + nth) % n)];
		pin(atomic_load(&seat->tid), cpu, c->count);
		seat->cpu = cpu;
	}
}

static int all_there(struct stage *stage)
{
	for (int ms = 0; ms < READY_LIMIT_MS; ms += 5) {
		int missing = 0;
		for (int i = 0; i < stage->seats; i++)
			missing += !atomic_load(&stage->seat[i].tid);
		if (!missing)
			return 1;
		sleep_ms(5);
	}
	return 0;
}

/* One look at all threads: how many are runnable, and how many of these wait behind another
 * of them while some processor has none. */
static void watch(struct stage *stage, const int *stat_fd, struct watched *seen)
{
	seen->instants++;
	int on[MAX_CPUS] = {0}, behind = 0, idle = 0;
	for (int i = 0; i < stage->seats; i++) {
		char text[512], *at;
		ssize_t n = pread(stat_fd[i], text, sizeof text - 1, 0);
		text[n > 0 ? n : 0] = 0;
		if (!(at = strrchr(text, ')')) || at[1] != ' ' || at[2] != 'R')
			continue;
		/* The state is field 3, the processor field 39. */
		for (int field = 3; field < 39 && at; field++)
			at = strchr(at + (field == 3 ? 2 : 1), ' ');
		int cpu = at ? atoi(at) : -1;
		if (cpu < 0 || cpu >= MAX_CPUS)
			continue;
		seen->runnable++;
		behind += on[cpu]++ > 0;
	}
	for (int cpu = 0; cpu < stage->cpus.count; cpu++)
		idle += !on[cpu];
	seen->queued += behind < idle ? behind : idle;
}

static void record_seat(const struct stage *stage, int index, int region)
{
	const struct seat *seat = &stage->seat[index];
	char text[LINE + 64];
	int at = 0;
	channel_record("{\"type\":\"seat\",\"region\":%d,\"seat\":%d,\"process\":%d,\"thread\":%d,"
		       "\"role\":\"%s\",\"tid\":%d,\"handoffs\":%llu,\"crossings\":%llu,"
		       "\"within\":%llu,\"across\":%llu}",
		       region, index, seat->process, seat->thread, seat->role,
		       atomic_load(&seat->tid), (unsigned long long)seat->handoffs,
		       (unsigned long long)seat->crossings, (unsigned long long)seat->within,
		       (unsigned long long)seat->across);
	for (int bin = 0; bin < MAX_BINS; bin++)
		for (int cpu = 0; cpu < stage->cpus.count; cpu++) {
			int last = bin == MAX_BINS - 1 && cpu == stage->cpus.count - 1;
			if (seat->time_us[bin][cpu])
				at += snprintf(text + at, sizeof text - (size_t)at, "%s%d,%d,%u",
					       at ? "," : "", bin, cpu, seat->time_us[bin][cpu]);
			if (at && (at > LINE || last)) {
				channel_record("{\"type\":\"where\",\"region\":%d,\"seat\":%d,"
					       "\"time\":[%s]}",
					       region, index, text);
				at = 0;
			}
		}
}

static const char *perform(struct play *play, int traced, struct watched *seen)
{
	struct stage *stage = play->stage;
	int stat_fd[MAX_SEATS];
	if (!all_there(stage))
		return "the threads did not start";
	for (int i = 0; i < stage->seats; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/task/%d/stat", atomic_load(&stage->seat[i].pid),
			 atomic_load(&stage->seat[i].tid));
		stat_fd[i] = open(path, O_RDONLY | O_CLOEXEC);
	}
	scatter(stage, play->draw);
	atomic_store(&stage->go, 1);
	syscall(SYS_futex, &stage->go, FUTEX_WAKE, MAX_SEATS, NULL, NULL, 0);
	sleep_ms(play->scatter_ms);
	atomic_store(&stage->begin_ns, now_ns());
	for (int i = 0; i < stage->seats; i++)
		pin(atomic_load(&stage->seat[i].tid), -1, stage->cpus.count);
	uint64_t begin = atomic_load(&stage->begin_ns);
	int half = 0;
	for (;;) {
		int64_t past = (int64_t)(now_ns() - begin) / 1000000;
		if (past >= play->window_ms)
			break;
		if (past * 2 >= play->window_ms) {
			if (!half++ && traced)
				seen->half_ns = trace_half() - begin;
			watch(stage, stat_fd, seen);
		}
		sleep_ms(BIN_MS);
	}
	if (traced)
		seen->full_ns = trace_full() - begin;
	for (int i = 0; i < stage->seats; i++)
		close(stat_fd[i]);
	return NULL;
}

/* Directs one play from PID 1: starts its processes, and ends them. */
static const char *direct(struct play *play, int region)
{
	struct stage *stage = play->stage;
	pid_t pid[MAX_SEATS];
	struct watched seen = {0};
	int processes = 0;
	const char *missing = trace_prepare(), *wrong = NULL;
	/* Each boot meets the ticks and the scheduler's epochs at another phase. */
	sleep_ms((int)(play->draw % PHASE_MS));
	for (int i = 0; i < stage->seats; i++)
		if (stage->seat[i].process >= processes)
			processes = stage->seat[i].process + 1;
	for (int p = 0; p < processes; p++) {
		pid[p] = fork();
		if (!pid[p])
			process_main(play, p);
	}
	struct sched_param first = {.sched_priority = WATCH_PRIORITY};
	syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &first);
	pin(0, 0, stage->cpus.count);
	wrong = perform(play, !missing, &seen);
	for (int p = 0; p < processes; p++)
		if (pid[p] > 0 && waitpid(pid[p], NULL, WNOHANG) == pid[p])
			wrong = "a process of the workload ended by itself";
	for (int p = 0; p < processes; p++)
		if (pid[p] > 0) {
			kill(pid[p], SIGKILL);
			waitpid(pid[p], NULL, 0);
		}
	channel_record("{\"type\":\"watched\",\"region\":%d,\"instants\":%d,\"runnable\":%ld,"
		       "\"queued\":%ld,\"half_ns\":%llu,\"full_ns\":%llu,\"untraced\":\"%s\"}",
		       region, seen.instants, seen.runnable, seen.queued,
		       (unsigned long long)seen.half_ns, (unsigned long long)seen.full_ns,
		       missing ? missing : "");
	if (!missing)
		trace_record(region);
	for (int i = 0; i < stage->seats; i++)
		record_seat(stage, i, region);
	struct sched_param none = {0};
	syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &none);
	pin(0, -1, stage->cpus.count);
	return wrong;
}

void place_run(char *arguments, int region, uint64_t draw)
{
	struct play play = {.draw = draw};
	char name[64] = "", shape[32] = "";
	const char *wrong = NULL;
	int fields = sscanf(arguments, "%63s %31s %d %d %d %d", name, shape, &play.groups,
			    &play.threads, &play.scatter_ms, &play.window_ms);
	play.shape = shape_find(shape);
	play.stage = map_shared(sizeof *play.stage);
	if (fields != 6 || play.groups < 1 || play.threads < 1 || play.scatter_ms < 0 ||
	    play.window_ms < 4 * BIN_MS || play.window_ms / BIN_MS > MAX_BINS - 16 || !play.shape)
		wrong = "the plan asks for no such workload";
	else if (!play.stage || cpus_read(&play.stage->cpus))
		wrong = "the processors' caches cannot be read";
	else
		play.stage->seats = play.shape->seats(play.stage, play.groups, play.threads);
	if (!wrong && play.stage->seats < 1)
		wrong = "too many threads for this guest";
	size_t bytes = wrong ? 0 : play.shape->shared(play.groups, play.threads);
	if (!wrong) {
		play.stage->bins = play.window_ms / BIN_MS;
		play.shared = map_shared(bytes);
		if (!play.shared || (play.shape->prepare &&
				     play.shape->prepare(play.stage, play.shared, play.groups, play.threads)))
			wrong = "no shared memory or sockets for the workload";
	}
	if (!wrong)
		wrong = direct(&play, region);
	channel_record("{\"type\":\"placement\",\"region\":%d,\"name\":\"%s\",\"shape\":\"%s\","
		       "\"bins\":%d,\"bin_ms\":%d,\"seats\":%d,\"status\":\"%s\",\"why\":\"%s\"}",
		       region, name, shape, play.stage ? play.stage->bins : 0, BIN_MS,
		       play.stage ? play.stage->seats : 0, wrong ? "failed" : "ok", wrong ? wrong : "");
	if (play.shared)
		munmap(play.shared, bytes);
	if (play.stage)
		munmap(play.stage, sizeof *play.stage);
}
