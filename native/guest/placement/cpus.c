/* SPDX-License-Identifier: Apache-2.0 */
#include "cpus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../channel.h"

#define CPU "/sys/devices/system/cpu/cpu%d/"

enum { MAX_INDEX = 8, MAX_NODES = 64, MAX_DOMAINS = 8 };

void file_text(char *out, int room, const char *fmt, ...)
{
	char path[256];
	va_list args;
	va_start(args, fmt);
	vsnprintf(path, sizeof path, fmt, args);
	va_end(args);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, out, (size_t)room - 1);
	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = 0;
	out[strcspn(out, "\n")] = 0;
}

/* The cache with the highest level that holds data: its list of processors and its size. */
static void last_level(int cpu, char *list, int room, char *size, int size_room)
{
	int highest = 0;
	list[0] = size[0] = 0;
	for (int index = 0; index < MAX_INDEX; index++) {
		char text[64];
		file_text(text, sizeof text, CPU "cache/index%d/level", cpu, index);
		int level = atoi(text);
		if (level <= highest)
			continue;
		highest = level;
		file_text(list, room, CPU "cache/index%d/shared_cpu_list", cpu, index);
		file_text(size, size_room, CPU "cache/index%d/size", cpu, index);
	}
}

int cpus_read(struct cpus *out)
{
	char lists[MAX_CPUS][64], size[32];
	memset(out, 0, sizeof *out);
	out->count = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (out->count < 1 || out->count > MAX_CPUS)
		return -1;
	for (int cpu = 0; cpu < out->count; cpu++) {
		char list[64];
		int found = 0;
		last_level(cpu, list, sizeof list, size, sizeof size);
		if (!list[0])
			return -1;
		while (found < out->llcs && strcmp(lists[found], list))
			found++;
		if (found == out->llcs)
			strcpy(lists[out->llcs++], list);
		out->llc[cpu] = found;
		out->member[found][out->members[found]++] = cpu;
	}
	return 0;
}

/* Names of the scheduling domains of a processor, from the smallest, joined by spaces. */
static void domains_of(int cpu, char *out, int room)
{
	int at = 0;
	out[0] = 0;
	for (int d = 0; d < MAX_DOMAINS && at < room - 1; d++) {
		char name[32];
		file_text(name, sizeof name, "/sys/kernel/debug/sched/domains/cpu%d/domain%d/name",
			  cpu, d);
		if (!name[0])
			break;
		at += snprintf(out + at, (size_t)(room - at), d ? " %s" : "%s", name);
	}
}

static int node_of(int cpu)
{
	for (int node = 0; node < MAX_NODES; node++) {
		char path[96];
		snprintf(path, sizeof path, CPU "node%d", cpu, node);
		if (!access(path, F_OK))
			return node;
	}
	return 0;
}

static void record_log_line(void)
{
	char line[1024], text[1100], found[1024] = "";
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	for (;;) {
		ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
		if (n < 0 && errno == EPIPE)
			continue; /* older lines were overwritten */
		if (n <= 0)
			break;
		line[n] = 0;
		line[strcspn(line, "\n")] = 0;
		char *said = strchr(line, ';');
		if (said && strstr(said, "cache aware sched"))
			snprintf(found, sizeof found, "%s", said + 1);
	}
	if (fd >= 0)
		close(fd);
	file_text(line, sizeof line, "/sys/kernel/debug/sched/llc_balancing/enabled");
	channel_record("{\"type\":\"cache_aware\",\"line\":\"%s\",\"enabled\":\"%.8s\"}",
		       json_text(text, sizeof text, found), line);
}

void cpus_record(void)
{
	char llc[128], size[32], smt[128], cluster[128], package[32], domains[256], text[6][300];
	int count = (int)sysconf(_SC_NPROCESSORS_ONLN);
	for (int cpu = 0; cpu < count; cpu++) {
		last_level(cpu, llc, sizeof llc, size, sizeof size);
		file_text(smt, sizeof smt, CPU "topology/thread_siblings_list", cpu);
		file_text(cluster, sizeof cluster, CPU "topology/cluster_cpus_list", cpu);
		file_text(package, sizeof package, CPU "topology/physical_package_id", cpu);
		domains_of(cpu, domains, sizeof domains);
		channel_record(
			"{\"type\":\"cpu\",\"cpu\":%d,\"llc\":\"%s\",\"llc_size\":\"%s\",\"smt\":\"%s\","
			"\"cluster\":\"%s\",\"package\":\"%s\",\"node\":%d,\"domains\":\"%s\"}",
			cpu, json_text(text[0], sizeof text[0], llc),
			json_text(text[1], sizeof text[1], size), json_text(text[2], sizeof text[2], smt),
			json_text(text[3], sizeof text[3], cluster),
			json_text(text[4], sizeof text[4], package), node_of(cpu),
			json_text(text[5], sizeof text[5], domains));
	}
	record_log_line();
}
