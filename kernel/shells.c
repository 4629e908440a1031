#include "kernel/shells.h"
#include "runtime/base/mem.h"
#include <pthread.h>
#include <string.h>

struct shells {
    pthread_mutex_t lock;
    struct shell main; /* its next: the subshells, oldest first */
    int n, running;
};

struct shells *shells_new(void)
{
    struct shells *s = mem_zalloc(sizeof *s);

    if (s)
        pthread_mutex_init(&s->lock, NULL);
    return s;
}

void shells_free(struct shells *s)
{
    if (!s)
        return;
    for (struct shell *shell = s->main.next, *next; shell; shell = next) {
        next = shell->next;
        mem_free(shell);
    }
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* The pointer to it; the main shell has none. */
static struct shell **place(struct shells *s, const char *id)
{
    for (struct shell **at = &s->main.next; *at; at = &(*at)->next)
        if (!(*at)->gone && strcmp((*at)->id, id) == 0)
            return at;
    return NULL;
}

enum lc shells_add(struct shells *s, char id[UUID_TEXT], struct err *err)
{
    struct shell *shell = mem_zalloc(sizeof *shell), **at = &s->main.next;
    bool full;

    if (!shell)
        return err_nomem(err);
    uuid_make(shell->id);
    memcpy(id, shell->id, sizeof shell->id);
    pthread_mutex_lock(&s->lock);
    full = s->n >= SHELLS_MAX;
    if (!full) {
        while (*at)
            at = &(*at)->next;
        *at = shell;
        s->n++;
    }
    pthread_mutex_unlock(&s->lock);
    if (!full)
        return LC_OK;
    mem_free(shell);
    err_set(err, LC_LIMIT, "there are %d subshells already", SHELLS_MAX);
    return err_hint(err, "end some with delete_subshell_request");
}

static void drop(struct shells *s, struct shell **at)
{
    struct shell *shell = *at;

    *at = shell->next;
    s->n--;
    mem_free(shell);
}

enum lc shells_remove(struct shells *s, const char *id, struct err *err)
{
    struct shell **at;

    pthread_mutex_lock(&s->lock);
    at = place(s, id);
    if (at && ((*at)->running || (*at)->answering))
        (*at)->gone = true;
    else if (at)
        drop(s, at);
    pthread_mutex_unlock(&s->lock);
    return at ? LC_OK : err_set(err, LC_NOTFOUND, "no subshell '%s'", id);
}

json_t *shells_list(struct shells *s)
{
    json_t *list = json_array();

    pthread_mutex_lock(&s->lock);
    for (const struct shell *shell = s->main.next; shell; shell = shell->next)
        if (!shell->gone)
            json_array_append_new(list, json_string(shell->id));
    pthread_mutex_unlock(&s->lock);
    return list;
}

static struct shell *find(struct shells *s, const char *id)
{
    struct shell **at = id[0] ? place(s, id) : NULL;

    return !id[0] ? &s->main : at ? *at : NULL;
}

struct shell *shells_find(struct shells *s, const char *id)
{
    struct shell *shell;

    pthread_mutex_lock(&s->lock);
    shell = find(s, id);
    pthread_mutex_unlock(&s->lock);
    return shell;
}

void shells_begun(struct shells *s, struct shell *shell, struct exchange *cell)
{
    pthread_mutex_lock(&s->lock);
    if (cell)
        shell->running = cell;
    else
        shell->answering++;
    s->running++;
    pthread_mutex_unlock(&s->lock);
}

void shells_ended(struct shells *s, struct shell *shell, bool cell)
{
    pthread_mutex_lock(&s->lock);
    if (cell)
        shell->running = NULL;
    else
        shell->answering--;
    s->running--;
    bool over = shell->gone && !shell->running && !shell->answering;
    for (struct shell **at = &s->main.next; over && *at; at = &(*at)->next)
        if (*at == shell) {
            drop(s, at);
            break;
        }
    pthread_mutex_unlock(&s->lock);
}

struct shell *shells_busy(struct shells *s, int n)
{
    struct shell *shell = &s->main;

    pthread_mutex_lock(&s->lock);
    while (shell && (!shell->running || n-- > 0))
        shell = shell->next;
    pthread_mutex_unlock(&s->lock);
    return shell;
}

int shells_running(struct shells *s)
{
    int n;

    pthread_mutex_lock(&s->lock);
    n = s->running;
    pthread_mutex_unlock(&s->lock);
    return n;
}

bool shells_is_busy(struct shells *s, const char *id)
{
    struct shell *shell;
    bool busy;

    pthread_mutex_lock(&s->lock);
    shell = find(s, id);
    busy = shell && (shell->running || shell->answering);
    pthread_mutex_unlock(&s->lock);
    return busy;
}
