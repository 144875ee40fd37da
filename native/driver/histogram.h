/* SPDX-License-Identifier: Apache-2.0
 *
 * A histogram of nanoseconds with a bounded relative error ("high dynamic range"): values below
 * 256 have a bucket each; above, each power of two is cut into 128 equal buckets, so that no
 * bucket is wider than 1/128 (0.8 %) of its lower bound.
 *
 *   bucket(v) = v                        for v < 256
 *             = e * 128 + (v >> e)       else, e = floor(log2 v) - 7
 *
 * Buckets end at 2^45 ns (9.8 hours); what is longer goes into the last one. Python's side is
 * kernleap.workload.serving.histogram.
 */
#ifndef KERNLEAP_HISTOGRAM_H
#define KERNLEAP_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BITS = 45, HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - 8) * 128 + 256 };

struct histogram {
	uint64_t count, minimum, maximum;
	unsigned __int128 sum;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t value)
{
	if (value < 256)
		return (unsigned)value;
	if (value >> HISTOGRAM_BITS)
		return HISTOGRAM_BUCKETS - 1;
	unsigned e = 63u - (unsigned)__builtin_clzll(value) - 7u;
	return e * 128 + (unsigned)(value >> e);
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->bucket[histogram_bucket(value)]++;
	if (!histogram->count++ || value < histogram->minimum)
		histogram->minimum = value;
	if (value > histogram->maximum)
		histogram->maximum = value;
	histogram->sum += value;
}

#endif
