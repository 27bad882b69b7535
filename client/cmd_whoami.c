/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl whoami: who the daemon takes the asker for, and what that one may do. */
#include "output.h"
#include "request.h"

int cmd_whoami(struct call *call, json_t **ret_result, struct failure *failure)
{
    int r = call_connect(call, failure);

    if (r < 0)
        return r;
    return connection_get(&call->connection, "/v1/whoami", ret_result, failure);
}

static void add_region(struct table *table, const json_t *region)
{
    _cleanup_buffer_ struct buffer permissions = {0};
    _cleanup_buffer_ struct buffer restricted = {0};

    member_words(&permissions, region, "permissions");
    member_words(&restricted, region, "restricted");
    table_add_row(table, (const char *const[]){member_text(region, "region", "?"), buffer_text(&permissions),
                                 buffer_text(&restricted)});
}

void cmd_whoami_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const titles[] = {"REGION", "MAY", "MAY FOR A PART"};
    static const char *const written[] = {"principal", "expires", "regions", NULL};
    const json_t *regions = json_object_get(result, "regions");
    _cleanup_table_ struct table table = {.columns = 3};
    const json_t *region;
    size_t i;

    (void)call;
    fact_write(stream, 0, "principal", member_text(result, "principal", "?"));
    if (json_object_get(result, "expires"))
        fact_write(stream, 0, "expires", member_text(result, "expires", "never"));
    facts_write(stream, result, 0, written);
    if (json_array_size(regions) == 0)
        return;
    table_add_row(&table, titles);
    json_array_foreach ((json_t *)regions, i, region) {
        add_region(&table, region);
    }
    fputc('\n', stream);
    table_write(stream, &table);
}
