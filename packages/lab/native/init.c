/*
 * Pid 1 of a node: reaps what is orphaned (a killed qemu would stay a zombie that looks alive) and
 * runs the node's services. Commands on descriptor 3, one per line, words percent-encoded:
 *   run NAME RESTART_MS LOG COMMAND…   start a service; RESTART_MS < 0: do not start it again
 *   signal NAME NUMBER                 to the service's process group; restarts go on
 *   hold NAME NUMBER                   the same, and no more restarts until "free"
 *   free NAME                          restarts again, at once if it is not running
 *   drop NAME                          forget a service that does not run
 *   list                               one "service NAME PID HELD" line each
 * Each command is answered by "ok" or "error TEXT". Told without being asked: "started NAME PID",
 * "ended NAME STATUS" (as a shell counts: 128 + signal).
 */
#define _GNU_SOURCE
#include "init.h"
#include "common.h"
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

enum { MAX_SERVICES = 32, MAX_WORDS = 256, MAX_LINE = 32768 };

struct service {
    char *words[MAX_WORDS]; /* name, restart, log, command…, NULL */
    char *memory;
    long restart_ms;
    long long again_at; /* monotonic ms of the next start, 0: none is due */
    pid_t pid;          /* 0: does not run */
    int held;
};

static struct service services[MAX_SERVICES];
static sigset_t no_signals;

void tell(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vdprintf(CONTROL, format, args);
    va_end(args);
}

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static struct service *find(const char *name) {
    for (int i = 0; i < MAX_SERVICES; i++)
        if (services[i].memory && !strcmp(services[i].words[0], name)) return &services[i];
    return NULL;
}

static void start(struct service *service) {
    service->again_at = 0;
    pid_t pid = fork();
    if (pid < 0) { /* no process to be had (a pids limit is one of the lab's faults): try later */
        service->again_at = now_ms() + 500;
        return;
    }
    if (!pid) {
        sigprocmask(SIG_SETMASK, &no_signals, NULL);
        setsid();
        int log = open(service->words[2], O_WRONLY | O_CREAT | O_APPEND, 0600);
        int null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        dup2(log < 0 ? null : log, 1);
        dup2(log < 0 ? null : log, 2);
        close_range(3, ~0U, 0);
        execvp(service->words[3], service->words + 3);
        fprintf(stderr, "lab: cannot run %s: %s\n", service->words[3], strerror(errno));
        _exit(127);
    }
    service->pid = pid;
    tell("started %s %d\n", service->words[0], pid);
}

static void reap(void) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (int i = 0; i < MAX_SERVICES; i++) {
            struct service *service = &services[i];
            if (!service->memory || service->pid != pid) continue;
            service->pid = 0;
            if (!service->held && service->restart_ms >= 0)
                service->again_at = now_ms() + service->restart_ms + 1;
            tell("ended %s %d\n", service->words[0],
                 WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
        }
}

static void decode(char *word) {
    char *to = word;
    for (unsigned code; *word; word++, to++) {
        if (*word == '%' && sscanf(word + 1, "%2x", &code) == 1) {
            *to = (char)code;
            word += 2;
        } else {
            *to = *word;
        }
    }
    *to = 0;
}

static const char *run(struct service *fresh) {
    struct service *old = find(fresh->words[0]);
    if (old && old->pid) return "it runs already";
    struct service *slot = old;
    for (int i = 0; i < MAX_SERVICES && !slot; i++)
        if (!services[i].memory) slot = &services[i];
    if (!slot) return "too many services";
    if (old) free(old->memory);
    fresh->restart_ms = atol(fresh->words[1]);
    *slot = *fresh;
    fresh->memory = NULL;
    start(slot);
    return NULL;
}

/* Carries one command out; what it returns is an error text, or NULL. */
static const char *obey(struct service *fresh, int count) {
    const char *command = fresh->words[0];
    if (!strcmp(command, "list")) {
        for (int i = 0; i < MAX_SERVICES; i++)
            if (services[i].memory)
                tell("service %s %d %d\n", services[i].words[0], services[i].pid, services[i].held);
        return NULL;
    }
    if (count < 2) return "a name is missing";
    if (!strcmp(command, "run")) {
        if (count < 5) return "run needs a name, a restart time, a log and a command";
        memmove(fresh->words, fresh->words + 1, (size_t)count * sizeof *fresh->words);
        return run(fresh);
    }
    struct service *service = find(fresh->words[1]);
    if (!service) return "no such service";
    int signal_number = count > 2 ? atoi(fresh->words[2]) : 0;
    if (!strcmp(command, "signal") || !strcmp(command, "hold")) {
        if (*command == 'h') service->held = 1, service->again_at = 0;
        /* Just after its start it has no process group yet. */
        if (service->pid && kill(-service->pid, signal_number) &&
            kill(service->pid, signal_number) && errno != ESRCH)
            return strerror(errno);
        return NULL;
    }
    if (!strcmp(command, "free")) {
        service->held = 0;
        if (!service->pid) start(service);
        return NULL;
    }
    if (!strcmp(command, "drop")) {
        if (service->pid) return "it still runs";
        free(service->memory);
        memset(service, 0, sizeof *service);
        return NULL;
    }
    return "unknown command";
}

static void take_line(const char *line) {
    struct service fresh = {.memory = strdup(line)};
    int count = 0;
    char *rest = fresh.memory;
    if (!rest) return;
    for (char *word; count < MAX_WORDS - 1 && (word = strsep(&rest, " "));) {
        decode(word);
        fresh.words[count++] = word;
    }
    const char *error = count ? obey(&fresh, count) : "empty";
    free(fresh.memory);
    if (error) tell("error %s\n", error);
    else tell("ok\n");
}

/* Reads what there is and takes the whole lines of it. The end of the daemon is the end of the node. */
static void read_commands(void) {
    static char buffer[MAX_LINE];
    static size_t used;
    ssize_t n = read(CONTROL, buffer + used, sizeof buffer - used);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0) _exit(0);
    used += (size_t)n;
    char *from = buffer;
    for (char *end; (end = memchr(from, '\n', used - (size_t)(from - buffer))); from = end + 1) {
        *end = 0;
        take_line(from);
    }
    used -= (size_t)(from - buffer);
    memmove(buffer, from, used);
    if (used == sizeof buffer) used = 0; /* no command is that long */
}

/* Starts what is due; says how long (ms) the next one may be waited for, -1 for ever. */
static int start_what_is_due(void) {
    long long now = now_ms(), next = -1;
    for (int i = 0; i < MAX_SERVICES; i++) {
        struct service *service = &services[i];
        if (service->memory && service->again_at && service->again_at <= now) start(service);
        if (service->memory && service->again_at && (next < 0 || service->again_at - now < next))
            next = service->again_at - now;
    }
    return (int)next;
}

void supervise(void) {
    sigset_t children;
    sigemptyset(&no_signals);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_SETMASK, &children, NULL);
    struct pollfd on[] = {
        {.fd = CONTROL, .events = POLLIN},
        {.fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN},
    };
    for (;;) {
        reap();
        if (poll(on, 2, start_what_is_due()) < 0) continue;
        struct signalfd_siginfo skipped;
        while (read(on[1].fd, &skipped, sizeof skipped) > 0) {}
        if (on[0].revents) read_commands();
    }
}
