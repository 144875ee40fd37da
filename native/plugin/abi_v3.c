/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin for QEMU 9.1 and later, as far as they accept API 3: the same code, declared so. */
#define KL_API_VERSION 3
#include "abi_new.c"
