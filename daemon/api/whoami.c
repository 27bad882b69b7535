/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who the daemon takes the asker for, and what that allows: the first thing to look at when something is
 * refused. */
#include <inttypes.h>
#include <stdio.h>

#include "api/extent.h"
#include "api/handlers.h"
#include "util/date.h"
#include "util/json_writer.h"

/* A group's name as the rules have it. The user database is not asked: it may be slow, and everybody may
 * ask this. */
static const char *find_group_name(const struct access_rules *rules, gid_t id)
{
    for (size_t i = 0; i < rules->count; i++) {
        for (size_t k = 0; k < rules->rules[i].subject_count; k++) {
            const struct access_subject *subject = &rules->rules[i].subjects[k];

            if (subject->kind == SUBJECT_GROUP && subject->has_id && subject->id == id)
                return subject->pattern;
        }
    }
    return NULL;
}

static void write_groups(struct json_writer *writer, const struct call *call)
{
    const struct principal *principal = call->principal;

    json_begin_array(writer, "groups");
    for (size_t i = 0; i < principal->group_count; i++) {
        const char *name = find_group_name(call->daemon->access, principal->groups[i]);
        char number[24];

        snprintf(number, sizeof(number), "%" PRIu64, (uint64_t)principal->groups[i]);
        json_put_string(writer, NULL, name ? name : number);
    }
    json_end_array(writer);
}

static void write_expiry(struct json_writer *writer, uint64_t seconds)
{
    char text[DATE_SIZE];

    json_put_string(writer, "expires", seconds ? date_format(seconds, text) : NULL);
}

static void write_permissions(struct json_writer *writer, const char *key, permission_set permissions)
{
    json_begin_array(writer, key);
    for (enum permission i = PERMISSION_LIST; i <= PERMISSION_ADMIN; i++) {
        if (permissions & permission_bit(i))
            json_put_string(writer, NULL, permission_name(i));
    }
    json_end_array(writer);
}

struct permissions {
    permission_set any, part; /* part: those of any that are not for all of the region */
};

static struct permissions find_permissions(const struct call *call, const struct region *region)
{
    struct permissions permissions = {0, 0};
    struct access_decision decision;

    for (enum permission i = PERMISSION_LIST; i <= PERMISSION_ADMIN; i++) {
        enum extent extent = extent_of(call->daemon, call->principal, i, region, &decision);

        if (extent != EXTENT_NONE)
            permissions.any |= permission_bit(i);
        if (extent == EXTENT_PART)
            permissions.part |= permission_bit(i);
    }
    return permissions;
}

/* Anywhere: for what is about no region, or for one of them. */
static permission_set find_all_permissions(const struct call *call)
{
    const struct inventory *inventory = call->daemon->inventory;
    struct access_decision decision;
    permission_set all = 0;

    for (enum permission i = PERMISSION_LIST; i <= PERMISSION_ADMIN; i++) {
        if (access_may(call->daemon->access, call->principal, i, NULL, &decision))
            all |= permission_bit(i);
    }
    for (size_t i = 0; i < inventory->region_count; i++)
        all |= find_permissions(call, inventory->regions[i]).any;
    return all;
}

static void write_regions(struct json_writer *writer, const struct call *call)
{
    const struct inventory *inventory = call->daemon->inventory;

    json_begin_array(writer, "regions");
    for (size_t i = 0; i < inventory->region_count; i++) {
        const struct region *region = inventory->regions[i];
        struct permissions permissions = find_permissions(call, region);

        if (!permissions.any)
            continue;
        json_begin_object(writer, NULL);
        json_put_string(writer, "region", region_name(region));
        write_permissions(writer, "permissions", permissions.any);
        write_permissions(writer, "restricted", permissions.part);
        json_end_object(writer);
    }
    json_end_array(writer);
}

void whoami_get(struct call *call)
{
    const struct principal *principal = call->principal;
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    json_put_string(&writer, "principal", principal->name);
    json_put_string(&writer, "kind", principal_kind_name(principal->kind));
    json_put_string(&writer, "peer", call->peer);
    write_groups(&writer, call);
    write_expiry(&writer, principal->expires);
    write_permissions(&writer, "permissions", find_all_permissions(call));
    write_regions(&writer, call);
    json_end_object(&writer);
    call_answer_json(call);
}
