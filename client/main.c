/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl: finds the verb, runs it, prints its result, and says with the exit code how it went. */
#include <signal.h>
#include <string.h>

#include "output.h"
#include "signals.h"
#include "verbs.h"

/* What needs no daemon. Returns true when it was that. */
static bool write_information(const struct options *options, const struct verb *verb)
{
    if (options_have(options, OPTION_HELP) && verb)
        verb_write_help(stdout, verb);
    else if (options_have(options, OPTION_HELP))
        verbs_write_help(stdout);
    else if (options_have(options, OPTION_VERSION))
        puts("devregctl " DEVREG_VERSION);
    else if (options_have(options, OPTION_LIST_VERBS))
        verbs_write_names(stdout);
    else
        return false;
    return true;
}

/* For the completion: --list-options "data get"; an empty name lists the global ones. */
static int list_options(const char *name, struct failure *failure)
{
    const struct verb *verb = verb_by_name(name);

    if (!verb && *name)
        return failure_set(failure, EXIT_CODE_USAGE, "no verb %s", name);
    options_write_list(stdout, verb ? verb_options(verb) : OPTIONS_GLOBAL);
    return 0;
}

static int judge_operands(const struct call *call, struct failure *failure)
{
    const struct verb *verb = call->verb;

    if (call->operand_count < verb->least_operands)
        return failure_set(failure, EXIT_CODE_USAGE, "%s needs more: devregctl %s %s", verb->name,
                verb->name, verb->arguments);
    if (call->operand_count > verb->most_operands)
        return failure_set(failure, EXIT_CODE_USAGE, "%s does not take %s: devregctl %s %s", verb->name,
                call->operands[verb->most_operands], verb->name, verb->arguments);
    return 0;
}

static void write_result(const struct call *call, const json_t *result)
{
    if (!result)
        return;
    if (options_have(call->options, OPTION_JSON))
        output_json(stdout, result);
    else if (call->verb->write_text)
        call->verb->write_text(stdout, call, result);
}

/* What devregctl ends with when nothing failed. */
struct ending {
    int exit_code;
    int signal; /* by which it ends; 0: none */
};

static int run_verb(struct call *call, struct failure *failure)
{
    json_auto_t *result = NULL;
    int r;

    r = judge_operands(call, failure);
    if (r == 0)
        r = call->verb->run(call, &result, failure);
    write_result(call, result);
    connection_done(&call->connection);
    return r;
}

/* Cuts the words at the first "--", where a command begins that has options of its own. */
static int split_command(struct call *call, int *count, char **words, struct failure *failure)
{
    int i = 1;

    if (!(call->verb->options & OPTION_COMMAND))
        return 0;
    while (i < *count && strcmp(words[i], "--") != 0)
        i++;
    if (i == *count)
        return 0;
    *count = i;
    call->command = words + i + 1;
    return *call->command
                   ? 0
                   : failure_set(failure, EXIT_CODE_USAGE, "no command after --: devregctl %s %s -- COMMAND",
                             call->verb->name, call->verb->arguments);
}

/* The words after the global options: the verb, its options and operands in any order. */
static int run_words(struct options *options, int count, char **words, void (*sigpipe)(int),
        struct ending *ending, struct failure *failure)
{
    struct call call = {.options = options, .sigpipe = sigpipe};
    unsigned name_words = 0;
    int operands = 0;
    int r;

    call.verb = verb_find(words, (unsigned)count, &name_words, failure);
    if (!call.verb)
        return -1;
    /* getopt_long() skips the first word as a program's name: that is the verb's last. */
    words += name_words - 1;
    count -= (int)name_words - 1;
    r = split_command(&call, &count, words, failure);
    if (r < 0)
        return r;
    r = options_parse(
            options, count, words, verb_options(call.verb), true, call.verb->name, &operands, failure);
    if (r < 0)
        return r;
    if (write_information(options, call.verb))
        return 0;
    call.operands = words + operands;
    call.operand_count = (unsigned)(count - operands);
    r = run_verb(&call, failure);
    *ending = (struct ending){call.exit_code, call.exit_signal};
    return r;
}

static int run(struct options *options, int argc, char **argv, void (*sigpipe)(int), struct ending *ending,
        struct failure *failure)
{
    int first = 0;
    int r;

    r = options_parse(options, argc, argv, OPTIONS_GLOBAL | OPTIONS_HIDDEN, false, NULL, &first, failure);
    if (r < 0)
        return r;
    if (options_have(options, OPTION_LIST_OPTIONS))
        return list_options(options->listed_verb, failure);
    if (first < argc && !options_have(options, OPTION_LIST_VERBS))
        return run_words(options, argc - first, argv + first, sigpipe, ending, failure);
    if (write_information(options, NULL))
        return 0;
    return failure_set(failure, EXIT_CODE_USAGE, "no verb; devregctl --help lists them");
}

int main(int argc, char **argv)
{
    _cleanup_failure_ struct failure failure = {0};
    struct ending ending = {EXIT_CODE_OK, 0};
    struct options options;
    void (*sigpipe)(int);
    int r;

    /* A reader that goes away is an error with a message and an exit code, not a silent death. */
    sigpipe = signal(SIGPIPE, SIG_IGN);
    options_init(&options);
    r = run(&options, argc, argv, sigpipe, &ending, &failure);
    if (r == 0)
        r = output_finish(stdout, &failure);
    else
        fflush(stdout); /* what was done before the failure; that one is the news */
    if (r < 0)
        failure_report(&failure, options_have(&options, OPTION_JSON));
    if (ending.signal)
        signals_obey(ending.signal);
    if (r == 0)
        return ending.exit_code;
    return failure.code == EXIT_CODE_OK ? EXIT_CODE_OTHER : (int)failure.code;
}
