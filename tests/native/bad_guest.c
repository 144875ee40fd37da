/* SPDX-License-Identifier: Apache-2.0
 *
 * A guest that misbehaves in the way its boot parameter says: what the lab must survive.
 */
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"

static noreturn void off(void)
{
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

int main(void)
{
	const char *how = getenv("bad") ? getenv("bad") : "";
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	channel_open();
	if (!strcmp(how, "panic"))
		return 1; /* "Attempted to kill init!" */
	if (!strcmp(how, "hang"))
		for (;;)
			;
	if (!strcmp(how, "flood"))
		for (;;)
			puts("All work and no play makes Jack a dull boy. <script>alert(1)</script>");
	if (!strcmp(how, "off"))
		off();
	if (!strcmp(how, "garbage"))
		channel_record("{\"type\":\xff\xfe garbage");
	if (!strcmp(how, "wrong"))
		channel_record("[\"done\"]");
	if (!strcmp(how, "overflow"))
		for (int i = 0; i < 1000000; i++)
			channel_record("{\"type\":\"noise\",\"text\":\"%080d\"}", i);
	if (!strcmp(how, "liar")) {
		/* Says that all went well, and measured nothing. */
		channel_record("{\"type\":\"release\",\"text\":\"9.9\"}");
		channel_record("{\"type\":\"version\",\"text\":\"Linux version 9.9\"}");
		channel_record("{\"type\":\"cmdline\",\"text\":\"bad=liar\"}");
		channel_record("{\"type\":\"crng\",\"credited\":true,\"ready\":true}");
	}
	if (!strcmp(how, "unseeded")) {
		channel_record("{\"type\":\"release\",\"text\":\"9.9\"}");
		channel_record("{\"type\":\"version\",\"text\":\"Linux version 9.9\"}");
		channel_record("{\"type\":\"cmdline\",\"text\":\"bad=unseeded\"}");
		channel_record("{\"type\":\"crng\",\"credited\":false,\"ready\":false}");
	}
	channel_record("{\"type\":\"done\"}");
	off();
}
