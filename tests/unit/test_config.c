/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config.c, config_file.c and config_check.c: what becomes of a good configuration. The bad ones are in
 * tests/config. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "util/cleanup.h"

struct fixture {
    char *directory;
    char *path;
    struct config *config;
    struct config_problems problems;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->directory = test_directory_new();
    fixture->path = strdup(test_path(fixture->directory, "devregd.json"));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    config_free(fixture->config);
    config_problems_done(&fixture->problems);
    test_directory_remove(fixture->directory);
    free(fixture->path);
    free(fixture);
    return 0;
}

static int load(struct fixture *fixture, const char *text)
{
    config_free(fixture->config);
    config_problems_done(&fixture->problems);
    fixture->config = NULL;
    fixture->problems = (struct config_problems){0};
    if (text)
        test_write_text(fixture->path, text);
    return config_load(fixture->path, false, &fixture->config, &fixture->problems);
}

static void load_well(struct fixture *fixture, const char *text)
{
    test_that(load(fixture, text) == 0, "it was refused: %.*s", (int)fixture->problems.text.size,
            fixture->problems.text.data);
    assert_int_equal(fixture->problems.count, 0);
    assert_non_null(fixture->config);
}

static void expect_problem(struct fixture *fixture, const char *text, size_t count, const char *message)
{
    test_that(load(fixture, text) == -EINVAL, "it was taken: %s", text);
    assert_null(fixture->config);
    buffer_append_char(&fixture->problems.text, 0);
    test_that(fixture->problems.count == count && strstr(fixture->problems.text.data, message),
            "%zu problems, expected %zu with '%s':\n%s", fixture->problems.count, count, message,
            fixture->problems.text.data);
}

static void test_empty(void **state)
{
    struct fixture *fixture = *state;

    load_well(fixture, "{}");
    assert_null(fixture->config->listen);
    assert_null(fixture->config->state);
    assert_int_equal(fixture->config->device_count, 0);
    assert_memory_equal(&fixture->config->limits, &limits_default, sizeof(limits_default));
    load_well(fixture, "{\"devices\": [], \"limits\": {}}");
}

static void expect_acknowledge(
        const struct acknowledge_description *read, const struct acknowledge_description *expected)
{
    assert_int_equal(read->region, expected->region);
    assert_int_equal(read->width, expected->width);
    assert_int_equal(read->read, expected->read);
    assert_int_equal(read->writes, expected->writes);
    assert_int_equal(read->write, expected->write);
    assert_int_equal(read->constant, expected->constant);
    assert_int_equal(read->value, expected->value);
    assert_int_equal(read->mask, expected->mask);
}

static void test_interrupts(void **state)
{
    struct fixture *fixture = *state;
    const struct interrupt_description *interrupts;

    load_well(fixture,
            "{\"devices\": [{\"name\": \"a\", \"address\": \"00:01.0\", \"interrupts\": [  {},  {\"name\": "
            "\"b\", \"vector\": 5, \"description\": \"d\",   \"acknowledge\": {\"region\": \"y\", "
            "\"read\": \"0x24\"}},  {\"acknowledge\": {\"region\": \"x\", \"width\": 16, \"read\": "
            "2, \"write\": 4, \"value\": \"0xffff\", \"mask\": 8}}], \"regions\": [{\"name\": \"x\", "
            "\"bar\": 0}, {\"name\": \"y\", \"bar\": 1}]},{\"name\": \"e\", \"model\": \"edu\", "
            "\"interrupt_type\": \"intx\", \"interrupts\": [  {\"acknowledge\": {\"read\": 8, \"write\": "
            "16, \"width\": 64}}], \"regions\": [{\"name\": \"e\"}]}]}");
    assert_int_equal(fixture->config->devices[0].interrupt_type, INTERRUPT_BEST);
    assert_int_equal(fixture->config->devices[0].interrupt_count, 3);
    interrupts = fixture->config->devices[0].interrupts;
    assert_string_equal(interrupts[0].name, "a-0");
    assert_int_equal(interrupts[0].vector, 0);
    assert_false(interrupts[0].acknowledged);
    assert_string_equal(interrupts[1].name, "b");
    assert_string_equal(interrupts[1].description, "d");
    assert_int_equal(interrupts[1].vector, 5);
    assert_true(interrupts[1].acknowledged);
    expect_acknowledge(&interrupts[1].acknowledge,
            &(struct acknowledge_description){.region = 1, .width = 4, .read = 0x24, .mask = UINT32_MAX});
    assert_string_equal(interrupts[2].name, "a-2");
    assert_int_equal(interrupts[2].vector, 2);
    expect_acknowledge(&interrupts[2].acknowledge, &(struct acknowledge_description){.width = 2,
                                                           .read = 2,
                                                           .writes = true,
                                                           .write = 4,
                                                           .constant = true,
                                                           .value = 0xffff,
                                                           .mask = 8});
    assert_int_equal(fixture->config->devices[1].interrupt_type, INTERRUPT_LINE);
    interrupts = fixture->config->devices[1].interrupts;
    assert_string_equal(interrupts[0].name, "e");
    assert_int_equal(interrupts[0].acknowledge.region, 0);
    assert_true(interrupts[0].acknowledge.writes && !interrupts[0].acknowledge.constant);
    assert_true(interrupts[0].acknowledge.mask == UINT64_MAX);
}

/* Whom the rules are for that nobody wrote. */
static void test_built_in_access(void **state)
{
    struct fixture *fixture = *state;
    const struct access_rules *rules;

    load_well(fixture, "{}");
    rules = &fixture->config->access;
    assert_int_equal(rules->count, 2);
    assert_string_equal(rules->rules[1].name, "built-in-lab");
    assert_int_equal(rules->rules[1].permissions, PERMISSIONS_ALL - permission_bit(PERMISSION_ADMIN));
    assert_int_equal(rules->rules[1].subjects[0].kind, SUBJECT_TOKEN);
    assert_false(rules->rules[1].deny || rules->rules[1].regions || rules->rules[1].range_count);
    assert_string_equal(rules->rules[0].name, "built-in");
    assert_int_equal(rules->rules[0].permissions, PERMISSIONS_ALL);
    assert_false(rules->rules[0].deny || rules->rules[0].regions || rules->rules[0].range_count);
    assert_int_equal(rules->rules[0].subject_count, geteuid() == 0 ? 1 : 2);
    for (size_t i = 0; i < rules->rules[0].subject_count; i++) {
        const struct access_subject *subject = &rules->rules[0].subjects[i];

        assert_true(subject->kind == SUBJECT_USER && subject->has_id);
        assert_int_equal(subject->id, i ? geteuid() : 0);
    }
    config_free(fixture->config);
    fixture->config = NULL;
    assert_int_equal(config_demo(&fixture->config, &fixture->problems), 0);
    rules = &fixture->config->access;
    assert_int_equal(rules->count, 1);
    assert_string_equal(rules->rules[0].name, "demo");
    assert_int_equal(rules->rules[0].permissions, PERMISSIONS_ALL);
    assert_int_equal(rules->rules[0].subject_count, 1);
    assert_int_equal(rules->rules[0].subjects[0].kind, SUBJECT_EVERYBODY);
}

static void test_access(void **state)
{
    struct fixture *fixture = *state;
    const struct access_rule *rule;

    load_well(fixture,
            "{\"access\": [ {\"name\": \"lab\", \"deny\": true, \"principals\": [\"*\", \"anonymous\", "
            "\"user:a*\", \"user:7\",  \"group:0\", \"group:root\", \"token:ci\", \"certificate:r?\"],  "
            "\"permissions\": [\"list\", \"admin\"], \"regions\": [\"a\", \"b*\"], \"ranges\": "
            "[\"0x4-0x7\", \"0x10+0x2\"]}, {\"principals\": [\"token:x\"], \"permissions\": [\"write\"], "
            "\"ranges\": [\"0x0+8\"],  \"mask\": \"0xffffffffffffffff\", \"values\": [1, "
            "\"0x8000000000000000\"]}]}");
    assert_int_equal(fixture->config->access.count, 2);
    rule = &fixture->config->access.rules[0];
    assert_string_equal(rule->name, "lab");
    assert_true(rule->deny && !rule->has_mask && rule->value_count == 0);
    assert_int_equal(rule->subject_count, 8);
    assert_int_equal(rule->subjects[0].kind, SUBJECT_EVERYBODY);
    assert_int_equal(rule->subjects[1].kind, SUBJECT_ANONYMOUS);
    assert_int_equal(rule->subjects[2].kind, SUBJECT_USER);
    assert_false(rule->subjects[2].has_id);
    assert_string_equal(rule->subjects[2].pattern, "a*");
    assert_true(rule->subjects[3].has_id && rule->subjects[3].id == 7);
    assert_true(rule->subjects[4].kind == SUBJECT_GROUP && rule->subjects[4].has_id);
    assert_true(rule->subjects[5].has_id && rule->subjects[5].id == 0); /* found by its name */
    assert_string_equal(rule->subjects[6].pattern, "ci");
    assert_int_equal(rule->subjects[7].kind, SUBJECT_CERTIFICATE);
    assert_int_equal(rule->permissions, 1 << PERMISSION_LIST | 1 << PERMISSION_ADMIN);
    assert_string_equal(rule->regions[1], "b*");
    assert_null(rule->regions[2]);
    assert_int_equal(rule->range_count, 2);
    assert_true(rule->ranges[0].first == 4 && rule->ranges[0].last == 7);
    assert_true(rule->ranges[1].first == 0x10 && rule->ranges[1].last == 0x11);
    rule = &fixture->config->access.rules[1];
    assert_string_equal(rule->name, "access[1]");
    assert_true(rule->has_mask && rule->mask == UINT64_MAX && !rule->regions);
    assert_true(rule->value_count == 2 && rule->values[1] == UINT64_C(1) << 63);
}

static void test_everything(void **state)
{
    struct fixture *fixture = *state;
    const struct device_description *device;
    const struct region_description *region;

    load_well(fixture,
            "{\"listen\": [\"/run/devregd/devregd.sock\", \"127.0.0.1:7373\"], \"limits\": "
            "{\"connections\": 1, \"json_body_bytes\": \"64k\", \"data_bytes\": \"1M\",  "
            "\"data_total_bytes\": \"0x200000\", \"values\": \"2\", \"queue\": 3, \"device_seconds\": 6, "
            "\"idle_seconds\": 4, \"connections_per_principal\": 7, \"requests_per_principal\": 8,  "
            "\"head_bytes\": \"4k\", \"data_principal_bytes\": \"1536k\",  \"request_seconds\": 5, "
            "\"reservations\": 9, \"reservations_per_principal\": 10, \"events\": 16, "
            "\"interrupts_per_second\": 13, \"tokens\": 11, \"streams\": 12, \"streams_per_principal\": 17, "
            "\"buffers\": 18, \"buffers_per_principal\": 19,  \"buffer_bytes\": \"2M\", "
            "\"buffer_bytes_per_principal\": \"4k\"},  \"state\": \"/s\", \"tls\": {\"certificate\": "
            "\"/t.crt\", \"key\": \"/t.key\", \"client_ca\": \"/ca.crt\"}, \"hosts\": [\"rig1\"], "
            "\"origins\": [\"https://bench:8080\"], \"devices\": [  {\"name\": \"edu\", \"description\": "
            "\"a \\u00e9\", \"backend\": \"pci\", \"address\": \"00:07.0\",   \"regions\": [{\"name\": "
            "\"edu\", \"description\": \"d\", \"bar\": \"5\", \"offset\": \"4k\",    \"size\": 256, "
            "\"widths\": [64, 8], \"endianness\": \"big\", \"access\": \"read\",    \"write_combining\": "
            "true, \"slow\": true},    {\"name\": \"edu.2\", \"bar\": 1, \"endianness\": \"little\", "
            "\"access\": \"read-write\",     \"write_combining\": false, \"slow\": false}]},  {\"name\": "
            "\"by-id\", \"id\": \"1234:11e8:1\", \"regions\": [{\"name\": \"r_1\", \"bar\": 0}]},  "
            "{\"name\": \"hpet\", \"regions\": [{\"name\": \"hpet\", \"base\": \"0xfed00000\", \"size\": "
            "\"0x400\"}]},  {\"name\": \"9ram\", \"model\": \"ram\", \"path\": \"/m\", \"trace\": \"/t\",   "
            "\"regions\": [{\"name\": \"9ram\", \"size\": \"4096\"}]}]}");
    assert_string_equal(fixture->config->listen[0], "/run/devregd/devregd.sock");
    assert_string_equal(fixture->config->listen[1], "127.0.0.1:7373");
    assert_null(fixture->config->listen[2]);
    assert_string_equal(fixture->config->state, "/s");
    assert_memory_equal(&fixture->config->limits,
            (&(struct limits){.connections = 1,
                    .connections_per_principal = 7,
                    .requests_per_principal = 8,
                    .head_bytes = 4096,
                    .json_body_bytes = 65536,
                    .data_bytes = 1 << 20,
                    .data_principal_bytes = 3 << 19,
                    .data_total_bytes = 2 << 20,
                    .values = 2,
                    .queue = 3,
                    .device_seconds = 6,
                    .idle_seconds = 4,
                    .request_seconds = 5,
                    .reservations = 9,
                    .reservations_per_principal = 10,
                    .events = 16,
                    .interrupts_per_second = 13,
                    .tokens = 11,
                    .streams = 12,
                    .streams_per_principal = 17,
                    .buffers = 18,
                    .buffers_per_principal = 19,
                    .buffer_bytes = 2 << 20,
                    .buffer_bytes_per_principal = 4096}),
            sizeof(struct limits));
    assert_string_equal(fixture->config->tls.certificate, "/t.crt");
    assert_string_equal(fixture->config->tls.key, "/t.key");
    assert_string_equal(fixture->config->tls.client_ca, "/ca.crt");
    assert_string_equal(fixture->config->origins.hosts[0], "rig1");
    assert_null(fixture->config->origins.hosts[1]);
    assert_string_equal(fixture->config->origins.origins[0], "https://bench:8080");
    assert_true(config_listen_policy(fixture->config, false).authenticates);
    assert_int_equal(fixture->config->device_count, 4);

    device = &fixture->config->devices[0];
    assert_string_equal(device->name, "edu");
    assert_string_equal(device->description, "a \xc3\xa9");
    assert_string_equal(device->backend, "pci");
    assert_string_equal(device->address, "00:07.0");
    assert_int_equal(device->keys, KEY_ADDRESS);
    assert_int_equal(device->region_count, 2);
    region = &device->regions[0];
    assert_string_equal(region->name, "edu");
    assert_string_equal(region->description, "d");
    assert_int_equal(region->keys, KEY_BAR | KEY_OFFSET | KEY_SIZE | KEY_WRITE_COMBINING);
    assert_int_equal(region->bar, 5);
    assert_true(region->offset == 4096 && region->size == 256);
    assert_int_equal(region->widths, 1 | 8);
    assert_int_equal(region->endianness, ENDIANNESS_BIG);
    assert_true(region->read_only && region->write_combining && region->slow);
    region = &device->regions[1];
    assert_int_equal(region->widths, 0);
    assert_int_equal(region->endianness, ENDIANNESS_LITTLE);
    assert_false(region->read_only || region->write_combining || region->slow);

    assert_string_equal(fixture->config->devices[1].id, "1234:11e8:1");
    assert_int_equal(fixture->config->devices[1].keys, KEY_ID);
    assert_null(fixture->config->devices[1].backend);
    region = &fixture->config->devices[2].regions[0];
    assert_true(region->base == 0xfed00000 && region->size == 0x400);
    assert_int_equal(region->keys, KEY_BASE | KEY_SIZE);
    device = &fixture->config->devices[3];
    assert_string_equal(device->model, "ram");
    assert_string_equal(device->path, "/m");
    assert_string_equal(device->trace, "/t");
    assert_int_equal(device->keys, KEY_MODEL | KEY_PATH | KEY_TRACE);
}

#define SIM(name)                                                                                           \
    "{\"devices\": [{\"name\": \"" name "\", \"model\": \"edu\", \"regions\": [{\"name\": \"" name "\"}]}]" \
    "}"

static void test_fragments(void **state)
{
    static const struct {
        const char *name, *text;
    } files[] = {
            {"20-b.json", SIM("b")},
            {"10-z.json", SIM("z")},
            {"10-a.json", SIM("a")},
            {"30-none.json", "{}"},
            {".hidden.json", "nonsense"},
            {"40.json.bak", "nonsense"},
            {"50.jsonx", "nonsense"},
            {"README", "nonsense"},
    };
    static const char *const order[] = {"main", "a", "z", "b"};
    struct fixture *fixture = *state;
    _cleanup_free_ char *fragments = strdup(test_path(fixture->directory, "devices.d"));

    assert_int_equal(mkdir(fragments, 0755), 0);
    for (size_t i = 0; i < ELEMENTS(files); i++)
        test_write_text(test_path(fragments, files[i].name), files[i].text);
    load_well(fixture, SIM("main"));
    assert_int_equal(fixture->config->device_count, ELEMENTS(order));
    for (size_t i = 0; i < ELEMENTS(order); i++)
        assert_string_equal(fixture->config->devices[i].name, order[i]);

    /* Names are unique across files, and the place is the fragment's. */
    test_write_text(test_path(fragments, "60.json"), SIM("main"));
    expect_problem(
            fixture, NULL, 2, "devices.d/60.json:1:23: /devices/0/name: the device name is taken already");
    test_write_text(test_path(fragments, "60.json"), "{\"listen\": [\"/x\"]}");
    expect_problem(fixture, NULL, 1,
            "devices.d/60.json:1:2: /listen: unknown key: expected one of $schema, devices");
    /* A broken main file hides nothing of the fragments. */
    expect_problem(fixture, "{", 2, "devices.d/60.json:1:2: /listen: unknown key");
}

static void test_main_file_missing(void **state)
{
    struct fixture *fixture = *state;

    expect_problem(fixture, NULL, 1, "devregd.json:1:1: can't be read: No such file or directory");
}

static void test_exposure(void **state)
{
    static const char text[] = "{\"listen\": [\"0.0.0.0:7373\"]}";
    struct fixture *fixture = *state;

    expect_problem(fixture, text, 1, ":1:13: /listen/0: 0.0.0.0:7373 is not a loopback address");
    config_problems_done(&fixture->problems);
    fixture->problems = (struct config_problems){0};
    assert_int_equal(config_load(fixture->path, true, &fixture->config, &fixture->problems), 0);
    assert_string_equal(fixture->config->listen[0], "0.0.0.0:7373");
}

/* Everything that was read before the mistake is released again: the leak check of the sanitizer looks. */
static void test_release_after_mistakes(void **state)
{
    static const char *const texts[] = {
            "{\"listen\": [5, \"/run/x\"]}",
            "{\"listen\": [\"nonsense\", \"/run/x\", 5, \"/run/y\"]}",
            "{\"devices\": [{\"name\": \"a\", \"model\": \"edu\", "
            "\"regions\": [5, {\"name\": \"b\", \"x\": 1}]}]}",
            "{\"devices\": [5, {\"name\": \"a\", \"path\": \"/x\", \"regions\": []}]}",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS(texts); i++)
        assert_int_equal(load(fixture, texts[i]), -EINVAL);
}

/* A key whose value is no good is as if it had not been given, except that it is not missing. */
static void test_wrong_types(void **state)
{
    static const char *const keys[] = {
            "name", "description", "backend", "address", "id", "model", "trace", "path", "regions"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS(keys); i++) {
        char text[256];

        snprintf(text, sizeof(text), "{\"devices\": [{\"%s\": 5, \"regions\": [{\"name\": \"r\"}]}]}",
                keys[i]);
        if (strcmp(keys[i], "regions") == 0)
            snprintf(text, sizeof(text), "{\"devices\": [{\"regions\": 5}]}");
        assert_int_equal(load(fixture, text), -EINVAL);
        assert_true(fixture->problems.count > 0);
    }
}

static void test_demo(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(config_demo(&fixture->config, &fixture->problems), 0);
    assert_int_equal(fixture->config->device_count, 2);
    assert_string_equal(fixture->config->devices[0].regions[0].name, "edu");
    assert_string_equal(fixture->config->devices[1].regions[0].name, "odd");
    assert_string_equal(fixture->config->devices[1].model, "odd");
    for (size_t i = 0; i < 2; i++) {
        const struct device_description *device = &fixture->config->devices[i];

        assert_int_equal(device->interrupt_count, 1);
        assert_string_equal(device->interrupts[0].name, device->name);
        assert_int_equal(device->interrupts[0].acknowledged, i == 0);
        assert_int_equal(backend_find("sim")->check(device, NULL), 0);
    }
    assert_null(fixture->config->listen);
    config_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_interrupts, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_built_in_access, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_access, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_everything, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fragments, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_main_file_missing, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_exposure, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_release_after_mistakes, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_wrong_types, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_demo, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
