/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See pci_sysfs.h. */
#include "backends/pci_sysfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/file.h"

enum {
    PCI_CONFIG_COMMAND = 4, /* PCI Local Bus Specification 3.0, 6.2.2 */
    PCI_COMMAND_PORTS = 1,
    PCI_COMMAND_MEMORY = 2,
};

/* Exactly `least` to `most` hex digits; returns what follows, NULL when there are not. */
static const char *take_hex(const char *text, unsigned least, unsigned most, unsigned *ret_value)
{
    unsigned value = 0, count = 0;

    while (count < most && isxdigit((unsigned char)text[count])) {
        char digit = (char)tolower((unsigned char)text[count]);

        value = value * 16 + (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
        count++;
    }
    *ret_value = value;
    return count >= least ? text + count : NULL;
}

static const char *take_char(const char *text, char character)
{
    return text && *text == character ? text + 1 : NULL;
}

int pci_address_parse(const char *text, char address[PCI_ADDRESS_SIZE])
{
    unsigned domain = 0, bus = 0, device = 0, function = 0;
    const char *rest = text;

    if (strchr(text, ':') != strrchr(text, ':')) {
        rest = take_char(take_hex(rest, 4, 4, &domain), ':');
        if (!rest)
            return -EINVAL;
    }
    rest = take_char(take_hex(rest, 2, 2, &bus), ':');
    if (rest)
        rest = take_char(take_hex(rest, 2, 2, &device), '.');
    if (rest)
        rest = take_hex(rest, 1, 1, &function);
    if (!rest || *rest || device > 31 || function > 7)
        return -EINVAL;
    snprintf(address, PCI_ADDRESS_SIZE, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff, device, function);
    return 0;
}

int pci_id_parse(const char *text, unsigned *ret_vendor, unsigned *ret_device, unsigned *ret_index)
{
    unsigned vendor, device, index = 0;
    const char *rest = take_char(take_hex(text, 4, 4, &vendor), ':');

    if (rest)
        rest = take_hex(rest, 4, 4, &device);
    if (!rest)
        return -EINVAL;
    if (*rest == ':') {
        char *end;
        unsigned long number;

        if (!isdigit((unsigned char)rest[1]))
            return -EINVAL;
        number = strtoul(rest + 1, &end, 10);
        if (*end || number > 255)
            return -EINVAL;
        index = (unsigned)number;
    } else if (*rest) {
        return -EINVAL;
    }
    *ret_vendor = vendor;
    *ret_device = device;
    *ret_index = index;
    return 0;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool is_identified(const char *root, const char *address, unsigned vendor, unsigned device)
{
    _cleanup_close_ int directory = pci_open(root, address);
    unsigned found_vendor, found_device;

    return directory >= 0 && pci_read_id(directory, "vendor", &found_vendor) == 0 &&
           pci_read_id(directory, "device", &found_device) == 0 && found_vendor == vendor &&
           found_device == device;
}

int pci_find(
        const char *root, unsigned vendor, unsigned device, unsigned index, char address[PCI_ADDRESS_SIZE])
{
    struct dirent **entries = NULL;
    int count = scandir(root, &entries, not_hidden, alphasort);
    int r = -ENODEV;

    if (count < 0)
        return errno == ENOENT ? -ENODEV : -errno;
    for (int i = 0; i < count; i++) {
        if (r == -ENODEV && strlen(entries[i]->d_name) < PCI_ADDRESS_SIZE &&
                is_identified(root, entries[i]->d_name, vendor, device) && index-- == 0) {
            strcpy(address, entries[i]->d_name);
            r = 0;
        }
        free(entries[i]);
    }
    free(entries);
    return r;
}

int pci_open(const char *root, const char *address)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", root, address);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ENODEV : -errno;
    return fd;
}

int pci_read_id(int directory, const char *attribute, unsigned *ret_id)
{
    char line[16];
    int r = file_read_line_at(directory, attribute, line, sizeof(line));

    if (r < 0)
        return r;
    return sscanf(line, "0x%4x", ret_id) == 1 ? 0 : -EIO;
}

int pci_read_resource(int directory, unsigned bar, struct pci_resource *ret_resource)
{
    _cleanup_close_ int fd = openat(directory, "resource", O_RDONLY | O_CLOEXEC);
    _cleanup_fclose_ FILE *stream = fd >= 0 ? fdopen(fd, "r") : NULL;
    uint64_t start = 0, end = 0, flags = 0;

    if (!stream)
        return -errno;
    take_fd(&fd);
    for (unsigned i = 0; i <= bar; i++) {
        if (fscanf(stream, "%" SCNx64 " %" SCNx64 " %" SCNx64, &start, &end, &flags) != 3)
            return -EIO;
    }
    *ret_resource = (struct pci_resource){start, flags && end >= start ? end - start + 1 : 0, flags};
    return 0;
}

/* Returns whether decoding is on, or a negative errno. */
static int is_decoding(int config, uint16_t bit)
{
    uint8_t command[2];

    if (pread(config, command, sizeof(command), PCI_CONFIG_COMMAND) != sizeof(command))
        return -EIO;
    return ((uint16_t)(command[0] | command[1] << 8) & bit) != 0;
}

/* The kernel's own way: it also wakes the function up. It refuses while a driver is bound. */
static void enable_through_kernel(int directory)
{
    _cleanup_close_ int fd = openat(directory, "enable", O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, "1", 1) < 0)
        return;
}

static void enable_through_config(int config, uint16_t bit)
{
    uint8_t command[2];

    if (pread(config, command, sizeof(command), PCI_CONFIG_COMMAND) != sizeof(command))
        return;
    command[0] |= (uint8_t)bit;
    if (pwrite(config, command, sizeof(command), PCI_CONFIG_COMMAND) < 0)
        return;
}

int pci_enable_decoding(int directory, int config, bool ports, struct error *error)
{
    uint16_t bit = ports ? PCI_COMMAND_PORTS : PCI_COMMAND_MEMORY;
    int r = is_decoding(config, bit);

    if (r == 0) {
        enable_through_kernel(directory);
        r = is_decoding(config, bit);
    }
    if (r == 0) {
        enable_through_config(config, bit);
        r = is_decoding(config, bit);
    }
    if (r < 0)
        return error_set(error, r, "its configuration space can't be read: run devregd as root");
    if (r == 0)
        return error_set(error, -EIO, "%s decoding is off and can't be switched on: is a driver holding it?",
                ports ? "port" : "memory");
    return 0;
}
