/* dataset_lua.c: what lacus/datasets.lua and lacus/trainer.lua do in C: permutations, digests, the likeliest tokens. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/sha256.h"
#include "runtime/session/session_lua.h"
#include "runtime/train/examples.h"
#include "runtime/train/llm_lua.h"
#include "runtime/train/manifest.h"
#include "runtime/train/model_lua.h"
#include "runtime/train/permutation.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int l_permutation(lua_State *L) /* core.permutation(n, seed) → positions from 1 */
{
    lua_Integer n = luaL_checkinteger(L, 1), seed = luaL_checkinteger(L, 2);
    int64_t *order;

    luaL_argcheck(L, n >= 0 && n < INT32_MAX, 1, "too many rows");
    luaL_argcheck(L, seed >= 0, 2, "a seed is not negative");
    order = llm_push_memory(L, (size_t)n, sizeof *order);
    permutation_make((uint64_t)seed, (size_t)n, order);
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_pushinteger(L, order[i] + 1);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int l_digest(lua_State *L) /* core.digest(text) → SHA-256 in hexadecimal */
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    unsigned char digest[SHA256_BYTES];
    struct sha256 s;
    char hex[2 * SHA256_BYTES + 1];

    sha256_begin(&s);
    sha256_add(&s, text, len);
    sha256_end(&s, digest);
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    lua_pushlstring(L, hex, sizeof hex - 1);
    return 1;
}

static int l_digest_file(lua_State *L) /* core.digest_file(path) */
{
    char hex[DIGEST_HEX];
    int64_t size;
    struct err err;

    if (manifest_hash(llm_ctx(L), luaL_checkstring(L, 1), hex, &size, &err) != LC_OK)
        return session_raise(L, &err);
    lua_pushstring(L, hex);
    return 1;
}

static void push_row(lua_State *L, const char *name, const int32_t *ids, int64_t n)
{
    llm_push_ids(L, ids, (size_t)n);
    lua_setfield(L, -2, name);
}

static int examples_gc(lua_State *L)
{
    struct examples **e = lua_touserdata(L, 1);

    examples_free(*e);
    *e = NULL;
    return 0;
}

static int l_examples(
    lua_State
        *L) /* core.examples(model, rows file, {max_length, completion_only}) → rows of ids and labels */
{
    const struct tokenizer *tok = llm_check_tokenizer(L, 1);
    const char *path = luaL_checkstring(L, 2);
    struct example_options o = {.max_length = llm_option_integer(L, 3, "max_length", 0)};
    struct examples **e = session_slot(L, sizeof *e, "lacus.llm.examples", examples_gc);
    const struct train_dataset *d;
    struct err err;

    lua_getfield(L, 3, "completion_only");
    o.completion_only = lua_toboolean(L, -1);
    if (examples_load(llm_ctx(L), tok, path, &o, e, &err) != LC_OK)
        return session_raise(L, &err);
    d = examples_dataset(*e);
    lua_createtable(L, (int)d->n, 0);
    for (int64_t i = 0; i < d->n; i++) {
        lua_createtable(L, 0, 2);
        push_row(L, "input_ids", d->examples[i].input_ids, d->examples[i].n);
        push_row(L, "labels", d->examples[i].labels, d->examples[i].n);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int l_copy_folder(lua_State *L) /* core.copy_folder(from, to) */
{
    struct err err;

    if (folder_copy(llm_ctx(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2), NULL, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

/* Moves the one file *.parquet of a folder that the engine wrote to its place, and ends the folder. */
static enum lc take_part(const char *folder, const char *path, struct err *err)
{
    char **names = NULL, *part = NULL;
    size_t n = 0;
    enum lc rc;

    TRY(fs_list(folder, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(names[i]);
        if (!part && names[i][0] != '.' && len > 8 && strcmp(names[i] + len - 8, ".parquet") == 0)
            part = fs_join(folder, names[i]);
    }
    fs_free_list(names, n);
    rc = part ? LC_OK : err_set(err, LC_IO, "no Parquet file was written to '%s'", folder);
    if (rc == LC_OK && rename(part, path) != 0)
        rc = err_errno(err, errno, "cannot write '%s'", path);
    mem_free(part);
    return rc == LC_OK ? fs_remove_tree(folder, err) : rc;
}

static int l_take_part(lua_State *L) /* core.take_part(folder, path) */
{
    struct err err;

    if (take_part(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_write(lua_State *L) /* core.write(path, text): all of it or nothing */
{
    size_t len;
    const char *path = luaL_checkstring(L, 1), *text = luaL_checklstring(L, 2, &len);
    struct err err;

    if (fs_write(path, text, len, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

void llm_dataset_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {{"permutation", l_permutation}, {"digest", l_digest},
                                         {"digest_file", l_digest_file}, {"write", l_write},
                                         {"take_part", l_take_part},     {"examples", l_examples},
                                         {"copy_folder", l_copy_folder}, {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
