/* %pip: a notebook from elsewhere installs Python packages first; here their work is built in. */
#include "magics/line.h"
#include "magics/magics.h"
#include <string.h>

static const struct {
    const char *package, *here;
} built_in[] = {
    {"accelerate", "llm.finetune{ranks = n}"},
    {"bitsandbytes", "BitsAndBytesConfig{load_in_4bit = true}"},
    {"dask", "spark: dataframes larger than memory"},
    {"databricks-sdk", "dbutils, mlflow and spark speak to this workspace"},
    {"datasets", "spark.read: csv, json, parquet, text"},
    {"deepspeed", "llm.finetune{ranks = n}"},
    {"delta-spark", "spark:table, df.write:format(\"delta\")"},
    {"deltalake", "spark:table, df.write:format(\"delta\")"},
    {"duckdb", "spark:sql"},
    {"evaluate", "llm.evaluate"},
    {"huggingface-hub", "llm.load(\"owner/name\")"},
    {"ipykernel", "lacus is the kernel"},
    {"ipywidgets", "dbutils.widgets and widgets"},
    {"jupyter", "lacus is the kernel: lacus kernelspec install"},
    {"lightning", "llm.finetune"},
    {"matplotlib", "plot.line{…}, plot.bar{…}"},
    {"mlflow", "mlflow"},
    {"numpy", "tensor, and spark's columns"},
    {"pandas", "spark: df:show(), df:collect()"},
    {"papermill", "lacus run NOTEBOOK -p NAME VALUE"},
    {"peft", "LoraConfig{r = 16, …}"},
    {"polars", "spark: dataframes"},
    {"pyarrow", "spark.read:parquet(path)"},
    {"pyspark", "spark and F"},
    {"safetensors", "llm.load and llm.finetune read and write it"},
    {"sentencepiece", "llm.tokenizer, from tokenizer.json"},
    {"tokenizers", "llm.tokenizer(path)"},
    {"torch", "llm, tensor"},
    {"tqdm", "progress bars of llm.finetune"},
    {"transformers", "llm.load, llm.finetune, llm.tokenizer"},
    {"trl", "llm.finetune{…}: supervised fine-tuning"},
};

/* "peft>=0.10", "transformers[torch]==4.44" → the bare name in lower case, with - for _ */
static void bare_name(const char *word, char out[64])
{
    size_t n = strcspn(word, "=<>!~[;@ ");

    n = n < 63 ? n : 63;
    for (size_t i = 0; i < n; i++) {
        char c = word[i];
        out[i] = (char)(c == '_' ? '-' : c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    out[n] = '\0';
}

static const char *find(const char *name)
{
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
        if (strcmp(built_in[i].package, name) == 0)
            return built_in[i].here;
    return NULL;
}

static int install(lua_State *L, const struct line_words *w)
{
    for (size_t i = 1; i < w->n; i++) {
        char name[64];
        const char *here;
        if (w->words[i][0] == '-')
            continue; /* -q, --upgrade … */
        bare_name(w->words[i], name);
        here = find(name);
        if (here)
            line_print(L, "%s: built in: %s\n", name, here);
        else
            line_print(
                L, "%s: a Python package, which lacus does not run; %%luarocks install finds Lua packages\n",
                name);
    }
    return 0;
}

int magic_pip(lua_State *L, const char *line, const char *body)
{
    struct line_words *w = line_words(L, line);

    (void)body;
    if (w->n > 1 && strcmp(w->words[0], "install") == 0)
        return install(L, w);
    if (w->n == 1 && (strcmp(w->words[0], "list") == 0 || strcmp(w->words[0], "freeze") == 0)) {
        for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
            line_print(L, "%-18s built in: %s\n", built_in[i].package, built_in[i].here);
        return 0;
    }
    if (w->n > 0 && strcmp(w->words[0], "uninstall") == 0)
        return 0;
    return line_error(L, "pip", "cannot do", line);
}
