// How long is one look, and one look for writers? bench UUIDS: that many VMs 22222222-2222-3333-4444-%012d.
#include "../handle.h"
#include "../helpers.h"
#include "../look.h"
#include "../writers.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
enum { RUNS = 51 };
static struct table t;
static int smaller(const void *a, const void *b) {
  double d = *(const double *)a - *(const double *)b;
  return d < 0 ? -1 : d > 0;
}
static double spent(const struct rusage *u) {
  return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e3 + (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e3;
}
static double now(void) {
  struct timespec s;
  clock_gettime(CLOCK_MONOTONIC, &s);
  return (double)s.tv_sec * 1e3 + (double)s.tv_nsec / 1e6;
}
int main(int argc, char **argv) {
  struct order *o = calloc(1, sizeof *o);
  int vms = argc > 1 ? atoi(argv[1]) : 1;
  char line[256];
  int n = snprintf(line, sizeof line, "fence 00112233445566778899aabbccddeeff token=- deadline_ms=9000 vms=%d", vms);
  if (order_head(o, line, (size_t)n)) return 1;
  for (int i = 0; i < vms; i++) {
    n = snprintf(line, sizeof line, "vm 22222222-2222-3333-4444-%012d epoch=7 disk=file:/tmp/none%d", i, i);
    if (order_vm(o, line, (size_t)n)) return 2;
  }
  struct size size = {500, 1000, 200000};
  if (!table_room(&t, size) || !look_room(size) || !writers_room(size) || !handles_begin(eventfd(0, 0))) return 3;
  table_begin(&t, o, "/tmp/none"), t.stop_at = INT64_MAX;
  double begin = now();
  look(&t);
  double first = now() - begin, each[RUNS], cpu;
  struct rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  for (int i = 0; i < RUNS; i++) {
    begin = now();
    look(&t);
    each[i] = now() - begin;
  }
  getrusage(RUSAGE_SELF, &after);
  cpu = (spent(&after) - spent(&before)) / RUNS;
  qsort(each, RUNS, sizeof *each, smaller);
  for (int v = 0; v < vms; v++) t.vm[v].scanning = true;
  int file = open("/tmp/bench.witness", O_CREAT | O_WRONLY, 0600);
  begin = now();
  bool ok = writers_scan(&t, "/tmp/bench.witness");
  fprintf(stderr, "vms=%d found=%u first look %.2f ms, look: median %.2f, least %.2f, cpu %.2f ms (ok=%d), scan %.2f ms (ok=%d)\n",
          vms, t.processes, first, each[RUNS / 2], each[0], cpu, t.look_ok, now() - begin, ok);
  close(file), unlink("/tmp/bench.witness");
  return 0;
}
