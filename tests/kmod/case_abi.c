// SPDX-License-Identifier: LGPL-2.1-or-later
// The layout of the ABI: written-out sizes and offsets that both builds must have, and that the structures
// have no padding that nobody named.
#include "kmodtest.h"

#include <sys/ioctl.h>
#include <unistd.h>

// One row for each field: where it must be and how large.
// clang-format off
#define LAYOUT(field, whole)                                                  \
    field(devreg_info, argsz, 0, 4)                                           \
    field(devreg_info, flags, 4, 4)                                           \
    field(devreg_info, abi, 8, 4)                                             \
    field(devreg_info, page_size, 12, 4)                                      \
    field(devreg_info, capabilities, 16, 8)                                   \
    field(devreg_info, version, 24, 16)                                       \
    whole(devreg_info, 40)                                                    \
    field(devreg_claim, argsz, 0, 4)                                          \
    field(devreg_claim, flags, 4, 4)                                          \
    field(devreg_claim, start, 8, 8)                                          \
    field(devreg_claim, size, 16, 8)                                          \
    field(devreg_claim, name, 24, 32)                                         \
    field(devreg_claim, owner, 56, 64)                                        \
    whole(devreg_claim, 120)                                                  \
    field(devreg_open_device, argsz, 0, 4)                                    \
    field(devreg_open_device, flags, 4, 4)                                    \
    field(devreg_open_device, name, 8, 64)                                    \
    field(devreg_open_device, owner, 72, 64)                                  \
    whole(devreg_open_device, 136)                                            \
    field(devreg_device_info, argsz, 0, 4)                                    \
    field(devreg_device_info, flags, 4, 4)                                    \
    field(devreg_device_info, resource_count, 8, 4)                           \
    field(devreg_device_info, vendor, 12, 4)                                  \
    field(devreg_device_info, device, 16, 4)                                  \
    field(devreg_device_info, class_code, 20, 4)                              \
    whole(devreg_device_info, 24)                                             \
    field(devreg_resource_info, argsz, 0, 4)                                  \
    field(devreg_resource_info, flags, 4, 4)                                  \
    field(devreg_resource_info, index, 8, 4)                                  \
    field(devreg_resource_info, reserved, 12, 4)                              \
    field(devreg_resource_info, start, 16, 8)                                 \
    field(devreg_resource_info, size, 24, 8)                                  \
    field(devreg_resource_info, name, 32, 32)                                 \
    whole(devreg_resource_info, 64)                                           \
    field(devreg_claim_resource, argsz, 0, 4)                                 \
    field(devreg_claim_resource, flags, 4, 4)                                 \
    field(devreg_claim_resource, index, 8, 4)                                 \
    field(devreg_claim_resource, reserved, 12, 4)                             \
    field(devreg_claim_resource, offset, 16, 8)                               \
    field(devreg_claim_resource, size, 24, 8)                                 \
    field(devreg_claim_resource, name, 32, 32)                                \
    field(devreg_claim_resource, owner, 64, 64)                               \
    whole(devreg_claim_resource, 128)                                         \
    field(devreg_reset, argsz, 0, 4)                                          \
    field(devreg_reset, flags, 4, 4)                                          \
    whole(devreg_reset, 8)                                                    \
    field(devreg_region_info, argsz, 0, 4)                                    \
    field(devreg_region_info, flags, 4, 4)                                    \
    field(devreg_region_info, start, 8, 8)                                    \
    field(devreg_region_info, size, 16, 8)                                    \
    field(devreg_region_info, widths, 24, 4)                                  \
    field(devreg_region_info, reserved, 28, 4)                                \
    field(devreg_region_info, name, 32, 32)                                   \
    whole(devreg_region_info, 64)                                             \
    field(devreg_access, argsz, 0, 4)                                         \
    field(devreg_access, flags, 4, 4)                                         \
    field(devreg_access, offset, 8, 8)                                        \
    field(devreg_access, width, 16, 4)                                        \
    field(devreg_access, count, 20, 4)                                        \
    field(devreg_access, data, 24, 8)                                         \
    field(devreg_access, done, 32, 4)                                         \
    field(devreg_access, reserved, 36, 4)                                     \
    whole(devreg_access, 40)                                                  \
    field(devreg_interrupt_info, argsz, 0, 4)                                 \
    field(devreg_interrupt_info, flags, 4, 4)                                 \
    field(devreg_interrupt_info, lines, 8, 4)                                 \
    field(devreg_interrupt_info, msi, 12, 4)                                  \
    field(devreg_interrupt_info, msix, 16, 4)                                 \
    field(devreg_interrupt_info, reserved, 20, 4)                             \
    whole(devreg_interrupt_info, 24)                                          \
    field(devreg_open_interrupts, argsz, 0, 4)                                \
    field(devreg_open_interrupts, flags, 4, 4)                                \
    field(devreg_open_interrupts, count, 8, 4)                                \
    field(devreg_open_interrupts, records, 12, 4)                             \
    whole(devreg_open_interrupts, 16)                                         \
    field(devreg_acknowledge, argsz, 0, 4)                                    \
    field(devreg_acknowledge, flags, 4, 4)                                    \
    field(devreg_acknowledge, vector, 8, 4)                                   \
    field(devreg_acknowledge, index, 12, 4)                                   \
    field(devreg_acknowledge, width, 16, 4)                                   \
    field(devreg_acknowledge, reserved, 20, 4)                                \
    field(devreg_acknowledge, status, 24, 8)                                  \
    field(devreg_acknowledge, acknowledge, 32, 8)                             \
    field(devreg_acknowledge, value, 40, 8)                                   \
    field(devreg_acknowledge, mask, 48, 8)                                    \
    whole(devreg_acknowledge, 56)                                             \
    field(devreg_mask_interrupts, argsz, 0, 4)                                \
    field(devreg_mask_interrupts, flags, 4, 4)                                \
    field(devreg_mask_interrupts, vector, 8, 4)                               \
    field(devreg_mask_interrupts, count, 12, 4)                               \
    whole(devreg_mask_interrupts, 16)                                         \
    field(devreg_interrupt, sequence, 0, 8)                                   \
    field(devreg_interrupt, number, 8, 8)                                     \
    field(devreg_interrupt, time, 16, 8)                                      \
    field(devreg_interrupt, value, 24, 8)                                     \
    field(devreg_interrupt, vector, 32, 4)                                    \
    field(devreg_interrupt, flags, 36, 4)                                     \
    field(devreg_interrupt, dropped, 40, 4)                                   \
    field(devreg_interrupt, reserved, 44, 4)                                  \
    whole(devreg_interrupt, 48)                                               \
    field(devreg_safe_write, index, 0, 4)                                     \
    field(devreg_safe_write, width, 4, 4)                                     \
    field(devreg_safe_write, offset, 8, 8)                                    \
    field(devreg_safe_write, value, 16, 8)                                    \
    whole(devreg_safe_write, 24)                                              \
    field(devreg_safe_state, argsz, 0, 4)                                     \
    field(devreg_safe_state, flags, 4, 4)                                     \
    field(devreg_safe_state, count, 8, 4)                                     \
    field(devreg_safe_state, reserved, 12, 4)                                 \
    field(devreg_safe_state, writes, 16, 8)                                   \
    whole(devreg_safe_state, 24)                                              \
    field(devreg_dma_info, argsz, 0, 4)                                       \
    field(devreg_dma_info, flags, 4, 4)                                       \
    field(devreg_dma_info, address_bits, 8, 4)                                \
    field(devreg_dma_info, buffer_count, 12, 4)                               \
    field(devreg_dma_info, size_max, 16, 8)                                   \
    field(devreg_dma_info, total_max, 24, 8)                                  \
    field(devreg_dma_info, total, 32, 8)                                      \
    field(devreg_dma_info, retained, 40, 8)                                   \
    field(devreg_dma_info, reserved, 48, 8)                                   \
    field(devreg_dma_info, reserved_free, 56, 8)                              \
    whole(devreg_dma_info, 64)                                                \
    field(devreg_allocate_buffer, argsz, 0, 4)                                \
    field(devreg_allocate_buffer, flags, 4, 4)                                \
    field(devreg_allocate_buffer, address_bits, 8, 4)                         \
    field(devreg_allocate_buffer, count, 12, 4)                               \
    field(devreg_allocate_buffer, size, 16, 8)                                \
    field(devreg_allocate_buffer, alignment, 24, 8)                           \
    field(devreg_allocate_buffer, boundary, 32, 8)                            \
    field(devreg_allocate_buffer, bus_address, 40, 8)                         \
    field(devreg_allocate_buffer, mapped_size, 48, 8)                         \
    field(devreg_allocate_buffer, segment_count, 56, 4)                       \
    field(devreg_allocate_buffer, reserved, 60, 4)                            \
    whole(devreg_allocate_buffer, 64)                                         \
    field(devreg_buffer_info, argsz, 0, 4)                                    \
    field(devreg_buffer_info, flags, 4, 4)                                    \
    field(devreg_buffer_info, address_bits, 8, 4)                             \
    field(devreg_buffer_info, count, 12, 4)                                   \
    field(devreg_buffer_info, size, 16, 8)                                    \
    field(devreg_buffer_info, bus_address, 24, 8)                             \
    field(devreg_buffer_info, mapped_size, 32, 8)                             \
    field(devreg_buffer_info, segment_count, 40, 4)                           \
    field(devreg_buffer_info, reserved, 44, 4)                                \
    whole(devreg_buffer_info, 48)                                             \
    field(devreg_segment, bus_address, 0, 8)                                  \
    field(devreg_segment, offset, 8, 8)                                       \
    field(devreg_segment, size, 16, 8)                                        \
    whole(devreg_segment, 24)                                                 \
    field(devreg_buffer_segments, argsz, 0, 4)                                \
    field(devreg_buffer_segments, flags, 4, 4)                                \
    field(devreg_buffer_segments, first, 8, 4)                                \
    field(devreg_buffer_segments, count, 12, 4)                               \
    field(devreg_buffer_segments, segments, 16, 8)                            \
    whole(devreg_buffer_segments, 24)                                         \
    field(devreg_sync_buffer, argsz, 0, 4)                                    \
    field(devreg_sync_buffer, flags, 4, 4)                                    \
    field(devreg_sync_buffer, offset, 8, 8)                                   \
    field(devreg_sync_buffer, size, 16, 8)                                    \
    whole(devreg_sync_buffer, 24)                                             \
    field(devreg_let_go, argsz, 0, 4)                                         \
    field(devreg_let_go, flags, 4, 4)                                         \
    whole(devreg_let_go, 8)
// clang-format on

#define FIELD_SIZE(type, name) sizeof(((struct type *)NULL)->name)

#define ASSERT_FIELD(type, name, offset, octets)                                                            \
    _Static_assert(offsetof(struct type, name) == (offset), #type "." #name " is elsewhere");               \
    _Static_assert(FIELD_SIZE(type, name) == (octets), #type "." #name " has another size");
#define ASSERT_SIZE(type, octets) _Static_assert(sizeof(struct type) == (octets), #type " has another size");
LAYOUT(ASSERT_FIELD, ASSERT_SIZE)

// Each field begins where the one before it ends, and the structure ends with the last: no hidden padding.
#define ADD_FIELD(type, name, offset, octets) +FIELD_SIZE(type, name)
#define IS_SIZE(type, octets)                 -sizeof(struct type)
_Static_assert(0 LAYOUT(ADD_FIELD, IS_SIZE) == 0, "a structure has padding");

#define NUMBER(name, value) _Static_assert(name == (value), #name " has another number");
// clang-format off
#define NUMBERS(number)                                                       \
    number(DEVREG_GET_INFO, 0xc028d500)                                       \
    number(DEVREG_CLAIM_REGION, 0xc078d501)                                   \
    number(DEVREG_OPEN_DEVICE, 0xc088d502)                                    \
    number(DEVREG_DEVICE_INFO, 0xc018d503)                                    \
    number(DEVREG_RESOURCE_INFO, 0xc040d504)                                  \
    number(DEVREG_CLAIM_RESOURCE, 0xc080d505)                                 \
    number(DEVREG_RESET, 0xc008d506)                                          \
    number(DEVREG_REGION_INFO, 0xc040d507)                                    \
    number(DEVREG_ACCESS, 0xc028d508)                                         \
    number(DEVREG_ABI, 1)                                                     \
    number(DEVREG_ACCESS_COUNT_MAX, 1048576)                                  \
    number(DEVREG_NAME_SIZE, 32)                                              \
    number(DEVREG_OWNER_SIZE, 64)                                             \
    number(DEVREG_DEVICE_SIZE, 64)                                            \
    number(DEVREG_REGION_PORTS, 1)                                            \
    number(DEVREG_REGION_READ_ONLY, 2)                                        \
    number(DEVREG_REGION_WRITE_COMBINING, 4)                                  \
    number(DEVREG_REGION_MAPPABLE, 8)                                         \
    number(DEVREG_REGION_GONE, 16)                                            \
    number(DEVREG_DEVICE_PCI, 1)                                              \
    number(DEVREG_DEVICE_PLATFORM, 2)                                         \
    number(DEVREG_DEVICE_RESET, 4)                                            \
    number(DEVREG_DEVICE_GONE, 8)                                             \
    number(DEVREG_RESOURCE_PORTS, 1)                                          \
    number(DEVREG_RESOURCE_PREFETCHABLE, 2)                                   \
    number(DEVREG_RESOURCE_READ_ONLY, 4)                                      \
    number(DEVREG_RESOURCE_64, 8)                                             \
    number(DEVREG_ACCESS_WRITE, 1)                                            \
    number(DEVREG_ACCESS_REPEAT, 2)                                           \
    number(DEVREG_CAPABILITY_MEMORY, 1)                                       \
    number(DEVREG_CAPABILITY_PORTS, 2)                                        \
    number(DEVREG_CAPABILITY_PCI, 4)                                          \
    number(DEVREG_CAPABILITY_PLATFORM, 8)                                     \
    number(DEVREG_CAPABILITY_ACCESS_64, 16)                                   \
    number(DEVREG_INTERRUPT_INFO, 0xc018d509)                                 \
    number(DEVREG_OPEN_INTERRUPTS, 0xc010d50a)                                \
    number(DEVREG_SET_ACKNOWLEDGE, 0xc038d50b)                                \
    number(DEVREG_MASK_INTERRUPTS, 0xc010d50c)                                \
    number(DEVREG_INTERRUPT_LINE, 1)                                          \
    number(DEVREG_INTERRUPT_MSI, 2)                                           \
    number(DEVREG_INTERRUPT_MSIX, 4)                                          \
    number(DEVREG_VECTORS_MAX, 2048)                                          \
    number(DEVREG_RECORDS_MAX, 65536)                                         \
    number(DEVREG_ACKNOWLEDGE_READ, 1)                                        \
    number(DEVREG_ACKNOWLEDGE_WRITE, 2)                                       \
    number(DEVREG_ACKNOWLEDGE_CONSTANT, 4)                                    \
    number(DEVREG_MASK_SET, 1)                                                \
    number(DEVREG_INTERRUPT_VALUE, 1)                                         \
    number(DEVREG_INTERRUPT_MASKED, 2)                                        \
    number(DEVREG_CAPABILITY_INTERRUPTS, 32)                                  \
    number(DEVREG_SET_SAFE_STATE, 0xc018d50d)                                 \
    number(DEVREG_DMA_INFO, 0xc040d50e)                                       \
    number(DEVREG_ALLOCATE_BUFFER, 0xc040d50f)                                \
    number(DEVREG_BUFFER_INFO, 0xc030d510)                                    \
    number(DEVREG_BUFFER_SEGMENTS, 0xc018d511)                                \
    number(DEVREG_SYNC_BUFFER, 0xc018d512)                                    \
    number(DEVREG_LET_GO, 0xc008d513)                                         \
    number(DEVREG_BUFFER_COHERENT, 1)                                         \
    number(DEVREG_BUFFER_STREAMING, 2)                                        \
    number(DEVREG_BUFFER_SCATTERED, 4)                                        \
    number(DEVREG_BUFFER_POOL, 8)                                             \
    number(DEVREG_BUFFER_TO_DEVICE, 16)                                       \
    number(DEVREG_BUFFER_FROM_DEVICE, 32)                                     \
    number(DEVREG_BUFFER_RESERVED, 64)                                        \
    number(DEVREG_BUFFER_SYNC, 128)                                           \
    number(DEVREG_BUFFER_TRANSLATED, 256)                                     \
    number(DEVREG_BUFFER_GONE, 512)                                           \
    number(DEVREG_SYNC_DEVICE, 1)                                             \
    number(DEVREG_SYNC_CPU, 2)                                                \
    number(DEVREG_SAFE_WRITES_MAX, 64)                                        \
    number(DEVREG_ADDRESS_BITS_MIN, 24)                                       \
    number(DEVREG_ADDRESS_BITS_MAX, 64)                                       \
    number(DEVREG_BUFFERS_MAX, 4096)                                          \
    number(DEVREG_OBJECTS_MAX, 1048576)                                       \
    number(DEVREG_CAPABILITY_DMA, 64)                                         \
    number(DEVREG_CAPABILITY_SAFE_STATE, 128)
// clang-format on
NUMBERS(NUMBER)

#define PRINT_FIELD(type, name, offset, octets)                                                             \
    printf(#type "." #name " %zu %zu\n", offsetof(struct type, name), FIELD_SIZE(type, name));
#define PRINT_SIZE(type, octets)   printf(#type " %zu\n", sizeof(struct type));
#define PRINT_NUMBER(name, number) printf(#name " %#llx\n", (unsigned long long)name);

void print_layout(void)
{
    LAYOUT(PRINT_FIELD, PRINT_SIZE)
    NUMBERS(PRINT_NUMBER)
}

static void get_info(void)
{
    int control = open_control();
    struct devreg_info info;
    memset(&info, 0xff, sizeof(info)); // what is only told may hold anything
    info.argsz = sizeof(info);
    info.flags = 0;
    fine(ioctl(control, DEVREG_GET_INFO, &info));
    check_equal(info.argsz, sizeof(info));
    check_equal(info.flags, 0);
    check_equal(info.abi, 1);
    check_equal(info.page_size, page_size());
    check_equal(info.capabilities,
            DEVREG_CAPABILITY_MEMORY | DEVREG_CAPABILITY_PORTS | DEVREG_CAPABILITY_PCI |
                    DEVREG_CAPABILITY_PLATFORM | (kernel_has_64_bits() ? DEVREG_CAPABILITY_ACCESS_64 : 0) |
                    DEVREG_CAPABILITY_INTERRUPTS | DEVREG_CAPABILITY_DMA | DEVREG_CAPABILITY_SAFE_STATE);
    check(memchr(info.version, 0, sizeof(info.version)) != NULL);
    char version[sizeof(info.version) + 1];
    snprintf(version, sizeof(version), "%s", info.version);
    char *module = read_file("/sys/module/devreg/version");
    module[strcspn(module, "\n")] = 0;
    check_text(version, module);
    check(*version);
}

// The numbers of the ABI reach the module with the structures where both builds have them: a value in every
// field.
static void fields_arrive(void)
{
    int control = open_control();
    struct bar bar = bar_of(IVSHMEM, 2);
    check(bar.flags & BAR_64);
    int region = fine(claim(control, DEVREG_REGION_READ_ONLY, bar.start + 0x3000, 0x2000, "fields", NULL));
    struct devreg_region_info info;
    memset(&info, 0xff, sizeof(info));
    info.argsz = sizeof(info);
    info.flags = 0;
    info.reserved = 0;
    fine(ioctl(region, DEVREG_REGION_INFO, &info));
    check_equal(info.argsz, sizeof(info));
    check_equal(info.flags, DEVREG_REGION_READ_ONLY | DEVREG_REGION_MAPPABLE);
    check_equal(info.start, bar.start + 0x3000);
    check_equal(info.size, 0x2000);
    check_equal(info.widths, 2 * width_max() - 1);
    check_equal(info.reserved, 0);
    check(memchr(info.name, 0, sizeof(info.name)) != NULL);
    check_text(info.name, "fields");
}

const struct test_case abi_cases[] = {
        {"abi_get_info", get_info, 0},
        {"abi_fields_arrive", fields_arrive, 0},
        {0},
};
