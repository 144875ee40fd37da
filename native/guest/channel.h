/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared memory between guest and controller (a PCI memory device): the plan comes in,
 * records and symbols go out. Its size is fixed, so nothing a guest does can fill a disk.
 */
#ifndef KERNLEAP_CHANNEL_H
#define KERNLEAP_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

/* Layout; kernleap/guest/channel.py has the same numbers. */
enum {
	CHANNEL_BYTES = 16 << 20,
	PLAN_AT = 0x0,          /* NUL-terminated text */
	PLAN_BYTES = 0x10000,
	RECORDS_AT = 0x10000,   /* u64 magic, u64 length, then JSON lines */
	RECORDS_BYTES = 0x100000,
	SYMBOLS_AT = 0x200000,  /* u64 magic, u64 length, then kallsyms text */
};
#define CHANNEL_MAGIC 0x315041454c4e524bull /* "KRNLEAP1", little endian */

/* Finds and maps the device; ends the guest when there is none. */
void channel_open(void);
/* A private copy of the plan. */
char *channel_plan(void);
/* Appends one line to the records. Dropped, with a flag, when the room is used up. */
void channel_record(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Escapes for a JSON string, into out (always terminated). */
const char *json_text(char *out, size_t room, const char *text);
/* The symbols area: room for `*room` bytes, then the length that was used. */
char *channel_symbols(size_t *room);
void channel_symbols_done(size_t length);

#endif
