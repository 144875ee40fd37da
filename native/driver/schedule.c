/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACE_MOST = 10 * 1000 * 1000, LONGEST = 1 << 20 };

static bool read_field(char **text, uint64_t low, uint64_t high, uint64_t *value)
{
	char *end;
	while (**text == ' ' || **text == '\t')
		++*text;
	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*value = strtoull(*text, &end, 10);
	*text = end;
	return !errno && *value >= low && *value <= high;
}

static void read_trace(struct schedule *schedule, const char *path)
{
	static char line[256];
	FILE *file = fopen(path, "re");
	if (!file)
		refuse("%s: %s", path, strerror(errno));
	uint64_t room = 0, last = 0;
	for (int n = 1; fgets(line, sizeof line, file); n++) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		char *p = line;
		uint64_t at, prompt, output;
		if (!read_field(&p, last, UINT64_C(1) << 53, &at) ||
		    !read_field(&p, 1, LONGEST, &prompt) || !read_field(&p, 1, LONGEST, &output) ||
		    (*p != '\n' && *p))
			refuse("%s:%d: not `arrival_ns prompt_tokens output_tokens` in order of arrival",
			       path, n);
		if (schedule->trace_count == room) {
			room = room ? room * 2 : 1024;
			schedule->trace = realloc(schedule->trace, room * sizeof *schedule->trace);
			if (!schedule->trace || room > 2 * TRACE_MOST)
				refuse("%s: more than %d requests", path, TRACE_MOST);
		}
		schedule->trace[schedule->trace_count++] =
			(struct arrival_record){at, (uint32_t)prompt, (uint32_t)output};
		last = at;
	}
	if (ferror(file) || !schedule->trace_count)
		refuse("%s: no requests", path);
	fclose(file);
}

void schedule_start(struct schedule *schedule, const struct config *config)
{
	*schedule = (struct schedule){.config = config};
	random_seed(&schedule->arrivals, config->seed, 0);
	if (config->trace[0])
		read_trace(schedule, config->trace);
}

static uint32_t length(const struct lengths *lengths, struct random *random, uint32_t traced)
{
	switch (lengths->shape) {
	case SHAPE_FIXED: return (uint32_t)lengths->mean;
	case SHAPE_TRACE: return traced;
	case SHAPE_UNIFORM:
		return (uint32_t)(lengths->low + random_below(random, lengths->high - lengths->low + 1));
	case SHAPE_NORMAL: break;
	}
	double value = (double)lengths->mean + (double)lengths->deviation * random_normal(random) + 0.5;
	if (value < (double)lengths->low)
		return (uint32_t)lengths->low;
	return value > (double)lengths->high ? (uint32_t)lengths->high : (uint32_t)value;
}

/* Moves the clock of arrivals to that of request `index`. */
static void advance(struct schedule *schedule)
{
	const struct config *c = schedule->config;
	double gap = 1e9 / c->rate;
	switch (c->arrival) {
	case ARRIVAL_POISSON:
		schedule->elapsed_ns += gap * random_exponential(&schedule->arrivals);
		break;
	case ARRIVAL_CONSTANT:
		schedule->elapsed_ns = gap * (double)schedule->index;
		break;
	case ARRIVAL_BURSTY: /* bursts arrive like Poisson's, at the same mean rate of requests */
		if (schedule->in_burst++ % c->burst == 0)
			schedule->elapsed_ns +=
				gap * (double)c->burst * random_exponential(&schedule->arrivals);
		break;
	case ARRIVAL_CLOSED:
	case ARRIVAL_TRACE: break;
	}
}

bool schedule_next(struct schedule *schedule, struct due *due)
{
	const struct config *c = schedule->config;
	const struct arrival_record *traced = NULL;
	if (schedule->trace_count) {
		if (c->arrival == ARRIVAL_TRACE && schedule->index >= schedule->trace_count)
			return false;
		traced = &schedule->trace[schedule->index % schedule->trace_count];
	}
	advance(schedule);
	due->index = schedule->index++;
	due->at_ns = c->arrival == ARRIVAL_TRACE ? traced->at_ns : (uint64_t)schedule->elapsed_ns;
	random_seed(&due->random, c->seed, due->index + 1);
	due->prompt = length(&c->prompt, &due->random, traced ? traced->prompt : 0);
	due->output = length(&c->output, &due->random, traced ? traced->output : 0);
	return true;
}

uint32_t schedule_longest_prompt(const struct schedule *schedule)
{
	const struct lengths *lengths = &schedule->config->prompt;
	if (lengths->shape != SHAPE_TRACE)
		return (uint32_t)lengths->high;
	uint32_t longest = 0;
	for (uint64_t i = 0; i < schedule->trace_count; i++)
		if (schedule->trace[i].prompt > longest)
			longest = schedule->trace[i].prompt;
	return longest;
}
