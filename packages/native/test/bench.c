// How long is one look, and one look for writers? bench UUIDS: that many VMs 22222222-2222-3333-4444-%012d.
#include "../helpers.h"
#include "../look.h"
#include "../writers.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
static struct table t;
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
  t.order = o, t.run = "/tmp/none", t.self = getpid(), t.stop_at = INT64_MAX;
  double begin = now();
  look(&t);
  double first = now() - begin;
  begin = now();
  for (int i = 0; i < 20; i++) look(&t);
  double looked = (now() - begin) / 20;
  for (int v = 0; v < vms; v++) t.vm[v].scanning = true;
  int file = open("/tmp/bench.witness", O_CREAT | O_WRONLY, 0600);
  begin = now();
  bool ok = writers_scan(&t, "/tmp/bench.witness");
  fprintf(stderr, "vms=%d found=%u first look %.2f ms, look %.2f ms (ok=%d), scan %.2f ms (ok=%d)\n", vms, t.processes,
          first, looked, t.look_ok, now() - begin, ok);
  close(file), unlink("/tmp/bench.witness");
  return 0;
}
