// SPDX-License-Identifier: LGPL-2.1-or-later
// kmodtest drives the module devreg.ko through its ABI, inside a machine that may break.
//
//   kmodtest --list          the cases, a line each: name, then words for what it needs
//   kmodtest --layout        sizes, offsets and numbers of the ABI as this build has them
//   kmodtest [CASE...]       runs these, or all that this kernel can alone, and prints TAP
//   kmodtest --info          what the module says of itself
//   kmodtest --hold WHAT     opens a control, device, region or mapping, says "held", waits to be killed
//
// Each case is a process of its own, with devices as settle() leaves them, and a time limit
// (KMODTEST_TIMEOUT_S). It fails when a check does, and also when afterwards the kernel's log has something
// that looks like a mistake, when /proc/iomem or /proc/ioports differ from before, or when the module is
// used by more than before.
#include "kmodtest.h"

#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_S      60
#define MODULE_USERS   "/sys/module/devreg/refcnt"
#define SETTLE_WAIT_MS 3000

static const struct test_case *const tables[] = {abi_cases, argument_cases, text_cases, claim_cases,
        foreign_cases, access_cases, port_cases, mapping_cases, vma_cases, device_cases, right_cases,
        load_cases, race_cases, removal_cases, interrupt_cases, interrupt_record_cases, interrupt_end_cases,
        vector_cases, line_cases, buffer_cases, dma_cases, fault_cases};

// Lines that a healthy kernel does not write.
static const char TROUBLE[] =
        "WARNING:|BUG:|KASAN|UBSAN|Oops|Call Trace|general protection|DMA-API:|possible "
        "(circular|recursive)|(inconsistent|bad) (lock|unlock)|suspicious RCU|rcu:.*stall|blocked "
        "for more than|sleeping function|scheduling while atomic|refcount_t|list_(add|del) "
        "corruption|nonexistent resource|resource sanity check|x86/PAT:.*(conflict|expected|freeing "
        "invalid)|Bad page|unreferenced object|soft lockup|held.*exit|cannot create duplicate";

// Of a failure that a case asked for: the kernel's own checks of DMA need memory too.
static const char ALLOWED[] = "DMA-API: cacheline tracking ENOMEM";

struct before {
    char *iomem, *ioports, *users;
};

static void for_each_case(void (*function)(const struct test_case *, void *), void *argument)
{
    for (size_t i = 0; i < array_size(tables); i++)
        for (const struct test_case *row = tables[i]; row->name; row++)
            function(row, argument);
}

static void list_case(const struct test_case *row, void *argument)
{
    static const struct {
        unsigned flag;
        const char *word;
    } needs[] = {{CASE_FAULTS, "faults"}, {CASE_LOCKDOWN, "lockdown"}, {CASE_OUTSIDE, "outside"},
            {CASE_ROUTES, "routes"}, {CASE_RESERVE, "reserve"}, {CASE_PC, "pc"}, {CASE_DISK, "disk"}};
    (void)argument;
    printf("%s", row->name);
    for (size_t i = 0; i < array_size(needs); i++)
        if (row->flags & needs[i].flag)
            printf(" %s", needs[i].word);
    printf("\n");
}

static bool locked_down(void)
{
    int file = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    char text[128] = "";
    bool locked = read(file, text, sizeof(text) - 1) > 0 && !strstr(text, "[none]");
    close(file);
    return locked;
}

static bool is_pc(void)
{
    struct utsname names;
    fine(uname(&names));
    return strcmp(names.machine, "x86_64") == 0 || strcmp(names.machine, "i686") == 0;
}

static bool possible(const struct test_case *row)
{
    if ((row->flags & CASE_FAULTS) && access("/proc/self/fail-nth", W_OK) != 0)
        return false;
    if ((row->flags & CASE_PC) && !is_pc())
        return false;
    return locked_down() == !!(row->flags & CASE_LOCKDOWN);
}

// Everything that the log has from now on; -1 when the log can't be read.
static int open_log(void)
{
    int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (log >= 0)
        lseek(log, 0, SEEK_END);
    return log;
}

static bool log_is_clean(int log)
{
    regex_t trouble;
    if (regcomp(&trouble, TROUBLE, REG_EXTENDED | REG_NOSUB) != 0)
        abort();
    char record[8192];
    char *lines = NULL;
    size_t size = 0;
    FILE *text = open_memstream(&lines, &size);
    bool clean = true;
    ssize_t length;
    while ((length = read(log, record, sizeof(record) - 1)) > 0 || (length < 0 && errno == EPIPE)) {
        if (length < 0)
            continue; // records were overwritten before they were read
        record[length] = 0;
        // "priority,number,time,flags;message\n key=value..."
        char *message = strchr(record, ';');
        message = message ? message + 1 : record;
        message[strcspn(message, "\n")] = 0;
        if (regexec(&trouble, message, 0, NULL, 0) == 0 && !strstr(message, ALLOWED))
            clean = false;
        fprintf(text, "# kernel: %s\n", message);
    }
    fclose(text);
    if (!clean)
        fputs(lines, stdout);
    free(lines);
    regfree(&trouble);
    return clean;
}

static void remember(struct before *before)
{
    *before = (struct before){read_file(IOMEM), read_file(IOPORTS), read_file(MODULE_USERS)};
}

static void forget(struct before *before)
{
    free(before->iomem);
    free(before->ioports);
    free(before->users);
}

// Prints the lines that only one of them has.
static void print_differences(const char *path, const char *before, const char *after)
{
    const char *texts[] = {before, after};
    for (int i = 0; i < 2; i++) {
        char *copy = strdup(texts[i]), *rest = copy;
        for (char *line; (line = strsep(&rest, "\n"));)
            if (*line && !strstr(texts[!i], line))
                printf("# %s: %c%s\n", path, i ? '+' : '-', line);
        free(copy);
    }
}

// What the case left behind goes away by itself when that only takes a moment, as other processes of it end.
static bool same_as_before(const struct before *before, bool moves)
{
    for (uint64_t limit = now_ms() + SETTLE_WAIT_MS;; sleep_ms(20)) {
        struct before now;
        remember(&now);
        bool claims = strstr(now.iomem, " : devreg:") || strstr(now.ioports, " : devreg:");
        bool same = !claims && strcmp(before->users, now.users) == 0 &&
                    (moves || (strcmp(before->iomem, now.iomem) == 0 &&
                                      strcmp(before->ioports, now.ioports) == 0));
        if (!same && now_ms() > limit) {
            print_differences(IOMEM, before->iomem, now.iomem);
            print_differences(IOPORTS, before->ioports, now.ioports);
            if (strcmp(before->users, now.users) != 0)
                printf("# the module's users: before %s# after %s", before->users, now.users);
        }
        forget(&now);
        if (same || now_ms() > limit)
            return same;
    }
}

static void run_settle(void *argument)
{
    (void)argument;
    if (settle() != 0) {
        fflush(stdout);
        _exit(CHILD_FAILED);
    }
}

static bool settled(void)
{
    return wait_child(spawn(run_settle, NULL)) == 0;
}

// Runs it in a process group of its own, all of which is killed when the case is over or late.
static bool run_process(const struct test_case *row, unsigned timeout_s)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        row->run();
        fflush(stdout);
        _exit(0);
    }
    setpgid(child, child);
    siginfo_t ended = {0};
    for (uint64_t limit = now_ms() + timeout_s * 1000ULL;;) {
        // WNOWAIT: the group's number must stay taken until it has been killed.
        if (waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == child)
            break;
        if (now_ms() > limit) {
            printf("# it takes longer than %u s\n", timeout_s);
            break;
        }
        sleep_ms(2);
    }
    kill(-child, SIGKILL);
    int status = wait_child(child);
    if (WIFSIGNALED(status))
        printf("# it ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return status == 0;
}

static bool run_case(const struct test_case *row, unsigned timeout_s)
{
    if (!possible(row)) {
        printf("# this kernel can't: it has no fault injection, is no PC's, or is (or is not) locked "
               "down\n");
        return false;
    }
    int log = open_log();
    if (log < 0) {
        printf("# /dev/kmsg: %s\n", strerrorname_np(errno));
        return false;
    }
    struct before before;
    bool good = settled();
    if (good) {
        remember(&before);
        good = run_process(row, timeout_s);
        if (!(row->flags & CASE_OUTSIDE))
            good &= settled();
        good &= same_as_before(&before, row->flags & CASE_MOVES);
        forget(&before);
    }
    good &= log_is_clean(log);
    close(log);
    return good;
}

struct selection {
    int number;
    unsigned timeout_s;
    bool good;
    const char *wanted;          /* what find_case() looks for */
    const struct test_case *row; /* and what it found */
};

static void find_case(const struct test_case *row, void *argument)
{
    struct selection *selection = argument;
    if (strcmp(row->name, selection->wanted) == 0)
        selection->row = row;
}

static void report(struct selection *selection, const struct test_case *row)
{
    uint64_t started = now_ms();
    bool good = run_case(row, selection->timeout_s);
    printf("%sok %d - %s # %llu ms\n", good ? "" : "not ", ++selection->number, row->name,
            (unsigned long long)(now_ms() - started));
    fflush(stdout);
    selection->good &= good;
}

static void run_if_possible(const struct test_case *row, void *argument)
{
    if (possible(row) && !(row->flags & (CASE_OUTSIDE | CASE_RESERVE)))
        report(argument, row);
}

static void print_info(void)
{
    struct devreg_info info = {.argsz = sizeof(info)};
    fine(ioctl(open_control(), DEVREG_GET_INFO, &info));
    printf("abi %u capabilities %#llx version %.16s\n", info.abi, (unsigned long long)info.capabilities,
            info.version);
}

// The options that are no cases; -1 when it is none of them.
static int serve_option(int count, char **arguments)
{
    const char *option = count > 1 ? arguments[1] : "";
    if (strcmp(option, "--list") == 0)
        for_each_case(list_case, NULL);
    else if (strcmp(option, "--layout") == 0)
        print_layout();
    else if (strcmp(option, "--info") == 0)
        print_info();
    else if (strcmp(option, "--hold") == 0 && count == 3)
        return hold(arguments[2]) ? 0 : 2;
    else if (strcmp(option, "--is-closed") == 0 && count == 3) // for a case that executes itself
        return fcntl(atoi(arguments[2]), F_GETFD) < 0 ? 0 : 1;
    else
        return -1;
    return 0;
}

int main(int count, char **arguments)
{
    int status = serve_option(count, arguments);
    if (status >= 0)
        return status;
    const char *timeout = getenv("KMODTEST_TIMEOUT_S");
    struct selection selection = {.timeout_s = timeout ? (unsigned)atoi(timeout) : TIMEOUT_S, .good = true};
    if (count == 1)
        for_each_case(run_if_possible, &selection);
    for (int i = 1; i < count; i++) {
        selection.wanted = arguments[i];
        selection.row = NULL;
        for_each_case(find_case, &selection);
        if (!selection.row) {
            fprintf(stderr, "kmodtest: there is no case %s: see kmodtest --list\n", arguments[i]);
            return 2;
        }
        report(&selection, selection.row);
    }
    printf("1..%d\n", selection.number);
    return selection.good ? 0 : 1;
}
