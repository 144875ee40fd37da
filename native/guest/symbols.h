/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNLEAP_SYMBOLS_H
#define KERNLEAP_SYMBOLS_H

/* Copies the text symbols of /proc/kallsyms to the channel, and records how many bytes. */
void symbols_dump(void);

#endif
