// SPDX-License-Identifier: GPL-2.0-only
/* How a kernel is asked whether memory is encrypted (before: mem_encrypt_active()). */
#include <linux/cc_platform.h>

bool probe(void);
bool probe(void)
{
    return cc_platform_has(CC_ATTR_MEM_ENCRYPT);
}
