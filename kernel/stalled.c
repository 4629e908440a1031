#include "kernel/stalled.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, LOOK_MS = 50 };

struct peer {
    int fd;     /* our own: that of ZeroMQ may be closed meanwhile, and its number be another's */
    int waits;  /* bytes that the other end has not taken */
    bool still; /* they are the same since we look */
};

union name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
    struct sockaddr_storage room;
};

static bool is_named(const union name *name, const char *endpoint)
{
    static const char ipc[] = "ipc://";
    const char *port = strrchr(endpoint, ':');

    if (strncmp(endpoint, ipc, sizeof ipc - 1) == 0)
        return name->any.sa_family == AF_UNIX &&
               strncmp(name->local.sun_path, endpoint + sizeof ipc - 1, sizeof name->local.sun_path) == 0;
    if (!port)
        return false;
    return (name->any.sa_family == AF_INET && ntohs(name->v4.sin_port) == atoi(port + 1)) ||
           (name->any.sa_family == AF_INET6 && ntohs(name->v6.sin6_port) == atoi(port + 1));
}

static bool is_accepted_at(int fd, const char *endpoint)
{
    union name name = {.room = {0}};
    socklen_t len = sizeof name, size = sizeof(int);
    int listens = 1;

    return getsockname(fd, &name.any, &len) == 0 && is_named(&name, endpoint) &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens;
}

static int waiting(int fd)
{
    int bytes = 0;

    return ioctl(fd, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

static int find_peers(const char *endpoint, struct peer peers[CONNECTIONS_MAX])
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    int n = 0;

    while (folder && n < CONNECTIONS_MAX && (entry = readdir(folder)) != NULL) {
        int fd = entry->d_name[0] == '.' ? -1 : fcntl(atoi(entry->d_name), F_DUPFD_CLOEXEC, 3);

        if (fd < 0)
            continue;
        if (is_accepted_at(fd, endpoint))
            peers[n++] = (struct peer){.fd = fd, .waits = waiting(fd), .still = true};
        else
            close(fd);
    }
    if (folder)
        closedir(folder);
    return n;
}

/* How many have stalled. */
static int look(struct peer *peers, int n)
{
    int stalled = 0;

    for (int i = 0; i < n; i++) {
        peers[i].still = peers[i].still && peers[i].waits > 0 && waiting(peers[i].fd) == peers[i].waits;
        stalled += peers[i].still;
    }
    return stalled;
}

int stalled_end(const char *endpoint, int watch_ms)
{
    struct peer peers[CONNECTIONS_MAX];
    int n = find_peers(endpoint, peers), stalled = look(peers, n);

    for (int ms = 0; stalled > 0 && ms < watch_ms; ms += LOOK_MS) {
        poll(NULL, 0, LOOK_MS);
        stalled = look(peers, n);
    }
    if (stalled == n)
        stalled = 0;
    for (int i = 0; i < n; i++) {
        if (stalled > 0 && peers[i].still)
            shutdown(peers[i].fd, SHUT_RDWR);
        close(peers[i].fd);
    }
    return stalled;
}
