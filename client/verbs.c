/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table, and everything that is printed from it. */
#include "verbs.h"

#include <limits.h>
#include <string.h>

#define PLACE_FORMS                                                                                         \
    "  REGION:0xOFFSET        one register\n"                                                               \
    "  REGION:0xSTART+COUNT   COUNT registers from START\n"                                                 \
    "  REGION:0xSTART-0xEND   every register with START <= offset <= END\n"                                 \
    "  REGION:NAME            a register by its name\n"

static const struct verb verbs[] = {
        {"list", "[regions|devices]", "list the regions, or the devices",
                "Lists the regions (the default) or the devices, with the reason where one is absent.\n",
                "  devregctl list\n"
                "  devregctl list devices\n",
                0, 0, 1, cmd_list, cmd_list_write},
        {"show", "REGION|DEVICE", "show all facts about a region or device",
                "Shows everything the daemon says of the region and of the device with this name.\n",
                "  devregctl show edu\n", 0, 1, 1, cmd_show, cmd_show_write},
        {"read", "PLACE...", "read registers",
                "Reads registers and prints their values in hex. A single register prints just the value;\n"
                "several, ranges and --count print a line each. A PLACE is\n" PLACE_FORMS
                "Nothing else is read, and each register is read once. When a place fails, the values that\n"
                "were read before it are still printed.\n",
                "  devregctl read edu:0x0\n"
                "  devregctl read edu:0x0+4 edu:0x20\n"
                "  devregctl read edu:0x80 --width 64\n",
                OPTION_WIDTH | OPTION_COUNT, 1, UINT_MAX, cmd_read, cmd_read_write},
        {"write", "PLACE VALUE...", "write registers",
                "Writes a register; several VALUEs go to consecutive registers. A VALUE is decimal, hex as "
                "0x1f\n"
                "or binary as 0b101. Prints nothing; with --mask only the bits of MASK change, in one step "
                "that\n"
                "no other client can come between, and the value before and after is printed.\n",
                "  devregctl write edu:0x4 0x12345678\n"
                "  devregctl write edu:0x80 1 2 3\n"
                "  devregctl write edu:0x20 0x80 --mask 0x80\n",
                OPTION_WIDTH | OPTION_MASK, 2, UINT_MAX, cmd_write, cmd_write_write},
        {"data get", "PLACE LENGTH", "read a block of octets",
                "Reads LENGTH octets (a number, or as 64k or 1M) from the offset of PLACE. A terminal gets "
                "a hex\n"
                "dump, a pipe or file the octets. More than 1 MiB is read in pieces of at most 1 MiB; "
                "between\n"
                "them other clients may come in.\n",
                "  devregctl data get edu:0x40000 256\n"
                "  devregctl data get edu:0x40000 4k -o memory.bin\n"
                "  devregctl data get odd:0x20 16 --fixed --width 32 --hex\n",
                OPTION_WIDTH | OPTION_FIXED | OPTION_HEX | OPTION_OUTPUT, 2, 2, cmd_data_get, NULL},
        {"data put", "PLACE [FILE]", "write a block of octets",
                "Writes the octets of FILE (of standard input without FILE, or with -) from the offset of "
                "PLACE\n"
                "on. More than 1 MiB is written in pieces of at most 1 MiB; between them other clients may "
                "come\n"
                "in. Prints nothing.\n",
                "  devregctl data put edu:0x40000 memory.bin\n"
                "  printf 'hello, board' | devregctl data put edu:0x40000\n",
                OPTION_WIDTH | OPTION_FIXED, 1, 2, cmd_data_put, NULL},
        {"status", "", "show how the daemon is doing",
                "Shows the daemon's version, addresses, limits and warnings, and each backend: whether it "
                "is\n"
                "usable, and if not, why.\n",
                "  devregctl status\n"
                "  devregctl --json status\n",
                0, 0, 0, cmd_status, cmd_status_write},
        {"explain", "PLACE|REGION|DEVICE", "tell why a place can or can't be reached",
                "Tells by which backend a place is reached and why by that one, who else owns it, and at "
                "which\n"
                "widths that very offset can be accessed. No register is touched.\n",
                "  devregctl explain edu:0x6\n"
                "  devregctl explain edu\n",
                0, 1, 1, cmd_explain, cmd_explain_write},
};

int call_connect(struct call *call, struct failure *failure)
{
    return connection_init(&call->connection, call->options, failure);
}

/* How many of the words are the verb's name; 0: another verb. */
static unsigned match(const struct verb *verb, char *const *words, unsigned count)
{
    size_t first = strcspn(verb->name, " ");

    if (strlen(words[0]) != first || strncmp(verb->name, words[0], first) != 0)
        return 0;
    if (verb->name[first] == '\0')
        return 1;
    return count > 1 && strcmp(verb->name + first + 1, words[1]) == 0 ? 2 : 0;
}

const struct verb *verb_find(
        char *const *words, unsigned count, unsigned *ret_words, struct failure *failure)
{
    size_t length = strlen(words[0]);

    for (size_t i = 0; i < ELEMENTS(verbs); i++) {
        *ret_words = match(&verbs[i], words, count);
        if (*ret_words > 0)
            return &verbs[i];
    }
    for (size_t i = 0; i < ELEMENTS(verbs); i++) {
        if (strncmp(verbs[i].name, words[0], length) != 0 || verbs[i].name[length] != ' ')
            continue;
        failure_set(failure, EXIT_CODE_USAGE, "%s needs another word, as in: devregctl %s %s", words[0],
                verbs[i].name, verbs[i].arguments);
        return NULL;
    }
    failure_set(failure, EXIT_CODE_USAGE, "no verb %s; devregctl --help lists them", words[0]);
    return NULL;
}

const struct verb *verb_by_name(const char *name)
{
    for (size_t i = 0; i < ELEMENTS(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

void verbs_write_names(FILE *stream)
{
    for (size_t i = 0; i < ELEMENTS(verbs); i++)
        fprintf(stream, "%s\n", verbs[i].name);
}

void verbs_write_help(FILE *stream)
{
    fputs("Usage: devregctl [-H HOST] [--json] [--timeout SECONDS] VERB ...\n"
          "Reads and writes device registers through devregd.\n\nVerbs:\n",
            stream);
    for (size_t i = 0; i < ELEMENTS(verbs); i++) {
        char words[64];

        snprintf(words, sizeof(words), "%s %s", verbs[i].name, verbs[i].arguments);
        fprintf(stream, "  %-30s  %s\n", words, verbs[i].summary);
    }
    fputs("\nOptions:\n", stream);
    options_write_help(stream, OPTIONS_GLOBAL);
    fputs("\nWithout -H, DEVREG_HOST says which daemon; without that, the usual sockets are tried.\n"
          "devregctl VERB --help tells more of a verb; devregctl(1) has the exit codes.\n",
            stream);
}

void verb_write_usage(FILE *stream, const struct verb *verb)
{
    int columns =
            fprintf(stream, "devregctl %s%s%s", verb->name, *verb->arguments ? " " : "", verb->arguments);

    options_write_usage(stream, verb->options, (unsigned)columns + 7);
}

void verb_write_help(FILE *stream, const struct verb *verb)
{
    fputs("Usage: ", stream);
    verb_write_usage(stream, verb);
    fprintf(stream, "\n%s", verb->details);
    fputs("\nOptions:\n", stream);
    options_write_help(stream, verb->options | OPTIONS_GLOBAL);
    fprintf(stream, "\nExamples:\n%s", verb->examples);
}
