/* What a host's storage suffers from: hanging, failing, slowness, a cut storage net. */
#define _GNU_SOURCE
#include "gate.h"
#include "common.h"
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

enum fault { FAULT_NONE, FAULT_HANG, FAULT_WRITES_HANG, FAULT_EIO, FAULT_SLOW };

static struct sockaddr_in server;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static enum fault fault;
static long slow_ms;

void gate_depends_on(const char *address, int port) {
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, address, &server.sin_addr) != 1) fail("'%s' is no address", address);
}

/* One round trip over the storage net; waits for ever like a hard mount does. */
static void reach_server(void) {
    static __thread int fd = -1;
    static __thread unsigned sent;
    if (fd < 0) {
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0) return;
        (void)!connect(fd, (struct sockaddr *)&server, sizeof server);
    }
    for (unsigned first = ++sent, got;;) {
        (void)!send(fd, &sent, sizeof sent, 0);
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        while (poll(&wait, 1, 100) > 0)
            if (recv(fd, &got, sizeof got, 0) == sizeof got) {
                if (got - first < 1u << 31) return;
            } else {
                /* An ICMP error (net down): it is cut, try again at the pace of the poll. */
                nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
                break;
            }
        sent++;
    }
}

int gate(enum kind kind) {
    pthread_mutex_lock(&lock);
    while (fault == FAULT_HANG || (fault == FAULT_WRITES_HANG && kind == WRITES))
        pthread_cond_wait(&changed, &lock);
    enum fault now = fault;
    long ms = slow_ms;
    pthread_mutex_unlock(&lock);
    if (now == FAULT_EIO) return -EIO;
    if (now == FAULT_SLOW)
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
    reach_server();
    return 0;
}

static void obey(char *line) {
    long ms = 0;
    enum fault next;
    if (!strcmp(line, "ok")) next = FAULT_NONE;
    else if (!strcmp(line, "hang")) next = FAULT_HANG;
    else if (!strcmp(line, "rohang")) next = FAULT_WRITES_HANG;
    else if (!strcmp(line, "eio")) next = FAULT_EIO;
    else if (sscanf(line, "slow %ld", &ms) == 1 && ms >= 0 && ms <= 60000) next = FAULT_SLOW;
    else {
        (void)!write(CONTROL, "unknown\n", 8);
        return;
    }
    pthread_mutex_lock(&lock);
    fault = next;
    slow_ms = ms;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    (void)!write(CONTROL, "done\n", 5);
}

static void *listen_to_control(void *unused) {
    (void)unused;
    FILE *commands = fdopen(dup(CONTROL), "r");
    char line[64];
    while (commands && fgets(line, sizeof line, commands)) {
        line[strcspn(line, "\n")] = 0;
        obey(line);
    }
    _exit(0); /* the lab is gone */
}

void gate_start(void) {
    pthread_t control;
    if (pthread_create(&control, NULL, listen_to_control, NULL)) fail("cannot start a thread");
}
