#include "runtime/train/mailbox.h"
#include "runtime/base/mem.h"
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t lock;
    json_t *queue; /* owned array */
    int fd;
};

struct mailbox *mailbox_new(void)
{
    struct mailbox *m = mem_zalloc(sizeof *m);

    if (!m)
        return NULL;
    pthread_mutex_init(&m->lock, NULL);
    m->queue = json_array();
    m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->queue && m->fd >= 0)
        return m;
    mailbox_free(m);
    return NULL;
}

void mailbox_free(struct mailbox *m)
{
    if (!m)
        return;
    if (m->fd >= 0)
        close(m->fd);
    json_decref(m->queue);
    pthread_mutex_destroy(&m->lock);
    mem_free(m);
}

bool mailbox_put(struct mailbox *m, json_t *value)
{
    bool ok;

    pthread_mutex_lock(&m->lock);
    ok = value && json_array_append_new(m->queue, value) == 0;
    pthread_mutex_unlock(&m->lock);
    return eventfd_write(m->fd, 1) == 0 && ok;
}

json_t *mailbox_get(struct mailbox *m)
{
    eventfd_t count;
    json_t *value;

    pthread_mutex_lock(&m->lock);
    value = json_incref(json_array_get(m->queue, 0));
    if (value)
        json_array_remove(m->queue, 0);
    if (json_array_size(m->queue) == 0)
        (void)eventfd_read(m->fd, &count);
    pthread_mutex_unlock(&m->lock);
    return value;
}

int mailbox_fd(const struct mailbox *m)
{
    return m->fd;
}
