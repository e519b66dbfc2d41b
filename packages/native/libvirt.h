#pragma once
// What virsh's text and libvirt's files mean. Pure.
#include "order.h"

enum said { SAID_NOTHING, SAID_OFF, SAID_ON };
struct told { enum said said; bool named; int64_t id; char name[MAX_NAME]; };
/** One `told` for each VM of the order. */
void libvirt_answer(const struct order *order, const char *out, size_t out_length, const char *err,
                    size_t err_length, struct told *told);
/** virsh could not connect at all. */
bool libvirt_refused(const char *err, size_t length);
/** Epoch in libvirt's status file, if it is that of this process and VM; -1 otherwise. */
int64_t libvirt_status_epoch(const char *text, size_t length, int pid, const char *uuid);
/** "N-NAME-fs0-fs.pid" → N, NAME; false for another file. */
bool libvirt_side_file(const char *file, int64_t *domain, char *name, size_t room);
