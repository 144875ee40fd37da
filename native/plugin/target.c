/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "target.h"

#include <string.h>

static const struct kl_target *const targets[] = { &kl_target_x86, &kl_target_arm64 };

const struct kl_target *kl_target_find(const char *name)
{
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        if (strcmp(targets[i]->name, name) == 0) {
            return targets[i];
        }
    }
    return NULL;
}
