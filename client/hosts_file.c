/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only read when -H is neither a path nor a URL. */
#include "hosts_file.h"

#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "util/buffer.h"

/* What an entry may hold, and where it goes. */
static const struct member {
    const char *name;
    size_t offset;
    bool is_file;
} members[] = {
        {"url", offsetof(struct hosts_entry, url), false},
        {"token_file", offsetof(struct hosts_entry, token_file), true},
        {"cacert", offsetof(struct hosts_entry, cacert), true},
        {"cert", offsetof(struct hosts_entry, cert), true},
        {"key", offsetof(struct hosts_entry, key), true},
};

static char **member_of(struct hosts_entry *entry, const struct member *member)
{
    return (char **)((char *)entry + member->offset);
}

void hosts_entry_done(struct hosts_entry *entry)
{
    for (size_t i = 0; i < ELEMENTS(members); i++)
        free(*member_of(entry, &members[i]));
    *entry = (struct hosts_entry){0};
}

static const char *home_path(void)
{
    const char *home = getenv("HOME");
    const struct passwd *user;

    if (home && *home)
        return home;
    user = getpwuid(geteuid());
    return user ? user->pw_dir : "";
}

static char *file_path(void)
{
    const char *configuration = getenv("XDG_CONFIG_HOME");
    char *path = NULL;
    int r;

    /* A relative XDG_CONFIG_HOME is invalid and ignored: XDG Base Directory Specification 0.8. */
    if (configuration && *configuration == '/') {
        r = asprintf(&path, "%s/devreg/hosts.json", configuration);
        return r < 0 ? NULL : path;
    }
    r = asprintf(&path, "%s/.config/devreg/hosts.json", home_path());
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

/* `text` as it stands in the file at `path`. */
static char *resolve_file(const char *text, const char *path)
{
    char *file = NULL;
    int r;

    if (*text == '/')
        return strdup(text);
    if (strncmp(text, "~/", 2) == 0)
        r = asprintf(&file, "%s%s", home_path(), text + 1);
    else
        r = asprintf(&file, "%.*s%s", (int)(strrchr(path, '/') + 1 - path), path, text);
    return r < 0 ? NULL : file;
}

static int fail_entry(const char *path, const char *name, const char *what, struct failure *failure)
{
    return failure_set(failure, EXIT_CODE_USAGE, "%s: /hosts/%s%s", path, name, what);
}

static int take_member(struct hosts_entry *entry, const char *key, const json_t *value, const char *path,
        const char *name, struct failure *failure)
{
    const struct member *member = NULL;
    char what[96];

    for (size_t i = 0; i < ELEMENTS(members); i++)
        if (strcmp(members[i].name, key) == 0)
            member = &members[i];
    if (!member) {
        snprintf(what, sizeof(what), "/%.32s: only url, token_file, cacert, cert and key are known", key);
        return fail_entry(path, name, what, failure);
    }
    if (json_string_length(value) == 0) {
        snprintf(what, sizeof(what), "/%s: expected a string", key);
        return fail_entry(path, name, what, failure);
    }
    *member_of(entry, member) = member->is_file ? resolve_file(json_string_value(value), path)
                                                : strdup(json_string_value(value));
    return *member_of(entry, member) ? 0 : failure_set(failure, EXIT_CODE_OTHER, "out of memory");
}

static int take_entry(struct hosts_entry *entry, const json_t *value, const char *path, const char *name,
        struct failure *failure)
{
    const json_t *one;
    const char *key;
    int r;

    if (json_is_string(value))
        return take_member(entry, "url", value, path, name, failure);
    if (!json_is_object(value))
        return fail_entry(path, name, ": expected a string, or an object with \"url\"", failure);
    json_object_foreach ((json_t *)value, key, one) {
        r = take_member(entry, key, one, path, name, failure);
        if (r < 0)
            return r;
    }
    return entry->url ? 0 : fail_entry(path, name, ": expected a \"url\" in it", failure);
}

int hosts_file_find(const char *name, struct hosts_entry *ret_entry, struct failure *failure)
{
    _cleanup_hosts_entry_ struct hosts_entry entry = {0};
    _cleanup_free_ char *path = file_path();
    json_auto_t *root = NULL;
    json_error_t mistake;
    const json_t *hosts, *value;
    int r;

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
    value = json_object_get(hosts, name);
    if (!value)
        return fail_unknown(name, path, hosts, failure);
    r = take_entry(&entry, value, path, name, failure);
    if (r < 0)
        return r;
    *ret_entry = entry;
    entry = (struct hosts_entry){0};
    return 0;
}
