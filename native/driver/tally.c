/* SPDX-License-Identifier: Apache-2.0 */
#include "tally.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "marker.h"

enum { BUFFER = 4 << 20 };

uint64_t clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct cpu cpu_now(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (struct cpu){
		(uint64_t)usage.ru_utime.tv_sec * 1000000000u + (uint64_t)usage.ru_utime.tv_usec * 1000,
		(uint64_t)usage.ru_stime.tv_sec * 1000000000u + (uint64_t)usage.ru_stime.tv_usec * 1000,
	};
}

void tally_start(struct tally *tally, const struct config *config)
{
	*tally = (struct tally){.config = config, .closes = UINT64_MAX};
	record_open(&tally->requests, config->requests_file, "KLREQST\n",
		    sizeof(struct request_record), BUFFER, UINT64_MAX);
	record_open(&tally->events, config->events_file, "KLEVENT\n", sizeof(struct event_record),
		    BUFFER, config->events_max);
	tally->started_at = clock_now();
}

void tally_open(struct tally *tally, uint64_t at)
{
	tally->opened = at;
	if (tally->config->duration_ns)
		tally->closes = at + tally->config->duration_ns;
	tally->at_open = cpu_now();
	if (tally->config->markers)
		marker_begin();
}

void tally_close(struct tally *tally, uint64_t at)
{
	if (!tally->opened || tally->closed)
		return;
	if (tally->config->markers)
		marker_end();
	tally->at_close = cpu_now();
	tally->closes = tally->closed = at;
}

void tally_token(struct tally *tally, const struct response *response, uint64_t gap,
		 uint64_t text_bytes)
{
	struct request_record *record = response->record;
	if (tally->opened && response->now < tally->closes) {
		record->events_in_window++;
		tally->tokens_in_window++;
		if (tally->config->markers)
			marker_operation();
	}
	if (gap != UINT64_MAX && !(record->flags & FLAG_WARMUP))
		histogram_add(&tally->itl, gap);
	struct event_record event = {response->now, record->index, response->merged,
				     text_bytes < UINT16_MAX ? (uint16_t)text_bytes : UINT16_MAX};
	record_add(&tally->events, &event, sizeof event);
}

void tally_request(struct tally *tally, const struct request_record *record)
{
	record_add(&tally->requests, record, sizeof *record);
	tally->bytes_in += record->bytes_in;
	tally->retried += !!(record->flags & FLAG_RETRIED);
	tally->queued += !!(record->flags & FLAG_QUEUED);
	if (record->flags & FLAG_WARMUP) {
		tally->warmup_kinds[record->kind]++;
		return;
	}
	tally->kinds[record->kind]++;
	histogram_add(&tally->delay, record->started - record->scheduled);
	if (record->kind != KIND_OK)
		return;
	tally->ended_in_window += record->end < tally->closes;
	histogram_add(&tally->ttft, record->first_token - record->scheduled);
	histogram_add(&tally->e2e, record->end - record->scheduled);
	/* The usage a server reports counts tokens; an event may carry several of them. */
	uint32_t tokens = record->usage_completion != SCAN_ABSENT ? record->usage_completion
								  : record->events;
	if (tokens > 1)
		histogram_add(&tally->tpot, (record->last_token - record->first_token) / (tokens - 1));
}

static void print_kinds(FILE *file, const char *name, const uint64_t *kinds)
{
	const char *comma = "";
	fprintf(file, ",\"%s\":{", name);
	for (int i = 0; i < KINDS; i++) {
		if (!kinds[i])
			continue;
		fprintf(file, "%s\"%s\":%" PRIu64, comma, KIND_NAMES[i], kinds[i]);
		comma = ",";
	}
	fputc('}', file);
}

/* `buckets` are pairs of number and count, those that are empty left out. */
static void print_histogram(FILE *file, const char *name, const struct histogram *h)
{
	const char *comma = "";
	double sum = (double)h->sum;
	fprintf(file, "\"%s\":{\"count\":%" PRIu64 ",\"min\":%" PRIu64 ",\"max\":%" PRIu64
		      ",\"sum\":%.17g,\"buckets\":[", name, h->count, h->minimum, h->maximum, sum);
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (!h->bucket[i])
			continue;
		fprintf(file, "%s[%d,%" PRIu64 "]", comma, i, h->bucket[i]);
		comma = ",";
	}
	fputs("]}", file);
}

void tally_finish(struct tally *tally)
{
	record_close(&tally->requests);
	record_close(&tally->events);
	const char *path = tally->config->summary;
	FILE *file = *path ? fopen(path, "we") : stdout;
	if (!file)
		refuse("%s: %s", path, strerror(errno));
	fprintf(file, "{\"version\":1,\"form\":\"%s\",\"arrival\":\"%s\",\"seed\":%" PRIu64
		      ",\"started\":%" PRIu64 ",\"window\":[%" PRIu64 ",%" PRIu64 "],\"interrupted\":%s"
		      ",\"gave_up\":%s",
		FORM_NAMES[tally->config->form], ARRIVAL_NAMES[tally->config->arrival],
		tally->config->seed, tally->started_at, tally->opened, tally->closed,
		tally->interrupted ? "true" : "false", tally->gave_up ? "true" : "false");
	fprintf(file, ",\"tokens_in_window\":%" PRIu64 ",\"ended_in_window\":%" PRIu64
		      ",\"bytes_in\":%" PRIu64 ",\"retried\":%" PRIu64 ",\"queued\":%" PRIu64
		      ",\"connections\":%" PRIu64 ",\"idle_closed\":%" PRIu64 ",\"records\":%" PRIu64
		      ",\"events_kept\":%" PRIu64 ",\"events_dropped\":%" PRIu64,
		tally->tokens_in_window, tally->ended_in_window, tally->bytes_in, tally->retried,
		tally->queued, tally->connections, tally->idle_closed, tally->requests.written,
		tally->events.written, tally->events.dropped);
	fprintf(file, ",\"cpu_user_ns\":%" PRIu64 ",\"cpu_system_ns\":%" PRIu64,
		tally->at_close.user_ns - tally->at_open.user_ns,
		tally->at_close.system_ns - tally->at_open.system_ns);
	print_kinds(file, "measured", tally->kinds);
	print_kinds(file, "warmup", tally->warmup_kinds);
	fputs(",\"histograms\":{", file);
	print_histogram(file, "ttft", &tally->ttft), fputc(',', file);
	print_histogram(file, "itl", &tally->itl), fputc(',', file);
	print_histogram(file, "tpot", &tally->tpot), fputc(',', file);
	print_histogram(file, "e2e", &tally->e2e), fputc(',', file);
	print_histogram(file, "schedule_delay", &tally->delay);
	fputs("}}\n", file);
	if (ferror(file) || (file == stdout ? fflush(file) : fclose(file)))
		refuse("the summary cannot be written: %s", strerror(errno));
}
