/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little-endian");

const char *const KIND_NAMES[KINDS] = {
	"ok", "refused", "unreachable", "reset", "connect_timeout", "first_byte_timeout",
	"stall_timeout", "total_timeout", "http_429", "http_4xx", "http_5xx", "http_other",
	"malformed_http", "malformed_chunk", "malformed_json", "too_long", "server_error",
	"truncated", "no_tokens", "unfinished", "local",
};

static void flush(struct record_file *file)
{
	for (size_t done = 0; done < file->held;) {
		ssize_t n = write(file->descriptor, file->buffer + done, file->held - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			refuse("%s: %s", file->path, strerror(errno));
		done += (size_t)n;
	}
	file->held = 0;
}

void record_open(struct record_file *file, const char *path, const char *magic,
		 size_t record_bytes, size_t capacity, uint64_t most)
{
	*file = (struct record_file){.descriptor = -1, .path = path, .most = most};
	if (!*path)
		return;
	file->descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (file->descriptor < 0)
		refuse("%s: %s", path, strerror(errno));
	file->capacity = capacity;
	/* Its pages are there before the run: none is faulted in while it lasts. */
	file->buffer = mmap(NULL, capacity, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (file->buffer == MAP_FAILED)
		refuse("no memory for records");
	memcpy(file->buffer, magic, 8);
	uint32_t header[2] = {1, (uint32_t)record_bytes};
	memcpy(file->buffer + 8, header, sizeof header);
	file->held = 64;
}

void record_add(struct record_file *file, const void *record, size_t size)
{
	if (file->descriptor < 0)
		return;
	if (file->written == file->most) {
		file->dropped++;
		return;
	}
	if (file->capacity - file->held < size)
		flush(file);
	memcpy(file->buffer + file->held, record, size);
	file->held += size;
	file->written++;
}

void record_close(struct record_file *file)
{
	if (file->descriptor < 0)
		return;
	flush(file);
	if (close(file->descriptor))
		refuse("%s: %s", file->path, strerror(errno));
	file->descriptor = -1;
}
