// SPDX-License-Identifier: Apache-2.0
// The guest's service: a counter in memory, on TCP port 7000. Commands and answers are single lines.
//
//   i      count: "<counter> <answers on this connection>"; two replicas give the same answer
//   d      count, and write the counter to every disk, bypassing all caches; answer as for i
//   v      verify: "ok <counter>" if every disk has the last counter written and the memory checker found no
//          error; else the error
//   r      "rounds <n> errors <n>" of the memory checker
//   t      "t <clock>": two replicas give different answers
//   m <n>  write to n megabytes of memory, at most 64: "m <n>"
//   o      "off", and power the guest off
//
// The argument list names the disks.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 7000, MAX_CONNECTIONS = 64, BLOCK = 4096, MAX_DIRTY_MB = 64, LINE = 256 };

static const off_t PLACE_ON_DISK = 1 << 20;

struct connection {
    int fd;
    unsigned long answers;
    size_t length;
    char buffer[LINE];
};

static struct connection connections[MAX_CONNECTIONS];
static unsigned long counter, written;
static char **disks;
static int disk_count;
static char *dirty;
static char block[BLOCK] __attribute__((aligned(BLOCK)));

// Write the counter to every disk. Return the disk that failed, or NULL.
static const char *write_disks(void)
{
    memset(block, 0, BLOCK);
    snprintf(block, BLOCK, "%lu", counter);
    for (int i = 0; i < disk_count; i++) {
        int fd = open(disks[i], O_WRONLY | O_DIRECT | O_SYNC);
        int failed = fd < 0 || pwrite(fd, block, BLOCK, PLACE_ON_DISK) != BLOCK || fsync(fd);
        if (fd >= 0)
            close(fd);
        if (failed)
            return disks[i];
    }
    written = counter;
    return NULL;
}

// Read the number on a disk into *number. Return whether that worked.
static int read_disk(const char *disk, unsigned long *number)
{
    int fd = open(disk, O_RDONLY | O_DIRECT);
    int worked = fd >= 0 && pread(fd, block, BLOCK, PLACE_ON_DISK) == BLOCK;
    if (fd >= 0)
        close(fd);
    *number = worked ? strtoul(block, NULL, 10) : 0;
    return worked;
}

// Read the two numbers of the memory checker: rounds and errors.
static void read_checker(unsigned long numbers[2])
{
    numbers[0] = numbers[1] = 0;
    int fd = open("/tmp/memory_checker", O_RDONLY);
    if (fd < 0)
        return;
    if (read(fd, numbers, 2 * sizeof *numbers) < 0)
        numbers[1] = 1;
    close(fd);
}

static int verify(char *answer)
{
    unsigned long checker[2], number;
    for (int i = 0; i < disk_count; i++) {
        if (!read_disk(disks[i], &number))
            return sprintf(answer, "bad: %s cannot be read: %s\n", disks[i], strerror(errno));
        if (number != written)
            return sprintf(answer, "bad: %s holds %lu, memory says %lu\n", disks[i], number, written);
    }
    read_checker(checker);
    if (checker[1])
        return sprintf(answer, "bad: %lu errors in memory\n", checker[1]);
    return sprintf(answer, "ok %lu\n", counter);
}

static int count(struct connection *c, char *answer)
{
    counter++;
    c->answers++;
    return sprintf(answer, "%lu %lu\n", counter, c->answers);
}

static int count_on_disk(struct connection *c, char *answer)
{
    int length = count(c, answer);
    const char *failed = write_disks();
    return failed ? sprintf(answer, "bad: %s: %s\n", failed, strerror(errno)) : length;
}

static int dirty_memory(const char *argument, char *answer)
{
    unsigned long megabytes = strtoul(argument, NULL, 10);
    if (megabytes > MAX_DIRTY_MB)
        megabytes = MAX_DIRTY_MB;
    for (size_t i = 0; i < megabytes << 20; i += BLOCK)
        dirty[i]++;
    return sprintf(answer, "m %lu\n", megabytes);
}

static int tell_clock(char *answer)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return sprintf(answer, "t %ld.%09ld\n", (long)now.tv_sec, now.tv_nsec);
}

static void obey(struct connection *c, const char *line)
{
    char answer[LINE];
    unsigned long checker[2];
    int length;
    switch (line[0]) {
    case 'i': length = count(c, answer); break;
    case 'd': length = count_on_disk(c, answer); break;
    case 'v': length = verify(answer); break;
    case 'r': read_checker(checker); length = sprintf(answer, "rounds %lu errors %lu\n", checker[0], checker[1]); break;
    case 't': length = tell_clock(answer); break;
    case 'm': length = dirty_memory(line + 1, answer); break;
    case 'o': length = sprintf(answer, "off\n"); break;
    default: length = sprintf(answer, "?\n");
    }
    if (write(c->fd, answer, length) != length)
        perror("write");
    if (line[0] == 'o' && reboot(RB_POWER_OFF))
        perror("reboot");
}

static void hang_up(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
}

static void receive(struct connection *c)
{
    ssize_t got = read(c->fd, c->buffer + c->length, LINE - 1 - c->length);
    if (got <= 0) {
        hang_up(c);
        return;
    }
    c->length += got;
    c->buffer[c->length] = 0;
    char *begin = c->buffer, *end;
    while ((end = strchr(begin, '\n'))) {
        *end = 0;
        obey(c, begin);
        begin = end + 1;
    }
    c->length -= begin - c->buffer;
    memmove(c->buffer, begin, c->length);
    if (c->length == LINE - 1)
        hang_up(c);
}

static void greet(int listener)
{
    int one = 1, fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (int i = 0; i < MAX_CONNECTIONS; i++) {
        if (connections[i].fd < 0) {
            connections[i] = (struct connection){.fd = fd};
            return;
        }
    }
    close(fd);
}

static int listen_on(int port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&any, sizeof any) || listen(fd, MAX_CONNECTIONS)) {
        perror("listen");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    struct pollfd ready[MAX_CONNECTIONS + 1];
    disks = argv + 1;
    disk_count = argc - 1;
    if (disk_count)
        read_disk(disks[0], &written);
    dirty = calloc(MAX_DIRTY_MB, 1 << 20);
    for (int i = 0; i < MAX_CONNECTIONS; i++)
        connections[i].fd = -1;
    int listener = listen_on(PORT);
    for (;;) {
        // poll(2) ignores negative descriptors, so unused slots may remain
        for (int i = 0; i < MAX_CONNECTIONS; i++)
            ready[i] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
        ready[MAX_CONNECTIONS] = (struct pollfd){.fd = listener, .events = POLLIN};
        if (poll(ready, MAX_CONNECTIONS + 1, -1) < 0)
            continue;
        for (int i = 0; i < MAX_CONNECTIONS; i++)
            if (ready[i].revents)
                receive(&connections[i]);
        if (ready[MAX_CONNECTIONS].revents)
            greet(listener);
    }
}
