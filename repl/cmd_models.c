/* cmd_models.c: lacus models: the registered models of the workspace. */
#include "repl/command.h"
#include "repl/listing.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/mlflow/lineage.h"
#include "runtime/registry/registry.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    struct ctx ctx;
    struct registry *registry;
    struct arguments a;
};

static json_t *aliases_text(const json_t *model)
{
    char text[256] = "";
    json_t *alias;
    size_t i;

    json_array_foreach (json_object_get(model, "aliases"), i, alias) {
        size_t used = strlen(text);
        const char *name = json_is_string(alias) ? json_string_value(alias)
                                                 : json_string_value(json_object_get(alias, "alias"));
        const char *version = json_string_value(json_object_get(alias, "version"));
        snprintf(text + used, sizeof text - used, "%s@%s%s%s", i ? " " : "", name, version ? "=" : "",
                 version ? version : "");
    }
    return json_string(text);
}

static enum lc list(void *self, struct err *err)
{
    struct job *j = self;
    static const struct listing_column columns[] = {{"name", "MODEL", LISTING_TEXT},
                                                    {"latest", "LATEST", LISTING_TEXT},
                                                    {"alias_text", "ALIASES", LISTING_TEXT},
                                                    {"last_updated_timestamp", "UPDATED (UTC)", LISTING_TIME},
                                                    {"description", "DESCRIPTION", LISTING_TEXT},
                                                    {0}};
    struct tracker_search s = {.filter = arguments_option(&j->a, "--filter")};
    json_t *page, *models, *m;
    size_t i;

    TRY(registry_search_models(&j->ctx, j->registry, &s, &page, err));
    models = json_object_get(page, "registered_models");
    if (!j->a.json)
        json_array_foreach (models, i, m) {
            const json_t *latest = json_array_get(json_object_get(m, "latest_versions"), 0);
            json_object_set(m, "latest", json_object_get(latest, "version"));
            json_object_set_new(m, "alias_text", aliases_text(m));
        }
    listing_print(models, columns, j->a.json);
    json_decref(page);
    return LC_OK;
}

static enum lc show(void *self, struct err *err)
{
    struct job *j = self;
    static const struct listing_column columns[] = {{"version", "VERSION", LISTING_TEXT},
                                                    {"alias_text", "ALIASES", LISTING_TEXT},
                                                    {"creation_timestamp", "REGISTERED (UTC)", LISTING_TIME},
                                                    {"size", "SIZE", LISTING_BYTES},
                                                    {"digest", "DIGEST", LISTING_SHORT},
                                                    {"run_id", "RUN", LISTING_TEXT},
                                                    {"source", "SOURCE", LISTING_TEXT},
                                                    {0}};
    struct tracker_search s = {.filter = NULL};
    json_t *model, *page = NULL, *versions, *v;
    struct buf filter = BUF_INIT(2000);
    size_t i;
    enum lc rc;

    TRY(registry_get_model(&j->ctx, j->registry, j->a.words[1], &model, err));
    buf_puts(&filter, "name = '");
    for (const char *c = json_string_value(json_object_get(model, "name")); *c; c++)
        buf_printf(&filter, *c == '\'' ? "''" : "%c", *c);
    buf_puts(&filter, "'");
    s.filter = buf_str(&filter);
    rc = registry_search_versions(&j->ctx, j->registry, &s, &page, err);
    buf_release(&filter);
    versions = json_object_get(page, "model_versions");
    if (rc == LC_OK && j->a.json) {
        json_object_set(model, "versions", versions);
        listing_print_json(model);
    } else if (rc == LC_OK) {
        json_array_foreach (versions, i, v)
            json_object_set_new(v, "alias_text", aliases_text(v));
        listing_print(versions, columns, false);
    }
    json_decref(page);
    json_decref(model);
    return rc;
}

static enum lc alias(void *self, struct err *err)
{
    struct job *j = self;
    TRY(registry_set_alias(&j->ctx, j->registry, j->a.words[1], j->a.words[2], j->a.words[3], err));
    printf("models:/%s@%s is version %s\n", j->a.words[1], j->a.words[2], j->a.words[3]);
    return LC_OK;
}

static enum lc path(void *self, struct err *err)
{
    struct job *j = self;
    char *folder;

    TRY(registry_resolve(&j->ctx, j->registry, j->a.words[1], &folder, err));
    puts(folder);
    mem_free(folder);
    return LC_OK;
}

static enum lc verify(void *self, struct err *err)
{
    struct job *j = self;
    char *folder;
    enum lc rc;

    TRY(registry_resolve(&j->ctx, j->registry, j->a.words[1], &folder, err));
    rc = registry_verify(&j->ctx, folder, err);
    if (rc == LC_OK)
        printf("%s is what was registered\n", folder);
    mem_free(folder);
    return rc;
}

static enum lc register_model(void *self, struct err *err)
{
    struct job *j = self;
    struct registry_new_version v = {.source = j->a.words[1], .name = j->a.words[2]};
    struct lineage *catalog = NULL;
    json_t *out;
    enum lc rc = lineage_need_schema(&j->ctx, &catalog, v.name, err);

    lineage_close(catalog);
    TRY(rc);
    TRY(registry_create_version(&j->ctx, j->registry, &v, &out, err));
    if (j->a.json)
        listing_print_json(out);
    else
        printf("registered models:/%s/%s\n", v.name, json_string_value(json_object_get(out, "version")));
    json_decref(out);
    return LC_OK;
}

static enum lc delete_model(void *self, struct err *err)
{
    struct job *j = self;
    if (j->a.n_words > 2)
        return registry_delete_version(&j->ctx, j->registry, j->a.words[1], j->a.words[2], err);
    return registry_delete_model(&j->ctx, j->registry, j->a.words[1], err);
}

static const struct listing_verb verbs[] = {{"list", "", list},
                                            {"alias", "NAME ALIAS VERSION", alias},
                                            {"delete", "NAME [VERSION]", delete_model},
                                            {"path", "URI", path},
                                            {"register", "URI NAME", register_model},
                                            {"show", "NAME", show},
                                            {"verify", "URI", verify},
                                            {0}};

static enum lc open_job(void *self, struct err *err)
{
    struct job *j = self;
    return registry_open(NULL, &j->registry, err);
}

static void close_job(void *self)
{
    struct job *j = self;
    registry_close(j->registry);
}

int cmd_models(int argc, char **argv)
{
    static const char *const options[] = {"--filter", NULL};
    static const struct listing_command command = {"models", options, verbs, open_job, close_job};
    struct job j = {.ctx = ctx_background()};

    return listing_run(&command, argc, argv, &j.a, &j);
}
