#pragma once
// Side processes of a VM (swtpm, virtiofsd, vhost-user back ends): they come before their qemu in a look,
// so they are noted, and attributed after it.
#include "attribute.h"
#include "table.h"

bool sides_room(void);
/** For a new look: what libvirt's pid files say. Voids the look if they can't be read. */
void sides_begin(struct table *t);
void sides_note(struct table *t, struct key key, const struct named *named);
void sides_attribute(struct table *t);
