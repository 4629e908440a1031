/* engine_nccl_test.c: the real NCCL on one real card: a run of one rank. Without either it says so and is passed over;
 * engine_collective_test.c has three ranks, with a stand-in for the library. */
#include "gpu/collective_nccl.h"
#include "tests/support/golden.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 100000 };

/* A card, and the library; else why not. */
static struct backend *card(struct nccl_id *id, char why[1200])
{
    struct backend_options o = {0};
    struct backend *b = NULL;
    char what[512];
    struct err err;

    if (strcmp(test_device(), "cuda") != 0) {
        snprintf(why, 1200, "LACUS_TEST_DEVICE is not cuda");
        return NULL;
    }
    if (backend_open("cuda", &o, &b, &err) != LC_OK) {
        snprintf(why, 1200, "no GPU: %s", err.message);
        return NULL;
    }
    b->ops->describe(b->state, what, sizeof what);
    if (strstr(what, "host emulation"))
        snprintf(why, 1200, "the emulated card is not one for NCCL");
    else if (nccl_make_id(NULL, id, &err) != LC_OK)
        snprintf(why, 1200, "%s", err.message);
    else
        return b;
    backend_close(b);
    return NULL;
}

static void use(struct backend *b, const struct collective *c)
{
    const struct backend_ops *ops = b->ops;
    struct ctx ctx = ctx_background();
    float *from = calloc(N, sizeof *from), *to = calloc(N, sizeof *to);
    double numbers[3] = {1, -2, 0.25};
    struct err err;
    void *x;

    for (int i = 0; i < N; i++)
        from[i] = (float)i;
    ok(ops->alloc(b->state, N * sizeof *from, &x, &err), &err);
    ok(ops->upload(b->state, NULL, x, from, N * sizeof *from, &err), &err);
    ops->add(b->state, NULL, x, x, 1, N); /* just before: the sum must come after it */
    ok(collective_start(c, x, N / 2, COLLECTIVE_F32, &err), &err);
    ok(collective_start(c, (float *)x + N / 2, N - N / 2, COLLECTIVE_F32, &err), &err);
    ok(collective_start(c, numbers, 3, COLLECTIVE_F64, &err), &err);
    ok(collective_wait(c, &ctx, &err), &err);
    ok(collective_broadcast(c, &ctx, x, N * sizeof *from, 0, &err), &err);
    ok(collective_barrier(c, &ctx, &err), &err);
    ops->add(b->state, NULL, x, x, 1, N); /* just after */
    ok(ops->download(b->state, NULL, to, x, N * sizeof *to, &err), &err);
    for (int i = 0; i < N; i++)
        if (to[i] < 4 * from[i] || to[i] > 4 * from[i])
            fail_msg("element %d: %g", i, (double)to[i]);
    assert_true(numbers[0] == 1 && numbers[1] == -2 && numbers[2] == 0.25);
    ops->release(b->state, x, N * sizeof *from);
    free(from);
    free(to);
}

static void one_rank_sums_by_itself(void **state)
{
    struct nccl_options o = {.size = 1};
    struct collective c;
    char why[1200], version[24];
    int number;
    struct err err;

    (void)state;
    o.backend = card(&o.id, why);
    if (!o.backend) {
        print_message("SKIP NCCL: %s\n", why);
        return;
    }
    ok(nccl_version(NULL, &number, &err), &err);
    nccl_version_text(number, version);
    print_message("NCCL %s\n", version);
    ok(nccl_join(&o, &c, &err), &err);
    use(o.backend, &c);
    collective_close(&c);
    backend_close(o.backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_rank_sums_by_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
