/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lock order: the device's lock is taken with no other held; a backend's own may be taken under it. */
#include "core/silence.h"

void silence_begin(struct device *device)
{
    pthread_mutex_lock(&device->asking);
    device->silent = true;
    pthread_mutex_unlock(&device->asking);
}

/* Done here, not on the loop: the next reset may begin before the loop has heard of this one. */
void silence_end(struct device *device)
{
    pthread_mutex_lock(&device->asking);
    device->silent = false;
    if (device->watch)
        device->watch->answers(device->watch);
    pthread_mutex_unlock(&device->asking);
}

bool silence_enter(struct device *device)
{
    pthread_mutex_lock(&device->asking);
    return !device->silent;
}

void silence_leave(struct device *device)
{
    pthread_mutex_unlock(&device->asking);
}

enum silence_look silence_look(struct device *device)
{
    enum silence_look look = SILENCE_HOLDS;

    if (silence_enter(device))
        look = !device->backend->device_present || device->backend->device_present(device->handle)
                       ? SILENCE_PRESENT
                       : SILENCE_GONE;
    silence_leave(device);
    return look;
}
