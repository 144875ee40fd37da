/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols.h"

#include <stdio.h>
#include <string.h>

#include "channel.h"

void symbols_dump(void)
{
	char line[1024];
	size_t room, used = 0;
	int truncated = 0;
	char *out = channel_symbols(&room);
	FILE *in = fopen("/proc/kallsyms", "r");
	if (!in) {
		channel_record("{\"type\":\"symbols\",\"error\":\"/proc/kallsyms cannot be read\"}");
		return;
	}
	while (fgets(line, sizeof line, in)) {
		/* "ADDRESS TYPE NAME[\t[MODULE]]": only code matters, and only the kernel's own. */
		size_t n = strlen(line);
		if (n < 20 || !strchr("tTwW", line[17]))
			continue;
		if (used + n > room) {
			truncated = 1;
			break;
		}
		memcpy(out + used, line, n);
		used += n;
	}
	fclose(in);
	channel_symbols_done(used);
	channel_record("{\"type\":\"symbols\",\"bytes\":%zu,\"truncated\":%s}", used,
		       truncated ? "true" : "false");
}
