// SPDX-License-Identifier: LGPL-2.1-or-later
// Who may: CAP_SYS_RAWIO opens the node, descriptors are passed on, kernel lockdown forbids claims by
// address.
#include "kmodtest.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

static void set_capabilities(uint64_t capabilities)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{(uint32_t)capabilities, (uint32_t)capabilities, 0},
            {(uint32_t)(capabilities >> 32), (uint32_t)(capabilities >> 32), 0}};
    fine(syscall(SYS_capset, &header, data));
}

static uint64_t all_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    fine(syscall(SYS_capget, &header, data));
    return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static void become_nobody(void)
{
    fine(setgroups(0, NULL));
    fine(setresgid(65534, 65534, 65534));
    fine(setresuid(65534, 65534, 65534));
    set_capabilities(0);
}

static void node(void)
{
    struct stat status;
    fine(stat(DEVREG_PATH, &status));
    check(S_ISCHR(status.st_mode));
    check_equal(status.st_mode & 07777, 0600);
    check_equal(status.st_uid, 0);
    check_equal(status.st_gid, 0);
    check_equal(major(status.st_rdev), 10); // of misc devices
}

static void root_without_rawio(void *argument)
{
    (void)argument;
    set_capabilities(all_capabilities() & ~(1ULL << CAP_SYS_RAWIO));
    check_error(open(DEVREG_PATH, O_RDWR | O_CLOEXEC), EPERM);
    check_error(open(DEVREG_PATH, O_RDONLY | O_CLOEXEC), EPERM);
}

static void nobody_opens(void *argument)
{
    (void)argument;
    become_nobody();
    check_error(open(DEVREG_PATH, O_RDWR | O_CLOEXEC), EACCES);
}

static void only_rawio(void *argument)
{
    (void)argument;
    set_capabilities(1ULL << CAP_SYS_RAWIO);
    int control = fine(open(DEVREG_PATH, O_RDWR | O_CLOEXEC));
    close(fine(claim(control, 0, bar_of(FREE_EDU, 0).start, 0x1000, "rawio", NULL)));
    close(fine(open_device(control, DEVREG_DEVICE_PCI, EDU, NULL)));
}

static void capability(void)
{
    in_child(root_without_rawio, NULL);
    in_child(nobody_opens, NULL);
    in_child(only_rawio, NULL);
}

static void use_all(void *argument)
{
    const int *descriptors = argument; // control, device, region
    become_nobody();
    close(fine(claim(descriptors[0], DEVREG_REGION_PORTS, 0x510, 12, "nobody", NULL)));
    int window = fine(claim_resource(descriptors[1], 0, 0, 0x2000, 0x1000, "nobody", NULL));
    check_equal(region_info(window).size, 0x1000);
    check_equal(read_value(descriptors[2], 0, 4), 0x010000ed);
    uint32_t *map = mapped(mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, descriptors[2], 0));
    check_equal(*(volatile uint32_t *)map, 0x010000ed);
}

static void inherited_descriptors(void)
{
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0x1000, "region", NULL));
    int descriptors[] = {edu.control, edu.device, region};
    in_child(use_all, descriptors);
}

static void receive_and_use(void *argument)
{
    int socket = *(int *)argument;
    become_nobody();
    char octet, control[CMSG_SPACE(sizeof(int))];
    struct iovec vector = {&octet, 1};
    struct msghdr message = {
            .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    check_equal(recvmsg(socket, &message, MSG_CMSG_CLOEXEC), 1);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    check(header && header->cmsg_type == SCM_RIGHTS);
    int region;
    memcpy(&region, CMSG_DATA(header), sizeof(region));
    check_equal(read_value(region, 0, 4), 0x010000ed);
    volatile uint32_t *map = mapped(mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, region, 0));
    check_equal(*map, 0x010000ed);
}

static void send_descriptor(int socket, int descriptor)
{
    char octet = 0, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec vector = {&octet, 1};
    struct msghdr message = {
            .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof(descriptor));
    check_equal(sendmsg(socket, &message, 0), 1);
}

// A claim that is on its way in a socket is one too: it ends when the message is dropped.
static void passed_descriptors(void)
{
    int sockets[2];
    fine(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
    pid_t child = spawn(receive_and_use, &sockets[1]);
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0x1000, "passed", NULL));
    send_descriptor(sockets[0], region);
    join_child(child);
    context("in a message that nobody reads");
    send_descriptor(sockets[0], region);
    close(region);
    check_equal(count_all_claims(IOMEM), 1);
    close(sockets[0]);
    close(sockets[1]);
    check_equal(count_all_claims(IOMEM), 0);
}

// Under lockdown. The device was bound before or is bound now: who could do that has been asked.
static void locked_down_claims(void)
{
    int control = open_control();
    char owner[DEVREG_OWNER_SIZE];
    check_error(claim(control, 0, bar_of(FREE_EDU, 0).start, 0x1000, "raw", owner), EPERM);
    check_text(owner, "");
    check_error(
            claim(control, DEVREG_REGION_READ_ONLY, bar_of(FREE_EDU, 0).start, 0x1000, "raw", owner), EPERM);
    check_error(claim(control, DEVREG_REGION_PORTS, 0x510, 12, "raw", owner), EPERM);
    check_equal(count_all_claims(IOMEM) + count_all_claims(IOPORTS), 0);
}

static void locked_down_device(void)
{
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0, "bound", NULL));
    volatile uint32_t *map = mapped(mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, region, 0));
    check_equal(map[0], 0x010000ed);
    check_equal(read_value(region, 0, 4), 0x010000ed);
    bind_device("platform", FW_CFG);
    check_error(open_device(edu.control, DEVREG_DEVICE_PLATFORM, FW_CFG, NULL), EPERM);
    unbind_device("pci", EDU);
    check_equal(touch_read(map, NULL), TOUCH_BUS);
}

const struct test_case right_cases[] = {
        {"rights_node", node, 0},
        {"rights_capability", capability, 0},
        {"rights_inherited_descriptors", inherited_descriptors, 0},
        {"rights_passed_descriptors", passed_descriptors, 0},
        {"rights_locked_down_claims", locked_down_claims, CASE_LOCKDOWN},
        {"rights_locked_down_device", locked_down_device, CASE_LOCKDOWN},
        {0},
};
