/* SPDX-License-Identifier: Apache-2.0 */
#include "knob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"

static int path_of(char *out, size_t room, const char *kind, const char *key)
{
	int sysctl = !strcmp(kind, "sysctl");
	const char *root = sysctl			 ? "/proc/sys/"
			   : !strcmp(kind, "debugfs") ? "/sys/kernel/debug/"
			   : !strcmp(kind, "sysfs")   ? "/sys/"
						      : NULL;
	if (!root || strstr(key, ".."))
		return -1;
	int n = snprintf(out, room, "%s%s", root, key);
	if (n < 0 || (size_t)n >= room)
		return -1;
	if (sysctl && !strchr(key, '/'))
		for (char *p = out + strlen(root); *p; p++)
			if (*p == '.')
				*p = '/';
	return 0;
}

static void read_back(const char *path, char *out, size_t room)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, out, room - 1);
	out[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
	for (char *p = out + strlen(out); p > out && p[-1] == '\n';)
		*--p = 0;
}

void knob_set(const char *kind, const char *key, const char *value)
{
	char path[512], before[512], after[512], text[4][1100];
	const char *error = "";
	if (path_of(path, sizeof path, kind, key)) {
		error = "not a valid key";
		before[0] = after[0] = 0;
	} else {
		read_back(path, before, sizeof before);
		int fd = open(path, O_WRONLY | O_TRUNC);
		if (fd < 0 || write(fd, value, strlen(value)) < 0)
			error = strerror(errno);
		if (fd >= 0)
			close(fd);
		read_back(path, after, sizeof after);
	}
	channel_record("{\"type\":\"knob\",\"kind\":\"%s\",\"key\":\"%s\",\"before\":\"%s\","
		       "\"after\":\"%s\",\"error\":\"%s\"}",
		       kind, json_text(text[0], sizeof text[0], key),
		       json_text(text[1], sizeof text[1], before),
		       json_text(text[2], sizeof text[2], after),
		       json_text(text[3], sizeof text[3], error));
}
