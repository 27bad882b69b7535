/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl interrupts watch [SOURCE...]: what happens, as it happens. Signals do what they always do: there
 * is nothing to put in order. */
#include "follower.h"

int cmd_interrupts_watch(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_follower_ struct follower follower;
    int r;

    (void)ret_result;
    r = follower_begin(&follower, call, NULL, failure);
    if (r < 0)
        return r;
    if (call->options->count > 0)
        follower.left = call->options->count;
    follower.for_each = true;
    follower_be_patient(&follower);
    return subscription_run(&follower.subscription, failure);
}
