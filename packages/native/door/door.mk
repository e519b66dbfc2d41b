# The second way in (F27). OpenSSL is linked in: nothing of the host's disk is needed later.
DOOR = $(wildcard door/*.c)
door: build/fenceline-door
build/fenceline-door: $(DOOR) door/door.h
	mkdir -p build && $(CC) $(CFLAGS) -static -s -o $@ $(DOOR) -lssl -lcrypto 2>build/door.log || (cat build/door.log >&2; exit 1)
# The same with the sanitizers and less patience, for tests.
build/fenceline-door-checked: $(DOOR) door/door.h
	mkdir -p build && $(CC) $(CFLAGS) $(SANITIZE) -DHANDSHAKE_MS=1500 -o $@ $(DOOR) -lssl -lcrypto
.PHONY: door
# Passes files over a socket, for tests.
build/relay: test/relay.c
	mkdir -p build && $(CC) -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -o $@ test/relay.c
