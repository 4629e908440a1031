/* registry_test.c: the registry seam on the local workspace: versions are whole, immutable and found again. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/registry/registry.h"
#include "tests/support/unit.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char home[64];
    struct registry *r;
    struct ctx ctx;
};

#define OK(expr)                                                                                             \
    do {                                                                                                     \
        struct err bad = {0};                                                                                \
        enum lc ok_rc = (expr);                                                                              \
        if (ok_rc != LC_OK)                                                                                  \
            fail_msg("%s:%d: %s: %s", __FILE__, __LINE__, lc_name(ok_rc), bad.message);                      \
    } while (0)

static void put(const struct place *p, const char *folder, const char *file, const char *text)
{
    char *dir = mem_printf("%s/%s", p->home, folder), *path = fs_join(dir, file);

    OK(fs_mkdirs(dir, &bad));
    OK(fs_write(path, text, strlen(text), &bad));
    mem_free(dir);
    mem_free(path);
}

static int make_place(void **state)
{
    struct place *p = mem_zalloc(sizeof *p);

    strcpy(p->home, "/tmp/lacus-test-XXXXXX");
    assert_non_null(mkdtemp(p->home));
    char *home = fs_join(p->home, "home");
    setenv("LACUS_HOME", home, 1);
    mem_free(home);
    p->ctx = ctx_background();
    OK(registry_open(NULL, &p->r, &bad));
    put(p, "base", "config.json",
        "{\"architectures\": [\"LlamaForCausalLM\"], \"torch_dtype\": \"bfloat16\"}");
    put(p, "base", "model.safetensors", "weights");
    put(p, "base", "tokenizer.json", "{}");
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;

    registry_close(p->r);
    OK(fs_remove_tree(p->home, &bad));
    mem_free(p);
    return 0;
}

static void put_adapter(const struct place *p)
{
    char *config = mem_printf("{\"peft_type\": \"LORA\", \"base_model_name_or_path\": \"%s/base\"}", p->home);

    put(p, "adapter", "adapter_config.json", config);
    put(p, "adapter", "adapter_model.safetensors", "low rank");
    mem_free(config);
}

static json_t *register_as(struct place *p, const char *name, const char *folder)
{
    char *source = mem_printf("%s/%s", p->home, folder);
    struct registry_new_version v = {.name = name, .source = source};
    json_t *out = NULL;

    OK(registry_create_version(&p->ctx, p->r, &v, &out, &bad));
    mem_free(source);
    return out;
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static bool contains(const char *folder, const char *file, const char *text)
{
    char *path = fs_join(folder, file);
    struct buf b = BUF_INIT(1 << 20);
    bool found;

    OK(fs_read(path, &b, &bad));
    found = strstr(buf_str(&b), text) != NULL;
    buf_release(&b);
    mem_free(path);
    return found;
}

static void a_version_does_not_change_with_its_source(void **state)
{
    struct place *p = *state;
    struct registry_model m;
    json_t *v = register_as(p, "ml.models.sft", "base");
    char *source = mem_printf("%s/base/model.safetensors", p->home);
    FILE *f = fopen(source, "r+");

    assert_string_equal(text_of(v, "version"), "1");
    assert_int_equal(strlen(text_of(v, "digest")), 64);
    assert_non_null(f);
    fputs("WEIGHTS", f); /* in place: what a hard link would show */
    fclose(f);
    OK(registry_find(&p->ctx, p->r, "models:/ML.models.SFT/1", &m, &bad));
    assert_true(contains(m.model, "model.safetensors", "weights"));
    assert_string_equal(m.digest, text_of(v, "digest"));
    assert_null(m.adapter);
    OK(registry_verify(&p->ctx, m.folder, &bad));
    registry_model_release(&m);
    json_decref(v);
    v = register_as(p, "ml.models.sft", "base");
    assert_string_equal(text_of(v, "version"), "2");
    json_decref(v);
    mem_free(source);
}

static void an_adapter_can_be_served_without_its_base(void **state)
{
    struct place *p = *state;
    struct registry_model m;
    char *base = mem_printf("%s/base", p->home);

    put_adapter(p);
    json_decref(register_as(p, "sft", "adapter"));
    json_decref(register_as(p, "sft", "adapter"));
    OK(fs_remove_tree(base, &bad));
    OK(registry_find(&p->ctx, p->r, "models:/sft/latest", &m, &bad));
    assert_true(contains(m.adapter, "adapter_model.safetensors", "low rank"));
    assert_true(contains(m.model, "model.safetensors", "weights"));
    assert_true(contains(m.tokenizer, "tokenizer.json", "{}"));
    assert_string_equal(m.base_name, base);
    assert_true(contains(m.folder, "MLmodel", "peft_adaptor: peft"));
    assert_true(contains(m.folder, "MLmodel", "model_binary: model"));
    assert_true(contains(m.folder, "MLmodel", "pipeline_model_type: \"LlamaForCausalLM\""));
    assert_true(contains(m.folder, "MLmodel", "torch_dtype: torch.bfloat16"));
    assert_true(contains(m.folder, "MLmodel", "base_model_path: "));
    assert_true(contains(m.folder, "MLmodel", "base_model_digest: "));
    registry_model_release(&m);
    mem_free(base);
}

/* Both versions of an adapter hold the base, and its bytes are on the disk once. */
static void a_base_is_kept_once(void **state)
{
    struct place *p = *state;
    struct stat one, two;
    char *a = mem_printf("%s/home/models/sft/1/model/model.safetensors", p->home);
    char *b = mem_printf("%s/home/models/sft/2/model/model.safetensors", p->home);

    put_adapter(p);
    json_decref(register_as(p, "sft", "adapter"));
    json_decref(register_as(p, "sft", "adapter"));
    assert_true(stat(a, &one) == 0 && stat(b, &two) == 0);
    assert_true(one.st_ino == two.st_ino);
    mem_free(a);
    mem_free(b);
}

static void aliases_move(void **state)
{
    struct place *p = *state;
    char *one = NULL, *two = NULL, *none;
    json_t *model = NULL, *v = NULL;
    struct err err;

    json_decref(register_as(p, "sft", "base"));
    json_decref(register_as(p, "sft", "base"));
    OK(registry_set_alias(&p->ctx, p->r, "sft", "champion", "1", &bad));
    OK(registry_resolve(&p->ctx, p->r, "models:/sft@champion", &one, &bad));
    OK(registry_set_alias(&p->ctx, p->r, "sft", "Champion", "2", &bad));
    OK(registry_resolve(&p->ctx, p->r, "models:/sft@champion", &two, &bad));
    assert_string_not_equal(one, two);
    OK(registry_get_model(&p->ctx, p->r, "sft", &model, &bad));
    assert_int_equal(json_array_size(json_object_get(model, "aliases")), 1);
    OK(registry_get_version(&p->ctx, p->r, "sft", "@champion", &v, &bad));
    assert_string_equal(text_of(v, "version"), "2");
    assert_int_equal(registry_set_alias(&p->ctx, p->r, "sft", "v1", "1", &err), LC_ARG);
    assert_int_equal(registry_set_alias(&p->ctx, p->r, "sft", "latest", "1", &err), LC_ARG);
    assert_int_equal(registry_set_alias(&p->ctx, p->r, "sft", "x", "7", &err), LC_NOTFOUND);
    assert_non_null(strstr(err.hint, "@Champion"));
    OK(registry_delete_alias(&p->ctx, p->r, "sft", "champion", &bad));
    assert_int_equal(registry_resolve(&p->ctx, p->r, "models:/sft@champion", &none, &err), LC_NOTFOUND);
    json_decref(model);
    json_decref(v);
    mem_free(one);
    mem_free(two);
}

static void unknown_names_offer_the_nearest(void **state)
{
    static const char *const uris[] = {"models:/sft",   "models:/@x", "models:/sft/one",
                                       "models:/a.b/1", "runs:/x",    ""};
    struct place *p = *state;
    struct err err;
    char *folder;

    json_decref(register_as(p, "ml.models.llama_sft", "base"));
    assert_int_equal(registry_resolve(&p->ctx, p->r, "models:/ml.models.lama_sft/1", &folder, &err),
                     LC_NOTFOUND);
    assert_non_null(strstr(err.hint, "'ml.models.llama_sft'"));
    assert_int_equal(registry_resolve(&p->ctx, p->r, "/no/such/folder", &folder, &err), LC_NOTFOUND);
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++)
        if (registry_resolve(&p->ctx, p->r, uris[i], &folder, &err) != LC_ARG || !err.message[0])
            fail_msg("%s", uris[i]);
}

static void runs_have_models(void **state)
{
    struct place *p = *state;
    struct tracker *t;
    struct tracker_new_run new_run = {.experiment_id = "0"};
    char *folder = mem_printf("%s/base", p->home), *uri;
    json_t *run = NULL, *v = NULL;

    OK(tracker_open(NULL, &t, &bad));
    OK(tracker_create_run(&p->ctx, t, &new_run, &run, &bad));
    OK(tracker_put_artifact(&p->ctx, t, tracker_run_id(run), folder, "model", &bad));
    uri = mem_printf("runs:/%s/model", tracker_run_id(run));
    struct registry_new_version nv = {.name = "sft", .source = uri};
    OK(registry_create_version(&p->ctx, p->r, &nv, &v, &bad));
    assert_string_equal(text_of(v, "run_id"), tracker_run_id(run));
    assert_string_equal(text_of(v, "source"), uri);
    json_decref(run);
    json_decref(v);
    mem_free(uri);
    mem_free(folder);
    tracker_close(t);
}

static void searches_find_models_and_versions(void **state)
{
    struct place *p = *state;
    struct tracker_search s = {.filter = "name = 'b'"};
    json_t *page = NULL;

    json_decref(register_as(p, "a", "base"));
    json_decref(register_as(p, "b", "base"));
    json_decref(register_as(p, "b", "base"));
    OK(registry_tag(&p->ctx, p->r, "b", "2", "stage", "good", &bad));
    OK(registry_search_versions(&p->ctx, p->r, &s, &page, &bad));
    assert_int_equal(json_array_size(json_object_get(page, "model_versions")), 2);
    json_decref(page);
    s.filter = "name = 'b' and tags.stage = 'good'";
    OK(registry_search_versions(&p->ctx, p->r, &s, &page, &bad));
    assert_int_equal(json_array_size(json_object_get(page, "model_versions")), 1);
    json_decref(page);
    s.filter = "name LIKE 'a%'";
    OK(registry_search_models(&p->ctx, p->r, &s, &page, &bad));
    assert_string_equal(text_of(json_array_get(json_object_get(page, "registered_models"), 0), "name"), "a");
    json_decref(page);
}

static void searches_answer_in_pages(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    struct place *p = *state;
    struct tracker_search s = {.max_results = 2};
    json_t *page = NULL, *rest = NULL;
    struct err err;

    for (size_t i = 0; i < 3; i++)
        json_decref(register_as(p, names[i], "base"));
    OK(registry_search_models(&p->ctx, p->r, &s, &page, &bad));
    assert_int_equal(json_array_size(json_object_get(page, "registered_models")), 2);
    s.page_token = text_of(page, "next_page_token");
    OK(registry_search_models(&p->ctx, p->r, &s, &rest, &bad));
    assert_int_equal(json_array_size(json_object_get(rest, "registered_models")), 1);
    assert_null(json_object_get(rest, "next_page_token"));
    json_decref(rest);
    json_decref(page);
    s.page_token = "second";
    assert_int_equal(registry_search_models(&p->ctx, p->r, &s, &page, &err), LC_ARG);
    assert_null(page);
}

static void deleted_numbers_are_not_used_again(void **state)
{
    struct place *p = *state;
    char *folder = mem_printf("%s/home/models/sft/2", p->home);
    struct err err;
    json_t *v;

    json_decref(register_as(p, "sft", "base"));
    json_decref(register_as(p, "sft", "base"));
    assert_true(fs_is_dir(folder));
    OK(registry_delete_version(&p->ctx, p->r, "sft", "2", &bad));
    assert_false(fs_is_dir(folder));
    v = register_as(p, "sft", "base");
    assert_string_equal(text_of(v, "version"), "3");
    json_decref(v);
    OK(registry_delete_model(&p->ctx, p->r, "sft", &bad));
    assert_int_equal(registry_get_model(&p->ctx, p->r, "sft", &v, &err), LC_NOTFOUND);
    mem_free(folder);
}

static void an_edited_version_is_noticed(void **state)
{
    struct place *p = *state;
    char *folder = mem_printf("%s/home/models/sft/1", p->home),
         *file = mem_printf("%s/model/config.json", folder), *none;
    struct err err;

    json_decref(register_as(p, "sft", "base"));
    OK(registry_verify(&p->ctx, folder, &bad));
    OK(fs_write(file, "{}", 2, &bad));
    assert_int_equal(registry_verify(&p->ctx, folder, &err), LC_DATA);
    OK(fs_remove_tree(folder, &bad));
    assert_int_equal(registry_resolve(&p->ctx, p->r, "models:/sft/1", &none, &err), LC_DATA);
    assert_non_null(strstr(err.message, "has lost its folder"));
    mem_free(file);
    mem_free(folder);
}

/* Whatever a killed process leaves, a version that is there is whole, and the next one can be made. */
static void kill_9_leaves_no_half_version(void **state)
{
    struct place *p = *state;
    char big[40000];
    struct tracker_search s = {.filter = "name = 'sft'"};
    json_t *page = NULL, *v;
    size_t i;

    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    for (int n = 0; n < 8; n++) {
        char name[40];
        snprintf(name, sizeof name, "part%d.safetensors", n);
        put(p, "base", name, big);
    }
    for (int round = 0; round < 12; round++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            struct registry *r;
            char *source = mem_printf("%s/base", p->home);
            struct registry_new_version nv = {.name = "sft", .source = source};
            json_t *out;
            if (registry_open(NULL, &r, NULL) != LC_OK)
                _exit(1);
            while (registry_create_version(&p->ctx, r, &nv, &out, NULL) == LC_OK)
                ;
            _exit(1);
        }
        usleep((useconds_t)(15000 + 2500 * round));
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        assert_true(WIFSIGNALED(status));
    }
    v = register_as(p, "sft", "base");
    json_decref(v);
    OK(registry_search_versions(&p->ctx, p->r, &s, &page, &bad));
    assert_true(json_array_size(json_object_get(page, "model_versions")) > 0);
    json_array_foreach (json_object_get(page, "model_versions"), i, v)
        OK(registry_verify(&p->ctx, text_of(v, "storage_location"), &bad));
    json_decref(page);
}

static int fill_up(struct place *p, const char *source)
{
    struct rlimit limit = {20000, 20000};
    struct registry_new_version v = {.name = "sft", .source = source};
    struct err err = {0};
    json_t *out;

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    return registry_create_version(&p->ctx, p->r, &v, &out, &err) == LC_NOSPACE ? 0 : 1;
}

static void a_full_disk_leaves_no_version(void **state)
{
    struct place *p = *state;
    char big[40000], *source = mem_printf("%s/base", p->home),
                     *models = mem_printf("%s/home/models", p->home);
    struct err err;
    int status;
    pid_t pid;
    json_t *v;

    json_decref(register_as(p, "other", "base"));
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    put(p, "base", "big.safetensors", big);
    pid = fork();
    if (pid == 0)
        _exit(fill_up(p, source));
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(registry_get_model(&p->ctx, p->r, "sft", &v, &err), LC_NOTFOUND);
    {
        char **names;
        size_t n;
        OK(fs_list(models, &names, &n, &bad));
        for (size_t i = 0; i < n; i++)
            assert_null(strstr(names[i], "staged")); /* nothing is left over */
        fs_free_list(names, n);
    }
    mem_free(source);
    mem_free(models);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_version_does_not_change_with_its_source),
        T(an_adapter_can_be_served_without_its_base),
        T(a_base_is_kept_once),
        T(aliases_move),
        T(unknown_names_offer_the_nearest),
        T(runs_have_models),
        T(searches_find_models_and_versions),
        T(searches_answer_in_pages),
        T(deleted_numbers_are_not_used_again),
        T(an_edited_version_is_noticed),
        T(kill_9_leaves_no_half_version),
        T(a_full_disk_leaves_no_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
