/* SPDX-License-Identifier: Apache-2.0
 *
 * kernleap-load: a load driver for streaming LLM servers. See README.md.
 *
 *   kernleap-load [FILE] [KEY=VALUE]...    runs a load; the summary is one line of JSON
 *   kernleap-load --schedule [...]         prints what the load would be, and sends nothing
 *   kernleap-load --decode                 decodes recorded responses (decode.c)
 *
 * Exit status: 0 the load ran (failed requests are data), 2 wrong configuration or a local
 * failure, 130 interrupted (what was measured so far is written).
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "config.h"
#include "decode.h"
#include "engine.h"
#include "marker.h"

static int print_schedule(const struct config *config)
{
	struct schedule schedule;
	struct due due;
	schedule_start(&schedule, config);
	uint64_t most = config->warmup_requests + config->requests;
	uint64_t until = config->duration_ns ? config->warmup_ns + config->duration_ns : UINT64_MAX;
	if (!config->requests)
		most = UINT64_MAX;
	if (config->arrival == ARRIVAL_CLOSED && !config->requests)
		refuse("--schedule: a closed loop by time has as many requests as the server allows");
	while (schedule.index < most && schedule_next(&schedule, &due) && due.at_ns < until)
		printf("%" PRIu64 " %u %u\n", due.at_ns, due.prompt, due.output);
	return fflush(stdout) ? 2 : 0;
}

int main(int argc, char **argv)
{
	static struct config config;
	static struct engine engine;
	if (argc == 2 && !strcmp(argv[1], "--decode"))
		return decode_main();
	bool schedule_only = argc > 1 && !strcmp(argv[1], "--schedule");
	config_read(&config, argc - schedule_only, argv + schedule_only);
	if (schedule_only)
		return print_schedule(&config);
	if (config.markers && !MARKERS)
		refuse("markers: there are none on this architecture");
	if (config.die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	engine_run(&engine, &config);
	tally_finish(&engine.tally);
	return engine.tally.interrupted ? 130 : 0;
}
