/* SPDX-License-Identifier: Apache-2.0
 *
 * What the guest's kernel knows of its processors: read from sysfs, never assumed.
 */
#ifndef KERNLEAP_CPUS_H
#define KERNLEAP_CPUS_H

enum { MAX_CPUS = 64 };

struct cpus {
	int count;              /* online processors, numbered from 0 */
	int llcs;               /* last-level caches */
	int llc[MAX_CPUS];      /* of a processor: its last-level cache, from 0 in order of CPUs */
	int member[MAX_CPUS][MAX_CPUS]; /* processors of a cache, in order */
	int members[MAX_CPUS];
};

/* Fills it in. Returns 0, or -1 when sysfs does not say. */
int cpus_read(struct cpus *out);

/* Reads a small file's first bytes, the line break cut off; "" when it cannot be read. */
void file_text(char *out, int room, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* One record per processor, and what the kernel printed of cache-aware scheduling. */
void cpus_record(void);

#endif
