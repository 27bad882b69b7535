/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See kmod_fixture.h. */
#include "kmod_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/bus_guard.h"
#include "util/cleanup.h"

struct fake_module module;

/* BARs, and the resources of the platform device. */
static const struct devreg_resource_info resources[] = {
        {.index = 0, .start = 0xfea00000, .size = REGION_OCTETS},
        {.index = 1, .start = 0xc000, .size = 0x100, .flags = DEVREG_RESOURCE_PORTS},
        {.index = 2, .start = 0xfe000000, .size = 0x2000, .flags = DEVREG_RESOURCE_PREFETCHABLE},
        {.index = 3},
        {.index = 4, .start = 0xfeb00080, .size = 0x80},
};

int __wrap_open64(const char *path, int flags, ...);
int __real_open64(const char *path, int flags, ...);
int __wrap_access(const char *path, int mode);
int __real_access(const char *path, int mode);
int __wrap_ioctl(int fd, unsigned long request, void *argument);
int __wrap___ioctl_time64(int fd, unsigned long request, void *argument);
int __wrap_poll(struct pollfd *files, nfds_t count, int timeout);

static int refuse(int code)
{
    errno = -code;
    return -1;
}

static int add_file(int kind)
{
    int fd = memfd_create("devreg-test", MFD_CLOEXEC);

    assert_true(fd >= 0 && module.file_count < FILES);
    module.files[module.file_count++] = (struct file){.fd = fd, .kind = kind};
    return fd;
}

struct file *module_find_file(int fd)
{
    for (size_t i = module.file_count; i-- > 0;) {
        if (module.files[i].fd == fd)
            return &module.files[i];
    }
    return NULL;
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    va_list arguments;

    if (module.logged == ELEMENTS(module.log))
        return;
    va_start(arguments, format);
    vsnprintf(module.log[module.logged++], sizeof(module.log[0]), format, arguments);
    va_end(arguments);
}

int __wrap_open64(const char *path, int flags, ...)
{
    if (strcmp(path, DEVREG_PATH) != 0)
        return __real_open64(path, flags, 0600);
    assert_int_equal(flags, O_RDWR | O_CLOEXEC);
    if (!module.loaded)
        return refuse(-ENOENT);
    return module.open_result < 0 ? refuse(module.open_result) : add_file(MODULE);
}

int __wrap_access(const char *path, int mode)
{
    if (strcmp(path, DEVREG_PATH) != 0)
        return __real_access(path, mode);
    return module.loaded ? 0 : refuse(-ENOENT);
}

int __wrap_poll(struct pollfd *files, nfds_t count, int timeout)
{
    assert_true(count == 1 && timeout == 0 && module_find_file(files->fd));
    files->revents = module_find_file(files->fd)->gone ? POLLHUP | POLLERR : 0;
    return files->revents ? 1 : 0;
}

static int get_info(struct devreg_info *info)
{
    assert_int_equal(info->argsz, sizeof(*info));
    if (module.info_result < 0)
        return refuse(module.info_result);
    info->abi = module.abi;
    info->capabilities = module.capabilities;
    return 0;
}

static int open_device(struct devreg_open_device *request)
{
    assert_int_equal(request->argsz, sizeof(*request));
    note("open %u %s", request->flags, request->name);
    strcpy(request->owner, module.owner);
    return module.device_result < 0 ? refuse(module.device_result) : add_file(DEVICE);
}

static int get_resource(struct devreg_resource_info *request)
{
    assert_int_equal(request->argsz, sizeof(*request));
    if (request->index >= ELEMENTS(resources))
        return refuse(-EINVAL);
    *request = resources[request->index];
    request->argsz = sizeof(*request);
    return 0;
}

static int make_region(uint64_t start, uint64_t size, uint32_t flags, const char *name)
{
    bool ports = flags & DEVREG_REGION_PORTS;
    int fd = add_file(REGION);
    struct file *file = module_find_file(fd);

    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    if (!ports && start % 4096 == 0 && size % 4096 == 0)
        flags |= DEVREG_REGION_MAPPABLE;
    file->region = (struct devreg_region_info){
            .start = start, .size = size, .flags = flags, .widths = ports ? 1 | 2 | 4 : 1 | 2 | 4 | 8};
    strcpy(file->region.name, name);
    return fd;
}

static int claim_region(struct devreg_claim *request)
{
    assert_int_equal(request->argsz, sizeof(*request));
    note("claim 0x%llx + 0x%llx %u %s", (unsigned long long)request->start,
            (unsigned long long)request->size, request->flags, request->name);
    strcpy(request->owner, module.owner);
    return module.claim_result < 0
                   ? refuse(module.claim_result)
                   : make_region(request->start, request->size, request->flags, request->name);
}

static int claim_resource(struct devreg_claim_resource *request)
{
    const struct devreg_resource_info *resource = &resources[request->index];

    assert_int_equal(request->argsz, sizeof(*request));
    assert_int_equal(request->reserved, 0);
    note("resource %u 0x%llx + 0x%llx %u %s", request->index, (unsigned long long)request->offset,
            (unsigned long long)request->size, request->flags, request->name);
    strcpy(request->owner, module.owner);
    if (request->flags & DEVREG_REGION_WRITE_COMBINING && !(resource->flags & DEVREG_RESOURCE_PREFETCHABLE))
        return refuse(-EINVAL);
    if (module.claim_result < 0)
        return refuse(module.claim_result);
    if (request->flags & DEVREG_REGION_PORTS || request->size == 0 ||
            request->offset + request->size > resource->size)
        return refuse(-ERANGE);
    return make_region(resource->start + request->offset, request->size,
            request->flags | (resource->flags & DEVREG_RESOURCE_PORTS ? DEVREG_REGION_PORTS : 0),
            request->name);
}

static int access_region(struct file *file, struct devreg_access *request)
{
    uint8_t *values = (uint8_t *)(uintptr_t)request->data;
    uint64_t offset = request->offset;

    assert_int_equal(request->argsz, sizeof(*request));
    assert_true(request->reserved == 0 && request->done == 0);
    note("access 0x%llx %u * %u %u", (unsigned long long)offset, request->width, request->count,
            request->flags);
    assert_true(file->region.widths & request->width && request->count > 0 &&
                request->count <= DEVREG_ACCESS_COUNT_MAX && offset % request->width == 0);
    for (; request->done < request->count; request->done++, values += request->width) {
        if (file->gone)
            return refuse(-ENODEV);
        if (module.access_result < 0 && request->done == module.fails_at)
            return refuse(module.access_result);
        assert_true(offset + request->width <= file->region.size);
        if (request->flags & DEVREG_ACCESS_WRITE)
            memcpy(&module.memory[offset], values, request->width);
        else
            memcpy(values, &module.memory[offset], request->width);
        if (!(request->flags & DEVREG_ACCESS_REPEAT))
            offset += request->width;
    }
    return 0;
}

static int set_safe_state(const struct devreg_safe_state *state)
{
    const struct devreg_safe_write *writes = (const void *)(uintptr_t)state->writes;

    assert_true(state->argsz == sizeof(*state) && state->flags == 0 && state->reserved == 0);
    assert_true(state->count <= DEVREG_SAFE_WRITES_MAX);
    note("safe %u", state->count);
    for (uint32_t i = 0; i < state->count; i++)
        note("safe %u:0x%llx %u 0x%llx", writes[i].index, (unsigned long long)writes[i].offset,
                writes[i].width, (unsigned long long)writes[i].value);
    return module.safe_state_result < 0 ? refuse(module.safe_state_result) : 0;
}

static int reset_device(const struct devreg_reset *request)
{
    assert_true(request->argsz == sizeof(*request) && request->flags == 0);
    note("reset");
    return module.reset_result < 0 ? refuse(module.reset_result) : 0;
}

static int get_dma_info(struct devreg_dma_info *info)
{
    assert_true(info->argsz == sizeof(*info) && info->flags == 0);
    if (module.dma_result < 0)
        return refuse(module.dma_result);
    *info = module.dma;
    return 0;
}

/* Of a pool each object is a segment, of a scattered one each page. */
static int allocate_buffer(struct devreg_allocate_buffer *request)
{
    struct file *file;
    int fd;

    assert_true(request->argsz == sizeof(*request) && request->reserved == 0);
    note("allocate %u bits %u count %u size 0x%llx alignment 0x%llx boundary 0x%llx", request->flags,
            request->address_bits, request->count, (unsigned long long)request->size,
            (unsigned long long)request->alignment, (unsigned long long)request->boundary);
    if (module.allocate_result < 0)
        return refuse(module.allocate_result);
    fd = add_file(BUFFER);
    file = module_find_file(fd);
    request->mapped_size = (request->size * request->count + 4095) & ~UINT64_C(4095);
    request->segment_count = request->flags & DEVREG_BUFFER_POOL ? request->count
                             : request->flags & DEVREG_BUFFER_SCATTERED
                                     ? (uint32_t)(request->mapped_size >> 12)
                                     : 1;
    request->bus_address = 0x1000000;
    request->flags |= module.buffer_flags;
    assert_int_equal(ftruncate(fd, (off_t)request->mapped_size), 0);
    if (module.unmappable)
        request->mapped_size = 0;
    file->buffer = *request;
    return fd;
}

static int get_segments(const struct file *file, struct devreg_buffer_segments *request)
{
    struct devreg_segment *segments = (void *)(uintptr_t)request->segments;
    uint32_t left = file->buffer.segment_count - request->first;

    assert_true(request->argsz == sizeof(*request) && request->flags == 0);
    note("segments %u + %u", request->first, request->count);
    if (file->gone)
        return refuse(-ENODEV);
    if (request->first >= file->buffer.segment_count)
        return refuse(-EINVAL);
    if (request->count > left)
        request->count = left;
    for (uint32_t i = 0; i < request->count; i++)
        segments[i] = (struct devreg_segment){.bus_address = 0x1000000 - (request->first + i) * 0x3000,
                .offset = (request->first + i) * 0x1000,
                .size = 0x1000};
    return 0;
}

static int sync_buffer(const struct file *file, const struct devreg_sync_buffer *request)
{
    assert_int_equal(request->argsz, sizeof(*request));
    note("sync %u 0x%llx + 0x%llx", request->flags, (unsigned long long)request->offset,
            (unsigned long long)request->size);
    return file->gone ? refuse(-ENODEV) : 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
    struct file *file = module_find_file(fd);

    assert_non_null(file);
    switch (request) {
    case DEVREG_GET_INFO:
        assert_int_equal(file->kind, MODULE);
        return get_info(argument);
    case DEVREG_CLAIM_REGION:
        assert_int_equal(file->kind, MODULE);
        return claim_region(argument);
    case DEVREG_OPEN_DEVICE:
        assert_int_equal(file->kind, MODULE);
        return open_device(argument);
    case DEVREG_DEVICE_INFO:
        assert_int_equal(file->kind, DEVICE);
        ((struct devreg_device_info *)argument)->flags = module.device_flags;
        ((struct devreg_device_info *)argument)->vendor = 0x1234;
        ((struct devreg_device_info *)argument)->device = 0x11e8;
        return file->gone ? refuse(-ENODEV) : 0;
    case DEVREG_RESET:
        assert_int_equal(file->kind, DEVICE);
        return reset_device(argument);
    case DEVREG_RESOURCE_INFO:
        assert_int_equal(file->kind, DEVICE);
        return file->gone ? refuse(-ENODEV) : get_resource(argument);
    case DEVREG_CLAIM_RESOURCE:
        assert_int_equal(file->kind, DEVICE);
        return claim_resource(argument);
    case DEVREG_REGION_INFO:
        assert_int_equal(file->kind, REGION);
        *(struct devreg_region_info *)argument = file->region;
        return 0;
    case DEVREG_ACCESS:
        assert_int_equal(file->kind, REGION);
        return access_region(file, argument);
    case DEVREG_SET_SAFE_STATE:
        assert_int_equal(file->kind, DEVICE);
        return set_safe_state(argument);
    case DEVREG_DMA_INFO:
        assert_int_equal(file->kind, DEVICE);
        return get_dma_info(argument);
    case DEVREG_ALLOCATE_BUFFER:
        assert_int_equal(file->kind, DEVICE);
        return allocate_buffer(argument);
    case DEVREG_BUFFER_SEGMENTS:
        assert_int_equal(file->kind, BUFFER);
        return get_segments(file, argument);
    case DEVREG_SYNC_BUFFER:
        assert_int_equal(file->kind, BUFFER);
        return sync_buffer(file, argument);
    case DEVREG_LET_GO:
        assert_int_equal(file->kind, BUFFER);
        assert_true(((struct devreg_let_go *)argument)->argsz == sizeof(struct devreg_let_go) &&
                    ((struct devreg_let_go *)argument)->flags == 0);
        note("let go");
        return file->gone ? refuse(-ENODEV) : 0;
    default:
        return refuse(-ENOTTY);
    }
}

/* What it is called where the C library has one for a time_t of 32 bits, too. */
int __wrap___ioctl_time64(int fd, unsigned long request, void *argument)
{
    return __wrap_ioctl(fd, request, argument);
}

void module_set_up(void)
{
    memset(&module, 0, sizeof(module));
    module.loaded = true;
    module.abi = DEVREG_ABI;
    module.capabilities = DEVREG_CAPABILITY_MEMORY | DEVREG_CAPABILITY_PORTS | DEVREG_CAPABILITY_PCI |
                          DEVREG_CAPABILITY_PLATFORM | DEVREG_CAPABILITY_DMA | DEVREG_CAPABILITY_SAFE_STATE;
    for (size_t i = 0; i < sizeof(module.memory); i++)
        module.memory[i] = (uint8_t)(i * 7);
}

void module_check_closed(void)
{
    for (size_t i = 0; i < module.file_count; i++)
        test_that(fcntl(module.files[i].fd, F_GETFD) < 0, "descriptor %zu of kind %u was left open", i,
                module.files[i].kind);
}

void module_expect_log(size_t index, const char *expected)
{
    test_that(index < module.logged && strcmp(module.log[index], expected) == 0,
            "call %zu was '%s', not '%s'", index, index < module.logged ? module.log[index] : "none",
            expected);
}

struct opened describe_edu(unsigned bar)
{
    return (struct opened){.description = {.name = (char *)"edu", .address = (char *)"00:07.0"},
            .region_description = {.name = (char *)"edu", .keys = KEY_BAR, .bar = bar}};
}

int open_both(struct opened *opened, struct error *error)
{
    const struct backend *kmod = backend_find("kmod");
    int r = kmod->device_open(&opened->description, &opened->device, error);

    /* In each test: cmocka puts its own handler there before. */
    assert_int_equal(bus_guard_install(), 0);
    if (r < 0)
        return r;
    r = kmod->region_open(opened->device, &opened->region_description, &opened->region, error);
    if (r < 0)
        kmod->device_close(opened->device);
    return r;
}

void close_both(struct opened *opened)
{
    const struct backend *kmod = backend_find("kmod");

    kmod->region_close(opened->region);
    kmod->device_close(opened->device);
}
