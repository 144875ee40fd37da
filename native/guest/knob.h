/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNLEAP_KNOB_H
#define KERNLEAP_KNOB_H

/* Sets one knob (kind: sysctl, debugfs or sysfs), reads it back, and records before, after
 * and any error. The controller decides from the record whether it took. */
void knob_set(const char *kind, const char *key, const char *value);

#endif
