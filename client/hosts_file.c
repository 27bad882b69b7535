/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only read when -H is neither a path nor a URL. */
#include "hosts_file.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "util/buffer.h"

static char *file_path(void)
{
    const char *configuration = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    const struct passwd *user;
    char *path = NULL;
    int r;

    /* A relative XDG_CONFIG_HOME is invalid and ignored: XDG Base Directory Specification 0.8. */
    if (configuration && *configuration == '/') {
        r = asprintf(&path, "%s/devreg/hosts.json", configuration);
        return r < 0 ? NULL : path;
    }
    if (!home || !*home) {
        user = getpwuid(geteuid());
        home = user ? user->pw_dir : "";
    }
    r = asprintf(&path, "%s/.config/devreg/hosts.json", home);
    return r < 0 ? NULL : path;
}

static int fail_unknown(const char *name, const char *path, const json_t *hosts, struct failure *failure)
{
    _cleanup_buffer_ struct buffer known = {0};
    const char *key;
    const json_t *value;

    json_object_foreach ((json_t *)hosts, key, value) {
        buffer_append_string(&known, known.size > 0 ? ", " : "");
        buffer_append_string(&known, key);
    }
    buffer_append_char(&known, '\0');
    if (buffer_failed(&known))
        return failure_set(failure, EXIT_CODE_OTHER, "out of memory");
    return failure_set(failure, EXIT_CODE_USAGE, "no host is called %s in %s, which has: %s", name, path,
            known.size > 1 ? known.data : "none");
}

int hosts_file_find(const char *name, char **ret_address, struct failure *failure)
{
    _cleanup_free_ char *path = file_path();
    json_auto_t *root = NULL;
    json_error_t mistake;
    const json_t *hosts, *address;

    if (!path)
        return failure_set(failure, EXIT_CODE_OTHER, "out of memory");
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return failure_set(failure, EXIT_CODE_USAGE,
                "no host is called %s: it would be looked up in %s, which does not exist", name, path);
    root = json_load_file(path, JSON_REJECT_DUPLICATES, &mistake);
    if (!root)
        return failure_set(
                failure, EXIT_CODE_USAGE, "%s:%d:%d: %s", path, mistake.line, mistake.column, mistake.text);
    hosts = json_object_get(root, "hosts");
    if (!json_is_object(hosts))
        return failure_set(failure, EXIT_CODE_USAGE,
                "%s: expected {\"hosts\": {\"NAME\": \"http://NAME:PORT\"}}", path);
    address = json_object_get(hosts, name);
    if (!address)
        return fail_unknown(name, path, hosts, failure);
    if (!json_is_string(address))
        return failure_set(failure, EXIT_CODE_USAGE, "%s: /hosts/%s: expected a string", path, name);
    *ret_address = strdup(json_string_value(address));
    return *ret_address ? 0 : failure_set(failure, EXIT_CODE_OTHER, "out of memory");
}
