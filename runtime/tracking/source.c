#include "runtime/tracking/source.h"
#include "runtime/base/buf.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void source_user(const struct ctx *ctx, char out[SOURCE_USER])
{
    struct passwd pw, *found = NULL;
    char text[1024];
    const char *name = ctx && ctx->principal ? ctx->principal : "";

    if (!*name && getpwuid_r(geteuid(), &pw, text, sizeof text, &found) == 0 && found)
        name = found->pw_name;
    if (!*name)
        name = getenv("USER") ? getenv("USER") : "unknown";
    snprintf(out, SOURCE_USER, "%s", name);
}

/* ---- git --------------------------------------------------------------------------------------------- */

/* The file's text without the newline at its end; false when it is absent or too long. */
static bool read_line(const char *dir, const char *name, char *out, size_t size)
{
    char *path = fs_join(dir, name);
    struct buf text = BUF_INIT(SOURCE_TEXT * 2);
    bool ok = path && fs_read(path, &text, NULL) == LC_OK;
    size_t n = ok ? strcspn(buf_str(&text), "\r\n") : 0;

    ok = ok && n < size;
    if (ok)
        snprintf(out, size, "%.*s", (int)n, buf_str(&text));
    buf_release(&text);
    mem_free(path);
    return ok;
}

/* ".git" is a folder, or (worktrees, submodules) a file "gitdir: PATH". */
static char *git_folder_in(const char *dir)
{
    char *git = fs_join(dir, ".git"), line[SOURCE_TEXT], *other = NULL;

    if (git && fs_is_dir(git))
        return git;
    if (git && read_line(dir, ".git", line, sizeof line) && strncmp(line, "gitdir: ", 8) == 0)
        other = fs_join(dir, line + 8);
    mem_free(git);
    return other;
}

static char *find_git_folder(const char *from)
{
    char *dir = fs_absolute(from), *found = NULL;

    while (dir && !found) {
        char *slash;
        found = git_folder_in(dir);
        slash = strrchr(dir, '/');
        if (!slash || dir[1] == '\0')
            break;
        slash[slash == dir] = '\0';
    }
    mem_free(dir);
    return found;
}

static bool packed_ref(const char *dir, const char *ref, char *commit, size_t size)
{
    struct buf text = BUF_INIT((size_t)16 << 20);
    char *path = fs_join(dir, "packed-refs");
    bool found = false;

    if (path && fs_read(path, &text, NULL) == LC_OK)
        for (const char *line = buf_str(&text); !found && line && *line;) {
            const char *space = strchr(line, ' '), *end = strchr(line, '\n');
            size_t n = end ? (size_t)(end - line) : strlen(line);
            if (space && space < line + n && (size_t)(line + n - space - 1) == strlen(ref) &&
                memcmp(space + 1, ref, strlen(ref)) == 0 && (size_t)(space - line) < size) {
                snprintf(commit, size, "%.*s", (int)(space - line), line);
                found = true;
            }
            line = end ? end + 1 : NULL;
        }
    mem_free(path);
    buf_release(&text);
    return found;
}

/* The url of the first remote in the repository's configuration. */
static void remote_url(const char *dir, char *url, size_t size)
{
    struct buf text = BUF_INIT(1 << 20);
    char *path = fs_join(dir, "config");
    const char *remote, *at;

    url[0] = '\0';
    if (path && fs_read(path, &text, NULL) == LC_OK &&
        (remote = strstr(buf_str(&text), "[remote ")) != NULL && (at = strstr(remote, "url = ")) != NULL &&
        strcspn(at + 6, "\r\n") < size)
        snprintf(url, size, "%.*s", (int)strcspn(at + 6, "\r\n"), at + 6);
    if (strstr(url, "://") && strchr(url, '@')) /* no name or password of anybody */
        url[0] = '\0';
    mem_free(path);
    buf_release(&text);
}

static bool is_commit(const char *s)
{
    size_t n = strspn(s, "0123456789abcdef");

    return (n == 40 || n == 64) && s[n] == '\0';
}

static bool read_git(const char *git, const char *common, char *commit, size_t commit_size, char *branch,
                     size_t branch_size)
{
    char head[SOURCE_TEXT];

    branch[0] = '\0';
    if (!read_line(git, "HEAD", head, sizeof head))
        return false;
    if (strncmp(head, "ref: ", 5) != 0) {
        snprintf(commit, commit_size, "%.71s", head);
        return is_commit(commit);
    }
    if (strstr(head, "..") || head[5] == '/')
        return false;
    if (strncmp(head + 5, "refs/heads/", 11) == 0)
        snprintf(branch, branch_size, "%s", head + 16);
    return (read_line(git, head + 5, commit, commit_size) ||
            read_line(common, head + 5, commit, commit_size) ||
            packed_ref(common, head + 5, commit, commit_size)) &&
           is_commit(commit);
}

bool source_git(const char *path, char *commit, size_t commit_size, char *branch, size_t branch_size,
                char *url, size_t url_size)
{
    char *git = find_git_folder(path && *path ? path : "."), *common = NULL, line[SOURCE_TEXT];
    bool ok = false;

    commit[0] = branch[0] = url[0] = '\0';
    if (git)
        common = read_line(git, "commondir", line, sizeof line) ? fs_join(git, line) : mem_strdup(git);
    if (common) {
        ok = read_git(git, common, commit, commit_size, branch, branch_size);
        remote_url(common, url, url_size);
    }
    mem_free(git);
    mem_free(common);
    return ok;
}

/* ---- tags -------------------------------------------------------------------------------------------- */

static void add(struct source *s, size_t *n, const char *key, const char *value)
{
    if (value && *value)
        s->tags[(*n)++] = (struct tracker_pair){key, value};
}

size_t source_tags(const struct ctx *ctx, struct source *out)
{
    const char *notebook = ctx && ctx->lineage.notebook ? ctx->lineage.notebook : "";
    const char *job = ctx && ctx->lineage.job ? ctx->lineage.job : "";
    size_t n = 0;

    *out = (struct source){.tags = {{NULL}}};
    source_user(ctx, out->user);
    add(out, &n, "mlflow.user", out->user);
    add(out, &n, "mlflow.source.name", *notebook ? notebook : "lacus");
    add(out, &n, "mlflow.source.type", *job ? "JOB" : *notebook ? "NOTEBOOK" : "LOCAL");
    add(out, &n, "lacus.job", job);
    if (source_git(notebook, out->commit, sizeof out->commit, out->branch, sizeof out->branch, out->url,
                   sizeof out->url)) {
        add(out, &n, "mlflow.source.git.commit", out->commit);
        add(out, &n, "mlflow.source.git.branch", out->branch);
        add(out, &n, "mlflow.source.git.repoURL", out->url);
    }
    return n;
}
