/* package.h: a registered version's folder: the model's files in the places where MLflow looks for them, and
 * MLmodel.
 *
 * What      MLmodel, requirements.txt, python_env.yaml, conda.yaml; model/ (Hugging Face checkpoint with its
 *           tokenizer), components/tokenizer/, peft/ (adapter). A folder that is no such model is copied as
 *           it is.
 * Ownership strings are borrowed.
 * Units     bytes.
 * Errors    LC_NOTFOUND, LC_DATA, LC_NOSPACE, LC_IO. The target is left incomplete on failure: who calls
 *           removes it.
 * Threads   any.
 *
 * Example:
 *     struct package p = {.source = "out/sft", .target = "/tmp/staged", .bases = "/tmp/bases"};
 *     char digest[65];
 *     rc = package_make(&ctx, &p, digest, &err);
 */
#ifndef LACUS_REGISTRY_PACKAGE_H
#define LACUS_REGISTRY_PACKAGE_H
#include "runtime/base/ctx.h"
#include "runtime/storage/tree.h"

struct package {
    const char *source; /* folder of the model */
    const char *target; /* new folder, made by package_make */
    const char *bases;  /* folder where base models are kept once, by digest */
    const char *home;   /* files below it never change in place: they are linked, others copied */
    const char *name;   /* for MLmodel; these may be NULL */
    const char *run_id;
};

enum lc package_make(const struct ctx *ctx, const struct package *p, char digest[TREE_DIGEST],
                     struct err *err) MUST_CHECK;
enum lc package_digest(const struct ctx *ctx, const char *folder, char digest[TREE_DIGEST], int64_t *bytes,
                       struct err *err) MUST_CHECK;
/* The digest that is written in a version's MLmodel; false when there is none. */
bool package_recorded(const char *folder, char digest[TREE_DIGEST]);
/* A text of a JSON file's top object: caller frees; NULL when absent. */
char *package_json_text(const char *folder, const char *file, const char *key);
#endif
