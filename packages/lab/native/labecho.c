/*
 * The storage server's network side: answers every datagram. labfs asks it before each operation,
 * so that a host whose storage net is cut has storage that hangs, as a hard NFS mount does.
 */
#define _GNU_SOURCE
#include "common.h"
#include <arpa/inet.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
    if (argc != 2) usage("labecho PORT");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(argv[1]))};
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own)) fail("cannot listen");
    for (;;) {
        char data[64];
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &size);
        if (n > 0) (void)!sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, size);
    }
}
