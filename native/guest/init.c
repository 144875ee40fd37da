/* SPDX-License-Identifier: Apache-2.0
 *
 * PID 1 of the measuring guest: mounts, reads the plan, credits the random generator, sets
 * knobs, lets the kernel settle, runs the regions, and switches the machine off. There is
 * nothing else in user space.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/random.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "knob.h"
#include "marker.h"
#include "placement/cpus.h"
#include "placement/place.h"
#include "region.h"
#include "service.h"
#include "symbols.h"

enum { SEED_BYTES = 64, WINDOW = 65536, MAX_REGIONS = 256 };

/* A file system that the guest can do without (debugfs) is only missed by its knobs. */
static void mount_all(void)
{
	static const struct {
		const char *type, *at;
	} table[] = {{"proc", "/proc"},
		     {"sysfs", "/sys"},
		     {"devtmpfs", "/dev"},
		     {"debugfs", "/sys/kernel/debug"},
		     {"tmpfs", "/tmp"}};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (mount(table[i].type, table[i].at, table[i].type, 0, NULL) && errno != EBUSY)
			fprintf(stderr, "kernleap: %s: %s\n", table[i].at, strerror(errno));
}

/* Brings `lo` up, which also gives it 127.0.0.1. Early, so that the timers this starts are
 * over before anything is measured. */
static void raise_loopback(void)
{
	struct ifreq lo = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ok = fd >= 0 && !ioctl(fd, SIOCGIFFLAGS, &lo);
	lo.ifr_flags |= IFF_UP;
	if (!ok || ioctl(fd, SIOCSIFFLAGS, &lo))
		channel_record("{\"type\":\"error\",\"text\":\"no loopback interface\"}");
	if (fd >= 0)
		close(fd);
}

static void nap(double seconds)
{
	struct timespec t = {.tv_sec = (time_t)seconds,
			     .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* Credits bytes expanded from the plan's seed. Without this, kernel-stack randomisation may take
 * its slow, unseeded path in each system call, and a kernel looks three times slower than it is. */
static void credit_entropy(uint64_t *seed)
{
	union {
		struct rand_pool_info head;
		unsigned char bytes[sizeof(struct rand_pool_info) + SEED_BYTES];
	} pool = {.head = {.entropy_count = SEED_BYTES * 8, .buf_size = SEED_BYTES}};
	unsigned char *bytes = pool.bytes + offsetof(struct rand_pool_info, buf);
	for (int i = 0; i < SEED_BYTES; i++)
		bytes[i] = (unsigned char)splitmix64(seed);
	int fd = open("/dev/random", O_WRONLY);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool))
		channel_record("{\"type\":\"error\",\"text\":\"no entropy can be credited\"}");
	if (fd >= 0)
		close(fd);
}

/* Turns counting on, once, and records whether the random generator was ready by then: the
 * controller takes no figures from a boot in which it was not. */
static void arm(void)
{
	static int armed;
	unsigned char probe;
	if (armed++)
		return;
	channel_record("{\"type\":\"crng\",\"ready\":%s}",
		       getrandom(&probe, 1, GRND_NONBLOCK) == 1 ? "true" : "false");
	KL_ARM();
}

static void send_word(const unsigned char *window, uint64_t word)
{
	for (int shift = 0; shift < 64; shift += 16)
		kl_send16(window, (uint16_t)(word >> shift));
}

/* What the kernel says of itself: its release, who built it with what, and how it was booted. */
static void record_facts(void)
{
	static const char *const files[][2] = {{"version", "/proc/version"}, {"cmdline", "/proc/cmdline"}};
	struct utsname u;
	char raw[2048], text[3800];
	uname(&u);
	channel_record("{\"type\":\"release\",\"text\":\"%s\"}",
		       json_text(text, sizeof text, u.release));
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		int fd = open(files[i][1], O_RDONLY);
		ssize_t n = fd < 0 ? 0 : read(fd, raw, sizeof raw - 1);
		raw[n > 0 ? n : 0] = 0;
		if (fd >= 0)
			close(fd);
		channel_record("{\"type\":\"%s\",\"text\":\"%s\"}", files[i][0],
			       json_text(text, sizeof text, raw));
	}
}

static int run_region(char *arguments, int index, uint64_t draw)
{
	struct ctx c = {.draw = draw};
	char name[64], form[32];
	if (sscanf(arguments, "%63s %31s %ld %ld %ld %ld %ld %ld", name, form, &c.iterations,
		   &c.warmup, &c.param[0], &c.param[1], &c.param[2], &c.param[3]) < 4 ||
	    c.iterations < 1 || c.warmup < 0) {
		channel_record("{\"type\":\"error\",\"text\":\"a run line of the plan is malformed\"}");
		return 0;
	}
	c.form = form;
	const struct workload *w = workload_find(name);
	if (!w) {
		channel_record("{\"type\":\"error\",\"text\":\"this guest has no workload %s\"}", name);
		return 0;
	}
	return region_run(w, &c, index);
}

static void follow_plan(char *plan, unsigned char *window)
{
	int regions = 0;
	uint64_t seed = 0;
	for (char *save, *line = strtok_r(plan, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *arguments = strchr(line, ' ');
		if (arguments)
			*arguments++ = 0;
		else
			arguments = line + strlen(line);
		if (!strcmp(line, "seed")) {
			seed = strtoull(arguments, NULL, 10);
			credit_entropy(&seed);
		} else if (!strcmp(line, "knob")) {
			char *inner, *kind = strtok_r(arguments, "\t", &inner);
			char *key = strtok_r(NULL, "\t", &inner), *value = strtok_r(NULL, "\t", &inner);
			if (kind && key)
				knob_set(kind, key, value ? value : "");
		} else if (!strcmp(line, "settle")) {
			nap(strtod(arguments, NULL));
		} else if (!strcmp(line, "event")) {
			char *end;
			send_word(window, strtoull(arguments, &end, 10));
			send_word(window, strtoull(end, NULL, 16));
		} else if (!strcmp(line, "run")) {
			arm();
			if (regions < MAX_REGIONS)
				run_region(arguments, regions++, splitmix64(&seed));
		} else if (!strcmp(line, "processors")) {
			cpus_record();
		} else if (!strcmp(line, "place")) {
			arm();
			place_run(arguments, regions++, splitmix64(&seed));
		} else if (!strcmp(line, "start")) {
			arm();
			KL_SERVICE();
			service_start(arguments);
		} else if (!strcmp(line, "ready")) {
			service_wait(arguments);
		} else if (!strcmp(line, "drive")) {
			service_drive(arguments, regions++);
			service_stop_all();
		} else if (!strcmp(line, "symbols")) {
			symbols_dump();
		} else {
			channel_record("{\"type\":\"error\",\"text\":\"an unknown line in the plan\"}");
		}
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	if (getpid() != 1) {
		fprintf(stderr, "kernleap: this program is the init of a measuring guest\n");
		return 1;
	}
	/* The kernel hands unknown boot parameters to PID 1 as arguments and environment, where
	 * they would move the stack. Start over with neither. */
	if (argv[0] && strcmp(argv[0], "kernleap")) {
		char *const none[] = {NULL}, *const self[] = {"kernleap", NULL};
		/* One address-space layout for every boot: where a mapping falls decides how many page
		 * tables it needs. */
		personality(ADDR_NO_RANDOMIZE);
		execve("/init", self, none);
	}
	mount_all();
	channel_open();
	record_facts();
	region_prepare();
	raise_loopback();
	unsigned char *window =
		mmap((void *)0x10000000, WINDOW, PROT_READ,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0);
	if (window == MAP_FAILED)
		channel_record("{\"type\":\"error\",\"text\":\"no window for the plugin\"}");
	else
		follow_plan(channel_plan(), window);
	channel_record("{\"type\":\"done\"}");
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
