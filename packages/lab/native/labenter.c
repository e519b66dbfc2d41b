/*
 * Runs one command inside a node: joins the node's control groups first (a freeze would miss the
 * command otherwise), then its namespaces, and passes the command's exit code on.
 * The command dies with this program, and with the node's power: it lives in the node's pid namespace.
 */
#define _GNU_SOURCE
#include "common.h"
#include <sys/wait.h>

static const char usage_text[] =
    "labenter --pid PID --start START [--cgroup DIR]… [--dir DIR] -- COMMAND…";

static volatile sig_atomic_t child;

static void pass_on(int signal_number) {
    if (child > 0) kill(child, signal_number);
}

int main(int argc, char **argv) {
    long long pid = 0, start = 0;
    const char *dir = "/";
    int i = 1;
    for (; i + 1 < argc && strcmp(argv[i], "--"); i += 2) {
        if (!strcmp(argv[i], "--pid")) pid = number(argv[i + 1]);
        else if (!strcmp(argv[i], "--start")) start = number(argv[i + 1]);
        else if (!strcmp(argv[i], "--cgroup")) join_cgroup(argv[i + 1]);
        else if (!strcmp(argv[i], "--dir")) dir = argv[i + 1];
        else usage(usage_text);
    }
    if (i + 1 >= argc || strcmp(argv[i], "--") || !pid) usage(usage_text);

    int process = open_process(pid, start);
    /* The mounts last: /proc looks different afterwards. */
    const char *names[] = {"ipc", "uts", "net", "pid"};
    for (unsigned n = 0; n < sizeof names / sizeof *names; n++) join_namespace(process, names[n]);
    join_mounts(process);
    close(process);
    if (chdir(dir)) fail("cannot change to %s inside the node", dir);

    child = fork();
    if (child < 0) fail("cannot fork inside the node");
    if (!child) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL)) _exit(125);
        execvp(argv[i + 1], argv + i + 1);
        fprintf(stderr, "labenter: cannot run %s: %s\n", argv[i + 1], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
    }
    /* Ctrl-C of a terminal reaches the command by itself. */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGTERM, pass_on);
    signal(SIGHUP, pass_on);
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) fail("cannot wait for the command");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
