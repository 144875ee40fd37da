/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNLEAP_DECODE_H
#define KERNLEAP_DECODE_H

int decode_main(void);

#endif
