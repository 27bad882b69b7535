/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See machine_fixture.h. As in a real sysfs, devices are below sys/devices, and all else links there. */
#include "machine_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buffer.h"
#include "util/cleanup.h"
#include "util/file.h"

enum { ROOT = 256 };

struct machine_orders machine_orders;

static struct {
    char *directory;
    char sysfs[ROOT], proc[ROOT], dev[ROOT];
    struct machine machine;
    struct buffer mounts, swaps, log;
    pthread_mutex_t lock; /* of the log */
    int failures;         /* writes that were to fail */
} fixture;

/* Files */

static void make_path(char path[PATH_MAX], const char *format, va_list arguments)
{
    int used = snprintf(path, PATH_MAX, "%s/", fixture.directory);

    vsnprintf(path + used, (size_t)(PATH_MAX - used), format, arguments);
    for (char *slash = strchr(path + used, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        test_that(mkdir(path, 0755) == 0 || errno == EEXIST, "%s: %s", path, strerror(errno));
        *slash = '/';
    }
}

void machine_write(const char *text, const char *format, ...)
{
    char path[PATH_MAX];
    va_list arguments;

    va_start(arguments, format);
    make_path(path, format, arguments);
    va_end(arguments);
    test_write_text(path, text);
}

void machine_link(const char *target, const char *format, ...)
{
    char path[PATH_MAX], real[PATH_MAX];
    va_list arguments;

    va_start(arguments, format);
    make_path(path, format, arguments);
    va_end(arguments);
    snprintf(real, sizeof(real), "%s/%s", fixture.directory, target);
    unlink(path);
    assert_int_equal(symlink(real, path), 0);
}

/* Devices and drivers */

static const char *home_of(const char *bus, const char *name)
{
    static char homes[4][PATH_MAX];
    static unsigned next;
    char *home = homes[next++ % ELEMENTS(homes)];

    snprintf(home, PATH_MAX, "%s%s%s", strcmp(bus, "pci") == 0 ? MACHINE_HOME : "sys/devices/",
            strcmp(bus, "pci") == 0 ? "" : "platform/", name);
    return home;
}

void machine_add(const char *bus, const char *name, unsigned header, const char *own_driver)
{
    const char *home = home_of(bus, name);
    char config[64] = {0}, path[PATH_MAX];

    machine_write("(null)\n", "%s/driver_override", home);
    machine_write(own_driver ? own_driver : "", "%s/own", home);
    machine_write("0x1234\n", "%s/vendor", home);
    machine_write("0x11e8\n", "%s/device", home);
    if (strcmp(bus, "pci") == 0) {
        config[0xe] = (char)header;
        snprintf(path, sizeof(path), "%s/%s/config", fixture.directory, home);
        test_write_file(path, config, sizeof(config));
    }
    machine_link(home, "sys/bus/%s/devices/%s", bus, name);
}

void machine_add_driver(const char *bus, const char *driver)
{
    machine_write("", "sys/bus/%s/drivers/%s/bind", bus, driver);
    machine_write("", "sys/bus/%s/drivers/%s/unbind", bus, driver);
}

/* From here to store(): also on a worker's thread, where cmocka can't be told of anything. */

static bool set_driver(const char *bus, const char *name, const char *driver)
{
    char link[PATH_MAX], target[PATH_MAX];

    snprintf(link, sizeof(link), "%s/sys/bus/%s/devices/%s/driver", fixture.directory, bus, name);
    snprintf(target, sizeof(target), "%s/sys/bus/%s/drivers/%s", fixture.directory, bus,
            driver ? driver : "");
    unlink(link);
    return !driver || symlink(target, link) == 0;
}

static bool has_driver(const char *bus, const char *driver)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/sys/bus/%s/drivers/%s", fixture.directory, bus, driver);
    return driver[0] && access(path, F_OK) == 0;
}

static const char *read_attribute(
        const char *bus, const char *name, const char *attribute, char *text, size_t size)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/sys/bus/%s/devices/%s/%s", fixture.directory, bus, name, attribute);
    text[0] = 0;
    file_read_line_at(AT_FDCWD, path, text, size);
    return text;
}

static const char *read_driver(const char *bus, const char *name, char *text, size_t size)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/sys/bus/%s/devices/%s/driver", fixture.directory, bus, name);
    text[0] = 0;
    file_read_link_name_at(AT_FDCWD, path, text, size);
    return text;
}

static int attach(const char *bus, const char *name, const char *driver)
{
    if (!has_driver(bus, driver) || (machine_orders.refuses && strcmp(machine_orders.refuses, driver) == 0))
        return -ENODEV;
    return set_driver(bus, name, driver) ? 0 : -EIO;
}

static int probe(const char *bus, const char *name)
{
    char now[64], override[64], own[64];

    if (read_driver(bus, name, now, sizeof(now))[0])
        return 0;
    read_attribute(bus, name, "driver_override", override, sizeof(override));
    read_attribute(bus, name, "own", own, sizeof(own));
    if (machine_orders.greedy)
        attach(bus, name, machine_orders.greedy);
    else
        attach(bus, name, strcmp(override, "(null)") == 0 ? own : override);
    return 0;
}

static int unbind(const char *bus, const char *driver, const char *name)
{
    char now[64];

    if (strcmp(read_driver(bus, name, now, sizeof(now)), driver) != 0)
        return -ENODEV;
    if (!machine_orders.keeps_driver)
        set_driver(bus, name, NULL);
    return 0;
}

static int set_override(const char *path, const char *value)
{
    FILE *file = fopen(path, "w");

    if (!file)
        return -errno;
    fprintf(file, "%s\n", strcmp(value, "\n") == 0 ? "(null)" : value);
    return fclose(file) == 0 ? 0 : -errno;
}

static void note(const char *attribute, const char *value)
{
    pthread_mutex_lock(&fixture.lock);
    buffer_append_format(&fixture.log, "%s %s; ", attribute, strcmp(value, "\n") == 0 ? "nothing" : value);
    pthread_mutex_unlock(&fixture.lock);
}

static int store(const char *path, const char *value)
{
    char bus[64], driver[64], verb[16];
    const char *rest = path + strlen(fixture.sysfs) + strlen("/bus/");
    const char *attribute = strrchr(path, '/') + 1;

    note(attribute, value);
    if (machine_orders.on_store)
        machine_orders.on_store(path, value);
    if (machine_orders.fail_on && strstr(path, machine_orders.fail_on) &&
            fixture.failures++ >= machine_orders.fail_after)
        return machine_orders.failure;
    if (strcmp(attribute, "driver_override") == 0)
        return set_override(path, value);
    if (sscanf(rest, "%63[^/]/drivers/%63[^/]/%15s", bus, driver, verb) == 3)
        return strcmp(verb, "bind") == 0 ? attach(bus, value, driver) : unbind(bus, driver, value);
    if (sscanf(rest, "%63[^/]/%15s", bus, verb) == 2 && strcmp(verb, "drivers_probe") == 0)
        return probe(bus, value);
    return -ENOENT;
}

static int claim(const char *path)
{
    (void)path;
    return machine_orders.claim_result;
}

/* What tests ask */

void machine_set_driver(const char *bus, const char *name, const char *driver)
{
    assert_true(set_driver(bus, name, driver));
}

const char *machine_driver(const char *bus, const char *name)
{
    static char driver[64];

    return read_driver(bus, name, driver, sizeof(driver));
}

const char *machine_override(const char *bus, const char *name)
{
    static char override[64];

    return read_attribute(bus, name, "driver_override", override, sizeof(override));
}

const char *machine_log(void)
{
    static char text[2048];

    pthread_mutex_lock(&fixture.lock);
    snprintf(text, sizeof(text), "%.*s", (int)fixture.log.size, fixture.log.size ? fixture.log.data : "");
    pthread_mutex_unlock(&fixture.lock);
    return text;
}

/* Disks and interfaces */

void machine_add_disk(const char *folder, const char *name, const char *number, bool partition)
{
    char home[PATH_MAX];

    snprintf(home, sizeof(home), "%s/%s", folder, name);
    machine_write(number, "%s/dev", home);
    machine_write("", "%s/holders/.keep", home);
    if (partition)
        machine_write("1\n", "%s/partition", home);
    machine_link(home, "sys/class/block/%s", name);
}

void machine_add_holder(const char *below, const char *holder)
{
    char target[PATH_MAX];

    snprintf(target, sizeof(target), "sys/devices/virtual/block/%s", holder);
    machine_link(target, "sys/class/block/%s/holders/%s", below, holder);
}

static void append(struct buffer *table, const char *name)
{
    char text[4096];

    snprintf(text, sizeof(text), "%.*s", (int)table->size, table->data);
    machine_write(text, "%s", name);
}

void machine_mount(const char *number, const char *mount_point, const char *source)
{
    buffer_append_format(&fixture.mounts, "26 1 %s / %s rw,relatime shared:1 - ext4 %s rw\n", number,
            mount_point, source);
    append(&fixture.mounts, "proc/self/mountinfo");
}

void machine_swap(const char *path)
{
    buffer_append_format(&fixture.swaps, "%-40s partition\t1024\t\t0\t\t-2\n", path);
    append(&fixture.swaps, "proc/swaps");
}

void machine_add_interface(const char *folder, const char *name, bool up, bool carrier)
{
    char home[PATH_MAX];

    snprintf(home, sizeof(home), "%s/net/%s", folder, name);
    machine_write(up ? "0x1003\n" : "0x1002\n", "%s/flags", home);
    machine_write(carrier ? "1\n" : "0\n", "%s/carrier", home);
    machine_link(home, "sys/class/net/%s", name);
}

const struct machine *machine_open(void)
{
    memset(&machine_orders, 0, sizeof(machine_orders));
    memset(&fixture, 0, sizeof(fixture));
    pthread_mutex_init(&fixture.lock, NULL);
    fixture.directory = test_directory_new();
    snprintf(fixture.sysfs, ROOT, "%s/sys", fixture.directory);
    snprintf(fixture.proc, ROOT, "%s/proc", fixture.directory);
    snprintf(fixture.dev, ROOT, "%s/dev", fixture.directory);
    fixture.machine = (struct machine){fixture.sysfs, fixture.proc, fixture.dev, store, claim};
    machine_add_driver("pci", "devreg");
    machine_add_driver("pci", "uio_pci_generic");
    machine_add_driver("pci", "virtio-pci");
    machine_add("pci", MACHINE_EDU, 0, NULL);
    machine_add("pci", MACHINE_DISK, 0, "virtio-pci");
    machine_add("pci", MACHINE_NET, 0x80, "virtio-pci");
    machine_add("pci", MACHINE_BRIDGE, 1, NULL);
    machine_write("", "sys/class/block/.keep");
    machine_write("", "sys/class/net/.keep");
    machine_write("", "sys/devices/virtual/.keep");
    buffer_append_string(&fixture.swaps, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    append(&fixture.swaps, "proc/swaps");
    machine_mount("0:21", "/proc", "proc");
    return &fixture.machine;
}

void machine_close(void)
{
    buffer_done(&fixture.mounts);
    buffer_done(&fixture.swaps);
    buffer_done(&fixture.log);
    pthread_mutex_destroy(&fixture.lock);
    test_directory_remove(fixture.directory);
    memset(&fixture, 0, sizeof(fixture));
}
