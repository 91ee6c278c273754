// SPDX-License-Identifier: Apache-2.0
// Writes the number of the round to pages of memory, and checks in the next round that each still has it.
// This detects pages that a checkpoint has lost or has copied at a wrong time. The argument is the number of
// pages.
//
// /tmp/memory_checker has two numbers: rounds and errors.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE_WORDS = 512, LAST_WORD = 511, PAUSE_US = 20000, MAX_COMPLAINTS = 40 };

static void complain(int page, unsigned long round, unsigned long first, unsigned long last)
{
    FILE *console = fopen("/dev/ttyS0", "w");
    if (!console)
        return;
    fprintf(console, "MEMORY-CORRUPT page %d should hold %lu, holds %lu and %lu\n", page, round, first, last);
    fclose(console);
}

int main(int argc, char **argv)
{
    int pages = argc > 1 ? atoi(argv[1]) : 512;
    int fd = open("/tmp/memory_checker", O_RDWR | O_CREAT, 0644);
    if (fd < 0 || ftruncate(fd, 4096))
        return 1;
    size_t size = pages * PAGE_WORDS * sizeof(unsigned long);
    volatile unsigned long *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile unsigned long *report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED || report == MAP_FAILED)
        return 1;
    for (unsigned long round = 0;; usleep(PAUSE_US)) {
        for (int page = 0; page < pages; page++) {
            volatile unsigned long *words = memory + page * PAGE_WORDS;
            if ((words[0] != round || words[LAST_WORD] != round) && report[1]++ < MAX_COMPLAINTS)
                complain(page, round, words[0], words[LAST_WORD]);
        }
        round++;
        for (int page = 0; page < pages; page++)
            memory[page * PAGE_WORDS] = memory[page * PAGE_WORDS + LAST_WORD] = round;
        report[0] = round;
    }
}
