/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct area {
	uint64_t magic;
	uint64_t length;
	char text[];
};

/* The memory behind the device. On arm64 a plain mapping would be device memory, where unaligned
 * access faults; write-combining makes it ordinary memory. On x86 the plain one is. */
#if defined(__aarch64__)
#define MEMORY "resource2_wc"
#else
#define MEMORY "resource2"
#endif

static unsigned char *base;

static long read_hex(const char *device, const char *file)
{
	char path[256], text[32];
	snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s", device, file);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = 0;
	return strtol(text, NULL, 16);
}

static noreturn void no_channel(const char *why)
{
	fprintf(stderr, "kernleap: no channel to the controller: %s\n", why);
	_exit(1);
}

void channel_open(void)
{
	char path[256] = "";
	DIR *devices = opendir("/sys/bus/pci/devices");
	if (!devices)
		no_channel("no PCI bus");
	for (struct dirent *e; (e = readdir(devices));) {
		if (e->d_name[0] == '.' || strlen(e->d_name) > 64)
			continue;
		/* Inter-VM shared memory, by its PCI ids. */
		if (read_hex(e->d_name, "vendor") != 0x1af4 || read_hex(e->d_name, "device") != 0x1110)
			continue;
		snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/enable", e->d_name);
		int enable = open(path, O_WRONLY);
		if (enable >= 0) {
			if (write(enable, "1", 1) != 1)
				perror("kernleap: enabling the channel");
			close(enable);
		}
		snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/" MEMORY, e->d_name);
		break;
	}
	closedir(devices);
	if (!path[0])
		no_channel("no shared memory device");
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		no_channel("its memory cannot be opened");
	base = mmap(NULL, CHANNEL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		no_channel("its memory cannot be mapped");
	close(fd);
	/* Only PID 1 writes here; a fork would copy 4096 page table entries for nothing, and the
	 * fork workload would measure that. */
	madvise(base, CHANNEL_BYTES, MADV_DONTFORK);
	struct area *records = (struct area *)(base + RECORDS_AT);
	records->length = 0;
	records->magic = CHANNEL_MAGIC;
}

char *channel_plan(void)
{
	char *copy = malloc(PLAN_BYTES + 1);
	if (!copy)
		no_channel("no memory");
	memcpy(copy, base + PLAN_AT, PLAN_BYTES);
	copy[PLAN_BYTES] = 0;
	return copy;
}

void channel_record(const char *fmt, ...)
{
	static int full;
	static const char overflow[] = "{\"type\":\"overflow\"}\n";
	struct area *records = (struct area *)(base + RECORDS_AT);
	char line[4096];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(line, sizeof line - 1, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	size_t room = RECORDS_BYTES - sizeof *records - sizeof overflow;
	const char *text = line;
	if (full)
		return;
	if (records->length + (size_t)n > room) {
		full = 1;
		text = overflow;
		n = sizeof overflow - 1;
	}
	memcpy(records->text + records->length, text, (size_t)n);
	__sync_synchronize();
	records->length += (size_t)n;
}

const char *json_text(char *out, size_t room, const char *text)
{
	size_t at = 0;
	for (; *text && at + 7 < room; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\') {
			out[at++] = '\\';
			out[at++] = (char)c;
		} else if (c < 0x20 || c >= 0x7f) {
			at += (size_t)snprintf(out + at, room - at, "\\u%04x", c);
		} else {
			out[at++] = (char)c;
		}
	}
	out[at] = 0;
	return out;
}

char *channel_symbols(size_t *room)
{
	struct area *symbols = (struct area *)(base + SYMBOLS_AT);
	*room = CHANNEL_BYTES - SYMBOLS_AT - sizeof *symbols;
	return symbols->text;
}

void channel_symbols_done(size_t length)
{
	struct area *symbols = (struct area *)(base + SYMBOLS_AT);
	symbols->length = length;
	__sync_synchronize();
	symbols->magic = CHANNEL_MAGIC;
}
