/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../channel.h"
#include "stage.h"

#define ROOT "/sys/kernel/tracing/"
#define OURS " if comm ~ \"" TRACED "*\""

enum { MAX_ROWS = 4096, KEYS = 3, TEXT = 1 << 20, LINE = 3500 };

struct row {
	long key[KEYS];
	unsigned long long value;
};

/* What is counted, by which event, under which keys, and which number of a row is its value. */
struct account {
	const char *name, *event, *trigger, *keys[KEYS], *value;
	struct row row[MAX_ROWS];
	int rows;
};

static struct account accounts[] = {
	{.name = "runtime",
	 .event = "sched/sched_stat_runtime",
	 .trigger = "hist:keys=pid,common_cpu:vals=runtime:size=4096" OURS,
	 .keys = {"pid", "common_cpu"},
	 .value = "runtime"},
	{.name = "migrations",
	 .event = "sched/sched_migrate_task",
	 .trigger = "hist:keys=orig_cpu,dest_cpu:size=4096" OURS,
	 .keys = {"orig_cpu", "dest_cpu"},
	 .value = "hitcount"},
	{.name = "wakeups",
	 .event = "synthetic/kl_wakeup",
	 .trigger = "hist:keys=wcpu,tcpu:size=4096",
	 .keys = {"wcpu", "tcpu"},
	 .value = "hitcount"},
};

/* A wakeup is one event made of two: who wakes where, and where the woken thread then runs. */
static const struct {
	const char *file, *text;
} joins[] = {
	{"synthetic_events", "kl_wakeup pid_t pid; unsigned int wcpu; unsigned int tcpu"},
	{"events/sched/sched_waking/trigger", "hist:keys=pid:wcpu=common_cpu:size=4096" OURS},
	{"events/sched/sched_switch/trigger",
	 "hist:keys=next_pid:w=$wcpu,t=common_cpu:size=4096:onmatch(sched.sched_waking).kl_wakeup("
	 "next_pid,$w,$t) if next_comm ~ \"" TRACED "*\""},
};

enum { ACCOUNTS = sizeof accounts / sizeof *accounts, JOINS = sizeof joins / sizeof *joins };

static int put(const char *file, const char *text)
{
	char path[128];
	size_t n = strlen(text);
	snprintf(path, sizeof path, ROOT "%s", file);
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	int ok = fd >= 0 && write(fd, text, n) == (ssize_t)n;
	if (fd >= 0)
		close(fd);
	return ok ? 0 : -1;
}

static void trigger_file(char *out, size_t room, const struct account *a, const char *which)
{
	snprintf(out, room, "events/%s/%s", a->event, which);
}

const char *trace_prepare(void)
{
	static int prepared;
	static const char *missing;
	char file[96];
	if (prepared++)
		return missing;
	if (mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL) && errno != EBUSY)
		return missing = "no tracefs";
	for (int i = 0; i < JOINS; i++)
		if (put(joins[i].file, joins[i].text))
			return missing = joins[i].file;
	for (int i = 0; i < ACCOUNTS; i++) {
		trigger_file(file, sizeof file, &accounts[i], "trigger");
		if (put(file, accounts[i].trigger))
			return missing = accounts[i].event;
	}
	return NULL;
}

/* The number after "NAME:" in a line; -1 when it has none. */
static long long number_of(const char *line, const char *name)
{
	size_t length = strlen(name);
	for (const char *at = line; (at = strstr(at, name)); at += length)
		if ((at == line || at[-1] == ' ') && at[length] == ':')
			return strtoll(at + length + 1, NULL, 10);
	return -1;
}

static char *read_hist(const struct account *a)
{
	char file[96], path[128], *text = malloc(TEXT);
	size_t at = 0;
	trigger_file(file, sizeof file, a, "hist");
	snprintf(path, sizeof path, ROOT "%s", file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	for (ssize_t n; text && fd >= 0 && at < TEXT - 1 && (n = read(fd, text + at, TEXT - 1 - at)) > 0;)
		at += (size_t)n;
	if (fd >= 0)
		close(fd);
	if (text)
		text[at] = 0;
	return text;
}

static struct row *row_of(struct account *a, const long *key)
{
	for (int i = 0; i < a->rows; i++)
		if (!memcmp(a->row[i].key, key, sizeof a->row[i].key))
			return &a->row[i];
	if (a->rows == MAX_ROWS)
		return NULL;
	memcpy(a->row[a->rows].key, key, sizeof a->row->key);
	a->row[a->rows].value = 0;
	return &a->row[a->rows++];
}

/* Adds what the histogram holds now, `sign` times, to the account's rows. */
static void add_up(struct account *a, int sign)
{
	char *text = read_hist(a), *save;
	if (!text)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		long key[KEYS] = {0};
		int ok = *line == '{';
		for (int k = 0; k < KEYS && a->keys[k]; k++) {
			key[k] = (long)number_of(line, a->keys[k]);
			ok = ok && key[k] >= 0;
		}
		long long value = ok ? number_of(line, a->value) : -1;
		struct row *row = value >= 0 ? row_of(a, key) : NULL;
		if (row)
			row->value += (unsigned long long)(sign * value);
	}
	free(text);
}

/* The moment of the first account, as it says how much time the others must agree on. */
static uint64_t add_up_all(int sign)
{
	uint64_t before = now_ns();
	add_up(&accounts[0], sign);
	uint64_t after = now_ns();
	for (int i = 1; i < ACCOUNTS; i++)
		add_up(&accounts[i], sign);
	return before + (after - before) / 2;
}

uint64_t trace_half(void)
{
	for (int i = 0; i < ACCOUNTS; i++)
		accounts[i].rows = 0;
	return add_up_all(-1);
}

uint64_t trace_full(void)
{
	return add_up_all(1);
}

static void record(struct account *a, int region)
{
	char text[LINE + 128];
	for (int i = 0; i < a->rows;) {
		int at = 0;
		for (; i < a->rows && at < LINE; i++) {
			const struct row *row = &a->row[i];
			if (!row->value)
				continue;
			at += snprintf(text + at, sizeof text - (size_t)at, "%s[%ld,%ld,%llu]",
				       at ? "," : "", row->key[0], row->key[1], row->value);
		}
		text[at] = 0;
		channel_record("{\"type\":\"traced\",\"region\":%d,\"what\":\"%s\",\"rows\":[%s]}",
			       region, a->name, text);
	}
}

void trace_record(int region)
{
	for (int i = 0; i < ACCOUNTS; i++)
		record(&accounts[i], region);
}
