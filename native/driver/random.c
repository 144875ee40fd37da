/* SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

#include <string.h>

static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void random_seed(struct random *random, uint64_t seed, uint64_t stream)
{
	uint64_t mixed = stream;
	uint64_t state = seed ^ splitmix(&mixed);
	for (int i = 0; i < 4; i++)
		random->word[i] = splitmix(&state);
}

static uint64_t rotated(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

uint64_t random_next(struct random *random)
{
	uint64_t *s = random->word;
	uint64_t result = rotated(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotated(s[3], 45);
	return result;
}

uint64_t random_below(struct random *random, uint64_t below)
{
	uint64_t unfair = -below % below; /* so many of the 2^64 values have no full round */
	uint64_t value;
	do
		value = random_next(random);
	while (value < unfair);
	return value % below;
}

double random_unit(struct random *random)
{
	return ((double)(random_next(random) >> 12) + 0.5) * 0x1p-52;
}

/* The natural logarithm of x in (0, 1): the series of atanh, the same bits on every processor
 * (built without contraction), which the C library's own does not promise. */
static double logarithm(double x)
{
	uint64_t bits;
	memcpy(&bits, &x, sizeof bits);
	int exponent = (int)(bits >> 52) - 1022;
	bits = (bits & 0xfffffffffffffu) | (uint64_t)1022 << 52;
	double mantissa; /* in [0.5, 1) */
	memcpy(&mantissa, &bits, sizeof mantissa);
	if (mantissa < 0.70710678118654752) {
		mantissa *= 2;
		exponent--;
	}
	double s = (mantissa - 1) / (mantissa + 1), square = s * s, sum = 0;
	for (int k = 25; k >= 1; k -= 2)
		sum = sum * square + 1.0 / k;
	return 2 * s * sum + exponent * 0.69314718055994531;
}

double random_exponential(struct random *random)
{
	return -logarithm(random_unit(random));
}

double random_normal(struct random *random)
{
	double sum = -6;
	for (int i = 0; i < 12; i++)
		sum += random_unit(random);
	return sum;
}
