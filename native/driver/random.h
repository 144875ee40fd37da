/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers of our own, so that a seed means the same schedule on every machine and C
 * library: xoshiro256** (Blackman, Vigna 2018) seeded through splitmix64.
 */
#ifndef KERNLEAP_RANDOM_H
#define KERNLEAP_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t word[4];
};

/* Streams of one seed are independent: arrivals are one, each request's lengths another. */
void random_seed(struct random *random, uint64_t seed, uint64_t stream);
uint64_t random_next(struct random *random);
/* Uniform in [0, below), without bias; `below` is at least 1. */
uint64_t random_below(struct random *random, uint64_t below);
/* Uniform in (0, 1), never an end. */
double random_unit(struct random *random);
/* Exponential with mean 1. */
double random_exponential(struct random *random);
/* About normal (a sum of twelve uniforms), mean 0, deviation 1, within [-6, 6]. */
double random_normal(struct random *random);

#endif
