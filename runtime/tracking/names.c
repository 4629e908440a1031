#include "runtime/tracking/names.h"
#include "runtime/base/clock.h"
#include "runtime/base/utf8.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool key_byte(unsigned char c)
{
    return isalnum(c) || c >= 0x80 || (c && strchr("_-. :/", c));
}

/* A name that a file system would take for another one. */
static bool wanders(const char *s)
{
    size_t n = strlen(s);

    return s[0] == '/' || (n && s[n - 1] == '/') || strstr(s, "//") || strcmp(s, ".") == 0 ||
           strcmp(s, "..") == 0 || strncmp(s, "../", 3) == 0 || strncmp(s, "./", 2) == 0 ||
           strstr(s, "/../") || strstr(s, "/./") || (n >= 3 && strcmp(s + n - 3, "/..") == 0) ||
           (n >= 2 && strcmp(s + n - 2, "/.") == 0);
}

enum lc name_check(const char *what, const char *key, struct err *err)
{
    size_t n = key ? strlen(key) : 0;
    bool ok = n > 0 && utf8_valid(key, n);

    for (size_t i = 0; ok && i < n; i++)
        ok = key_byte((unsigned char)key[i]);
    if (n > NAME_KEY_MAX) {
        err_set(err, LC_ARG, "the %s name '%.60s…' is %zu bytes long", what, key, n);
        return err_hint(err, "names have at most %d bytes", NAME_KEY_MAX);
    }
    if (ok && !wanders(key))
        return LC_OK;
    err_set(err, LC_ARG, "invalid %s name '%s'", what, key ? key : "");
    return ok ? err_hint(err, "a name with / must look like a plain relative path, as 'train/loss'")
              : err_hint(err, "names may have letters, digits, underscores, dashes, periods, colons, slashes "
                              "and spaces");
}

enum lc value_check(const char *what, const char *key, const char *value, size_t max, struct err *err)
{
    size_t n = value ? strlen(value) : 0;

    if (!value)
        return err_set(err, LC_ARG, "the %s '%s' has no value", what, key);
    if (!utf8_valid(value, n))
        return err_set(err, LC_ARG, "the value of the %s '%s' is not UTF-8 text", what, key);
    if (n <= max)
        return LC_OK;
    err_set(err, LC_ARG, "the value of the %s '%s' is %zu bytes long, more than %zu", what, key, n, max);
    return err_hint(err, "log long texts as an artifact: mlflow.log_text(text, \"file.txt\")");
}

enum lc path_check(const char *path, struct err *err)
{
    size_t n = path ? strlen(path) : 0;

    if (path && utf8_valid(path, n) && (n == 0 || !wanders(path)))
        return LC_OK;
    err_set(err, LC_ARG, "invalid artifact path '%s'", path ? path : "");
    return err_hint(err, "artifact paths are relative and stay below the run, as 'model/config.json'");
}

void name_run(char out[NAME_RUN_TEXT])
{
    static const char *const first[] = {"calm",   "bright", "clear", "deep", "gentle", "quiet",
                                        "silver", "still",  "swift", "wide", "amber",  "misty",
                                        "polar",  "rapid",  "sunny", "young"};
    static const char *const second[] = {"bay",  "brook", "creek", "delta", "fjord", "heron",
                                         "lake", "loon",  "marsh", "moon",  "otter", "pond",
                                         "reed", "river", "shore", "tide"};
    unsigned char r[4];

    random_bytes(r, sizeof r);
    snprintf(out, NAME_RUN_TEXT, "%s-%s-%d", first[r[0] % 16], second[r[1] % 16],
             100 + (r[2] << 8 | r[3]) % 900);
}
