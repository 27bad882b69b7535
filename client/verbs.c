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

#define TARGET_FORMS                                                                                        \
    "  REGION                 all of the region\n"                                                          \
    "  REGION:0xOFFSET        one register of it, of 32 bits without --width\n"                             \
    "  REGION:0xSTART+COUNT   COUNT registers, or 0xSTART-0xEND as for read\n"                              \
    "  device:NAME            all regions of the device\n"

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
                "Writes a register; several VALUEs go to consecutive "
                "registers. A VALUE is decimal, hex as 0x1f\n"
                "or binary as 0b101. Prints nothing; with --mask "
                "only the bits of MASK change, in one step that\n"
                "no other client can come between, and the value before and after is printed.\n",
                "  devregctl write edu:0x4 0x12345678\n"
                "  devregctl write edu:0x80 1 2 3\n"
                "  devregctl write edu:0x20 0x80 --mask 0x80\n",
                OPTION_WIDTH | OPTION_MASK, 2, UINT_MAX, cmd_write, cmd_write_write},
        {"data get", "PLACE LENGTH", "read a block of octets",
                "Reads LENGTH octets (a number, or as 64k or 1M) from "
                "the offset of PLACE. A terminal gets a hex\n"
                "dump, a pipe or file the octets. More than 1 MiB "
                "is read in pieces of at most 1 MiB; between\n"
                "them other clients may come in.\n",
                "  devregctl data get edu:0x40000 256\n"
                "  devregctl data get edu:0x40000 4k -o memory.bin\n"
                "  devregctl data get odd:0x20 16 --fixed --width 32 --hex\n",
                OPTION_WIDTH | OPTION_FIXED | OPTION_HEX | OPTION_OUTPUT, 2, 2, cmd_data_get, NULL},
        {"data put", "PLACE [FILE]", "write a block of octets",
                "Writes the octets of FILE (of standard input without "
                "FILE, or with -) from the offset of PLACE\n"
                "on. More than 1 MiB is written in pieces of at most "
                "1 MiB; between them other clients may come\n"
                "in. Prints nothing.\n",
                "  devregctl data put edu:0x40000 memory.bin\n"
                "  printf 'hello, board' | devregctl data put edu:0x40000\n",
                OPTION_WIDTH | OPTION_FIXED, 1, 2, cmd_data_put, NULL},
        {"status", "", "show how the daemon is doing",
                "Shows the daemon's version, addresses, limits and "
                "warnings, and each backend: whether it is\n"
                "usable, and if not, why.\n",
                "  devregctl status\n"
                "  devregctl --json status\n",
                0, 0, 0, cmd_status, cmd_status_write},
        {"explain", "PLACE|REGION|DEVICE", "tell why a place can or can't be reached",
                "Tells by which backend a place is reached and why "
                "by that one, who else owns it, and at which\n"
                "widths that very offset can be accessed. No register is touched.\n",
                "  devregctl explain edu:0x6\n"
                "  devregctl explain edu\n",
                0, 1, 1, cmd_explain, cmd_explain_write},
        {"reserve", "TARGET", "hold a region, a part of it or a device",
                "Keeps others out of TARGET until it is released or "
                "the time (10 minutes without --for) is over.\n"
                "Prints the reservation's id and when it ends. A TARGET is\n" TARGET_FORMS
                "With a COMMAND, holds it while the command runs, "
                "however long that is: renews it, ends the\n"
                "command when the hold is lost, and releases it at "
                "the end. Exits with the command's exit code.\n"
                "--wait takes its turn when others hold it; with =TIME it gives up after that time.\n",
                "  devregctl reserve edu -- make test\n"
                "  devregctl reserve edu:0x0+4 --for 1h --note 'bring-up of DMA' --contact "
                "alice@lab.example\n"
                "  devregctl reserve device:edu --wait=10m --safe edu:0x20=0x0 -- ./measure --fast\n",
                OPTION_WIDTH | OPTION_FOR | OPTION_SHARED | OPTION_WAIT | OPTION_NOTE | OPTION_CONTACT |
                        OPTION_TAKEOVER | OPTION_SAFE | OPTION_COMMAND,
                1, 1, cmd_reserve, cmd_reserve_write},
        {"renew", "ID", "hold a reservation for longer",
                "Lets the reservation last from now on for as long "
                "as it was taken for, or for TIME. Prints its id\n"
                "and when it ends.\n",
                "  devregctl renew r-1f00 --for 1h\n", OPTION_FOR, 1, 1, cmd_renew, cmd_renew_write},
        {"release", "ID|TARGET", "end a reservation",
                "Ends the reservation of this ID, or your own ones, "
                "also waiting ones, of exactly this TARGET:\n" TARGET_FORMS "Prints nothing.\n",
                "  devregctl release r-1f00\n"
                "  devregctl release edu\n",
                OPTION_WIDTH, 1, 1, cmd_release, NULL},
        {"reservations", "", "list the reservations",
                "Lists who holds what and for how long, and who waits for it.\n",
                "  devregctl reservations\n", 0, 0, 0, cmd_reservations, cmd_reservations_write},
        {"interrupts", "[list]", "list the sources of interrupts",
                "Lists the sources of interrupts: how many came of "
                "each, how many of them were missed, how many a\n"
                "second there are lately, and the last one; with the reason where one is absent.\n",
                "  devregctl interrupts\n", 0, 0, 1, cmd_interrupts, cmd_interrupts_write},
        {"interrupts watch", "[SOURCE...]", "follow interrupts and other events",
                "Prints a line for each interrupt of these sources (without "
                "SOURCE of all), and for what else became\n"
                "of them and of the daemon, as it happens, until it "
                "is stopped. When the connection breaks it is made\n"
                "again, and the lines go on where they ended; what can't "
                "be had any more is a line LOST. With --json\n"
                "each line is an object with id, event and data. With "
                "--timeout it ends with the exit code 7 when no\n"
                "event came for so long. --count is about events of the KINDs, where those are given.\n",
                "  devregctl interrupts watch\n"
                "  devregctl interrupts watch edu --count 10 --json\n"
                "  devregctl interrupts watch --since 0 --kind storm --kind device\n",
                OPTION_EVENTS | OPTION_POSITION | OPTION_KINDS | OPTION_PATIENCE | OPTION_HEARTBEAT |
                        OPTION_NO_RECONNECT,
                0, UINT_MAX, cmd_interrupts_watch, NULL},
        {"interrupts wait", "SOURCE...", "wait for an interrupt",
                "Waits for an interrupt of one of these sources, or "
                "for N, and prints it. With --timeout it gives up\n"
                "after that time, with the exit code 7. With a COMMAND, "
                "runs that as soon as nothing can be missed any\n"
                "more, and counts the time from its end; if it fails, its exit code is the result.\n",
                "  devregctl interrupts wait edu --timeout 5s\n"
                "  devregctl interrupts wait edu --timeout 1 -- devregctl write edu:0x60 1\n",
                OPTION_EVENTS | OPTION_POSITION | OPTION_PATIENCE | OPTION_HEARTBEAT | OPTION_NO_RECONNECT |
                        OPTION_COMMAND,
                1, UINT_MAX, cmd_interrupts_wait, NULL},
        {"interrupts mask", "SOURCE", "have no interrupts of a source",
                "Masks the source: no interrupt of it is delivered until it is unmasked. Prints nothing.\n",
                "  devregctl interrupts mask edu\n", 0, 1, 1, cmd_interrupts_mask, NULL},
        {"interrupts unmask", "SOURCE", "have interrupts of a source again",
                "Unmasks the source, also one that the daemon masked because it storms. Prints nothing.\n",
                "  devregctl interrupts unmask edu\n", 0, 1, 1, cmd_interrupts_unmask, NULL},
        {"buffer alloc", "DEVICE SIZE", "allocate memory that a device reaches by DMA",
                "Allocates a DMA buffer for the device, zeroed, and "
                "prints its id and its bus address, which is what\n"
                "the device is told. A SIZE is in octets, as 4096 "
                "or 0x1000, or as 64k, 4M or 1G; of a pool it is\n"
                "that of one object. The buffer is freed after an hour "
                "(see --for), or with the reservation that it\n"
                "was made in: inside `reserve DEVICE -- COMMAND` that is the one.\n"
                "  coherent   in one piece; the device and you see at once what the other writes\n"
                "  streaming  in one piece, for one side at a time: buffer sync hands it over\n"
                "  scattered  likewise, but in segments for the device: for what is large\n"
                "  pool       N coherent objects of one size, as for a ring of descriptors\n",
                "  devregctl buffer alloc edu 64k --bits 28\n"
                "  read -r id bus <<<\"$(devregctl buffer alloc nic 4k --alignment 64k --note 'ring 0')\"\n"
                "  devregctl buffer alloc nic 256M --kind scattered --direction from_device --for 10m\n"
                "  devregctl buffer alloc nic 64 --kind pool --count 512 --for never\n",
                OPTION_BUFFER_KIND | OPTION_BITS | OPTION_ALIGNMENT | OPTION_BOUNDARY | OPTION_DIRECTION |
                        OPTION_OBJECTS | OPTION_BUFFER_NOTE | OPTION_LIFETIME | OPTION_RESERVATION,
                2, 2, cmd_buffer_alloc, cmd_buffer_alloc_write},
        {"buffer list", "", "list the DMA buffers",
                "Lists your DMA buffers; to an administrator of their devices those of others, too.\n",
                "  devregctl buffer list\n", 0, 0, 0, cmd_buffer_list, cmd_buffer_list_write},
        {"buffer show", "ID", "show all facts about a DMA buffer",
                "Shows everything the daemon says of the buffer, "
                "and the bus address of each segment or object.\n",
                "  devregctl buffer show b-1f00\n", 0, 1, 1, cmd_buffer_show, cmd_buffer_show_write},
        {"buffer get", "ID [FILE]", "read a DMA buffer",
                "Reads the octets of the buffer. A terminal gets a "
                "hex dump; a pipe, FILE, or standard output as -,\n"
                "gets the octets. FILE is replaced when all of them "
                "came. --timeout is how long none may come.\n",
                "  devregctl buffer get b-1f00 --length 256\n"
                "  devregctl buffer get b-1f00 capture.bin\n"
                "  devregctl buffer get b-1f00 --offset 1M --length 64k - | sha256sum\n",
                OPTION_OFFSET | OPTION_LENGTH | OPTION_HEX | OPTION_OUTPUT, 1, 2, cmd_buffer_get, NULL},
        {"buffer put", "ID [FILE]", "write a DMA buffer",
                "Writes the octets of FILE (of standard input without "
                "FILE, or with -) into the buffer. A file goes\n"
                "in one request, what is piped in goes in pieces of "
                "4 MiB. Prints nothing. --timeout is how long\n"
                "nothing may move.\n",
                "  devregctl buffer put b-1f00 firmware.bin\n"
                "  printf 'hello, board' | devregctl buffer put b-1f00 --offset 0x100\n",
                OPTION_OFFSET, 1, 2, cmd_buffer_put, NULL},
        {"buffer fill", "ID VALUE", "fill a DMA buffer with a value",
                "Writes the value all over the buffer, or a part "
                "of it; in memory it is little-endian. Prints\n"
                "nothing.\n",
                "  devregctl buffer fill b-1f00 0\n"
                "  devregctl buffer fill b-1f00 0xdeadbeef --width 32 --offset 4k --length 4k\n",
                OPTION_VALUE_WIDTH | OPTION_OFFSET | OPTION_LENGTH, 2, 2, cmd_buffer_fill, NULL},
        {"buffer sync", "ID device|cpu", "hand a DMA buffer over",
                "Hands the octets of a streaming or scattered buffer "
                "over: to the device, before it is told to read\n"
                "or write them; to the cpu, before you get or put "
                "them again. Harmless where it is not needed.\n"
                "Prints nothing.\n",
                "  devregctl buffer sync b-1f00 device\n"
                "  devregctl buffer sync b-1f00 cpu --offset 1M --length 64k\n",
                OPTION_OFFSET | OPTION_LENGTH, 2, 2, cmd_buffer_sync, NULL},
        {"buffer renew", "ID", "keep a DMA buffer for longer",
                "Lets the buffer last from now on for as long as it "
                "was allocated for, or for TIME. Prints its id\n"
                "and when it is freed.\n",
                "  devregctl buffer renew b-1f00 --for 1h\n", OPTION_LIFETIME, 1, 1, cmd_buffer_renew,
                cmd_buffer_renew_write},
        {"buffer free", "ID...", "free DMA buffers",
                "Frees the buffers, which is a promise that the device "
                "does not use them any more: stop it first.\n"
                "One that can't be freed keeps none of the others. Prints nothing.\n",
                "  devregctl buffer free b-1f00 b-1f01\n", 0, 1, UINT_MAX, cmd_buffer_free, NULL},
        {"whoami", "", "show who you are to the daemon",
                "Shows who the daemon takes you for, and what you may do with which region.\n",
                "  devregctl whoami\n", 0, 0, 0, cmd_whoami, cmd_whoami_write},
        {"access explain", "PRINCIPAL PLACE|REGION", "tell what someone may do, by which rule",
                "Tells what the access rules let PRINCIPAL do with "
                "the register or region, and which rule decides.\n"
                "A PRINCIPAL is as whoami and audit print it: user:alice, token:ci, certificate:rig1 or\n"
                "anonymous. To ask about others takes the permission admin.\n",
                "  devregctl access explain user:alice edu:0x80\n"
                "  devregctl access explain token:ci edu:0x20 --permission write --value 0x80\n",
                OPTION_WIDTH | OPTION_PERMISSION | OPTION_VALUE | OPTION_MASK, 2, 2, cmd_access_explain,
                cmd_access_explain_write},
        {"token create", "NAME", "make a token for programs",
                "Makes a token with which a program is token:NAME, "
                "and prints it alone on standard output: it\n"
                "can't be shown again. What it may do is what access rules let token:NAME do; --permission\n"
                "and --region narrow that. Without --for it lasts until it is revoked.\n",
                "  devregctl token create trial --for 1h --region 'edu*'\n"
                "  (umask 077; devregctl token create ci --for 30d --permission read > ci.token)\n",
                OPTION_FOR | OPTION_PERMISSIONS | OPTION_REGIONS, 1, 1, cmd_token_create,
                cmd_token_create_write},
        {"token list", "", "list the tokens", "Lists the tokens, but not their texts, which nobody knows.\n",
                "  devregctl token list\n", 0, 0, 0, cmd_token_list, cmd_token_list_write},
        {"token revoke", "NAME", "make a token invalid",
                "Makes the token invalid at once and ends its reservations. Prints nothing.\n",
                "  devregctl token revoke ci\n", 0, 1, 1, cmd_token_revoke, NULL},
        {"bind", "DEVICE", "give a device to a kernel driver",
                "Takes the device from the kernel driver that has it "
                "and binds it to devreg, or to the driver NAME,\n"
                "whose module must be loaded. What is under way is finished "
                "first; meanwhile requests for the device\n"
                "are refused as busy. When the driver does not take "
                "it, the one before gets it back. It is refused\n"
                "while a mounted file system, swap, the only network "
                "link or the console is on the device, or\n"
                "another has reserved it, unless --force is given; bridges are always refused.\n",
                "  devregctl bind edu\n"
                "  devregctl bind edu --driver uio_pci_generic\n",
                OPTION_DRIVER | OPTION_FORCE, 1, 1, cmd_bind, cmd_bind_write},
        {"unbind", "DEVICE", "give a device back to the kernel's choice",
                "Takes the device from the kernel driver that has "
                "it, and lets the kernel choose one, so that the\n"
                "device's own driver comes back if there is one. It is refused as bind is.\n",
                "  devregctl unbind edu\n", OPTION_FORCE, 1, 1, cmd_unbind, cmd_bind_write},
        {"reset", "DEVICE", "set a device back to what it is after power-on",
                "Resets the device, and says how much memory that was "
                "retained of it went back. What is under way is\n"
                "finished first; requests for the device wait meanwhile. "
                "DMA buffers and reservations stay. It is\n"
                "refused when a kernel driver works with the device or "
                "another has reserved any of it, and when no way\n"
                "to reset it is known: `show DEVICE` tells that. It "
                "may take 90 seconds longer than --timeout allows.\n",
                "  devregctl reset edu\n"
                "  devregctl reserve device:edu -- sh -c 'devregctl reset edu && ./bring-up'\n",
                0, 1, 1, cmd_reset, cmd_reset_write},
        {"audit", "", "show who did what",
                "Shows what was changed, refused and administered, "
                "oldest first. A TIME is how long ago, as 90s,\n"
                "10m, 2h or 30d, or a date and time, as 2026-12-01T09:30:00Z.\n",
                "  devregctl audit --since 1h\n"
                "  devregctl audit --principal token:ci --action write --result refused -n 20\n",
                OPTION_SINCE | OPTION_UNTIL | OPTION_PRINCIPAL | OPTION_REGION | OPTION_ACTION |
                        OPTION_RESULT | OPTION_LIMIT,
                0, 0, cmd_audit, cmd_audit_write},
};

int call_connect(struct call *call, struct failure *failure)
{
    return connection_init(&call->connection, call->options, failure);
}

uint64_t verb_options(const struct verb *verb)
{
    uint64_t global = OPTIONS_GLOBAL;

    if (verb->options & OPTION_PATIENCE)
        global &= ~OPTION_TIMEOUT;
    return verb->options | global;
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
    const struct verb *verb = NULL;

    /* "interrupts watch" rather than "interrupts" with an operand. */
    *ret_words = 0;
    for (size_t i = 0; i < ELEMENTS(verbs); i++) {
        unsigned matching = match(&verbs[i], words, count);

        if (matching > *ret_words) {
            *ret_words = matching;
            verb = &verbs[i];
        }
    }
    if (verb)
        return verb;
    for (size_t i = 0; i < ELEMENTS(verbs); i++) {
        if (strncmp(verbs[i].name, words[0], length) != 0 || verbs[i].name[length] != ' ')
            continue;
        if (count > 1)
            failure_set(failure, EXIT_CODE_USAGE, "%s can't %s; devregctl --help lists what it can",
                    words[0], words[1]);
        else
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
        fprintf(stream, "  %-38s  %s\n", words, verbs[i].summary);
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
    options_write_help(stream, verb_options(verb));
    fprintf(stream, "\nExamples:\n%s", verb->examples);
}
