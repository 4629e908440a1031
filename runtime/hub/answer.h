/* answer.h: what the Hub says, read with limits: a model's files, an index of shards, the head of a file.
 *
 * What      parsers of texts that come from a server; nothing here speaks to one. A name of a file that could leave its folder
 *           makes the whole answer invalid.
 * Ownership a hub_listing is released by its receiver. hub_field gives a piece of the text that it was given.
 * Units     bytes.
 * Errors    LC_DATA: what is wrong with the answer.
 * Threads   any.
 * Source    huggingface.co/docs/hub/api; huggingface_hub/file_download.py (which header means what).
 *
 * Example:
 *     const char text[] = "{\"sha\": \"4f6e\", \"siblings\": []}";
 *     struct hub_listing files;
 *     if (hub_listing_parse(text, sizeof text - 1, &files, &err) == LC_OK) {
 *         puts(files.sha);
 *         hub_listing_release(&files);
 *     }
 */
#ifndef LACUS_HUB_ANSWER_H
#define LACUS_HUB_ANSWER_H
#include "runtime/base/buf.h"

enum { HUB_SHA = 41, HUB_ETAG = 129, HUB_FILES_MOST = 100000, HUB_NAME_MOST = 1024 };

struct hub_listing {
    char sha[HUB_SHA]; /* the commit */
    char **names;      /* owned; sorted */
    size_t n;
};

/* The answer of /api/models/ID/revision/REV. */
enum lc hub_listing_parse(const char *text, size_t len, struct hub_listing *out, struct err *err) MUST_CHECK;
void hub_listing_release(struct hub_listing *l);
bool hub_listing_has(const struct hub_listing *l, const char *name);

/* The files that model.safetensors.index.json names, each once, sorted; a listing without a commit. */
enum lc hub_index_parse(const char *text, size_t len, struct hub_listing *out, struct err *err) MUST_CHECK;

/* A relative path that stays in its folder: "a/b.json"; no "..", no backslash, no control characters. */
bool hub_name_ok(const char *name);
/* 40 hexadecimal digits. */
bool hub_is_sha(const char *text);
/* "org/name" or "name". */
bool hub_id_ok(const char *id);
/* A branch, a tag, "refs/pr/1" or a commit. */
bool hub_revision_ok(const char *revision);

/* The value of a field in "Name: value\r\n…"; NULL: it is not there. */
const char *hub_field(const char *fields, const char *name, size_t *len);

struct hub_head { /* of one file */
    char commit[HUB_SHA];
    char etag[HUB_ETAG]; /* the blob's name: SHA-256 of an LFS file, git's SHA-1 of another */
    int64_t size;        /* -1: not told */
};
/* redirects: the content is elsewhere, and Content-Length is not its length. */
enum lc hub_head_parse(const char *fields, bool redirects, struct hub_head *out, struct err *err) MUST_CHECK;
/* Where "Content-Range: bytes 5-9/10" begins; -1: it is not one. */
int64_t hub_range_begin(const char *fields);
#endif
