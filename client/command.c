/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pipe that closes when the child executes tells a command that can't be executed from one that exits with
 * 127. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child. */
static void __attribute__((noreturn))
execute(char *const *argv, pid_t parent, const struct signals *signals, void (*sigpipe)(int), int report)
{
    int code;
    ssize_t written;

    /* A command that outlived devregctl would go on without anybody renewing its hold. devregctl may have
     * died before this took effect. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_CODE_OTHER);
    signal(SIGPIPE, sigpipe);
    sigprocmask(SIG_SETMASK, &signals->before, NULL);
    execvp(argv[0], argv);
    code = errno;
    written = write(report, &code, sizeof(code));
    _exit(written < 0 ? EXIT_CODE_OTHER : 127);
}

int command_export(const struct options *options, struct failure *failure)
{
    const struct {
        const char *name;
        const char *value;
    } variables[] = {{"DEVREG_HOST", options->host}, {"DEVREG_CACERT", options->cacert},
            {"DEVREG_CERT", options->cert}, {"DEVREG_KEY", options->key}};

    for (size_t i = 0; i < ELEMENTS(variables); i++)
        if (variables[i].value && setenv(variables[i].name, variables[i].value, 1) < 0)
            return failure_set(failure, EXIT_CODE_OTHER, "%s: %s", variables[i].name, strerror(errno));
    /* Another pair's key would not fit. */
    if (options->cert && !options->key)
        unsetenv("DEVREG_KEY");
    return 0;
}

int command_start(struct command *command, char *const *argv, const struct signals *signals,
        void (*sigpipe)(int), struct failure *failure)
{
    _cleanup_close_ int report = -1;
    pid_t parent = getpid();
    int ends[2];
    int code = 0;
    ssize_t size;

    *command = (struct command){0};
    if (pipe2(ends, O_CLOEXEC) < 0)
        return failure_set(failure, EXIT_CODE_OTHER, "pipe: %s", strerror(errno));
    report = ends[0];
    command->pid = fork();
    if (command->pid == 0)
        execute(argv, parent, signals, sigpipe, ends[1]);
    close(ends[1]);
    if (command->pid < 0)
        return failure_set(failure, EXIT_CODE_OTHER, "fork: %s", strerror(errno));
    do
        size = read(report, &code, sizeof(code));
    while (size < 0 && errno == EINTR);
    if (size != (ssize_t)sizeof(code))
        return 0;
    waitpid(command->pid, NULL, 0);
    command->ended = true;
    return failure_set(failure, code == ENOENT ? EXIT_CODE_NO_COMMAND : EXIT_CODE_NOT_EXECUTABLE, "%s: %s",
            argv[0], strerror(code));
}

void command_look(struct command *command)
{
    int status;

    while (!command->ended && waitpid(command->pid, &status, WNOHANG | WUNTRACED | WCONTINUED) > 0) {
        command->stopped = WIFSTOPPED(status);
        if (WIFEXITED(status))
            command->exit_code = WEXITSTATUS(status);
        else if (WIFSIGNALED(status))
            command->exit_code = 128 + WTERMSIG(status);
        command->ended = WIFEXITED(status) || WIFSIGNALED(status);
    }
}

void command_signal(const struct command *command, int signal)
{
    if (!command->ended)
        kill(command->pid, signal);
}

void command_pass_on(const struct command *command, const struct signalfd_siginfo *signal)
{
    /* The terminal's signals are for the whole process group in its foreground: a second Ctrl-C would be
     * taken for impatience. */
    if (signal->ssi_code == SI_KERNEL && getpgid(command->pid) == getpgrp())
        return;
    command_signal(command, (int)signal->ssi_signo);
}
