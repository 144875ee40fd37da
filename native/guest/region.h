/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs one region: forks the measured process, and its partner in the two-process forms.
 */
#ifndef KERNLEAP_REGION_H
#define KERNLEAP_REGION_H

#include "runtime.h"

const struct workload *workload_find(const char *name);

/* Runs it and appends one "region" record. Returns 1 when the region was counted. */
int region_run(const struct workload *w, struct ctx *c, int index);

/* Once, before the first region. */
void region_prepare(void);

#endif
