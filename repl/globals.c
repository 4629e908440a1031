#include "repl/globals.h"
#include "runtime/mlflow/mlflow_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/dataframe_lua.h"
#include "runtime/train/llm_lua.h"
#include "runtime/web/web_lua.h"
#include "widgets/widget_lua.h"

/* One row per name: what opens it, and what it is. The functions live in *_lua.c files of their folders. */
const struct session_global lacus_globals[] = {
    {"BitsAndBytesConfig", llm_open_quantization,
     "BitsAndBytesConfig{load_in_4bit = true, …}: weights in few bits", NULL},
    {"Dataset", llm_open_dataset,
     "Dataset.from_list(rows), Dataset(df): rows as Hugging Face's datasets have them", NULL},
    {"DeltaTable", delta_table_lua_open,
     "DeltaTable.forName(spark, name): a Delta table: update, delete, merge, history", NULL},
    {"EarlyStoppingCallback", llm_open_early_stopping,
     "EarlyStoppingCallback{early_stopping_patience = 3}: ends a Trainer's training that gets no better",
     NULL},
    {"F", functions_lua_open, "the functions of Spark SQL on columns: F.col(\"a\"), F.sum(\"b\"), F.when(…)",
     functions_topics},
    {"LoraConfig", llm_open_lora_config,
     "LoraConfig{r = 16, lora_alpha = 32, target_modules = {…}}: a LoRA adapter", NULL},
    {"Observation", observation_lua_open,
     "Observation(): what df:observe counts beside a query; observation.get", NULL},
    {"PrefixTuningConfig", llm_open_prefix_tuning,
     "PrefixTuningConfig{num_virtual_tokens = 16}: trained keys and values in front of each text", NULL},
    {"PromptTuningConfig", llm_open_prompt_tuning,
     "PromptTuningConfig{num_virtual_tokens = 8, …}: trained embeddings in front of each text", NULL},
    {"SparkSession", spark_session_lua_open, "SparkSession.builder:getOrCreate() gives spark",
     builder_topics},
    {"Trainer", llm_open_trainer,
     "Trainer{model = …, args = TrainingArguments{…}, train_dataset = …}: Hugging Face's training", NULL},
    {"TrainingArguments", llm_open_training_arguments,
     "TrainingArguments{…}: Hugging Face's arguments of a training", NULL},
    {"Window", window_lua_open, "Window.partitionBy(…):orderBy(…): windows for column:over(…)",
     window_topics},
    {"concatenate_datasets", llm_open_concatenate_datasets,
     "datasets after each other: concatenate_datasets{a, b}", NULL},
    {"http", web_open, "http.get(url), http.post(url, {json = …}), http.stream(url): an HTTP client",
     web_topics},
    {"llm", llm_open, "llm.finetune, llm.load, llm.tokenizer, llm.evaluate, llm.jobs: language models",
     llm_topics},
    {"load_dataset", llm_open_load_dataset, "load_dataset(\"json\", {data_files = …}): a file as a Dataset",
     NULL},
    {"mlflow", mlflow_open, "experiments, runs, metrics, artifacts and registered models", NULL},
    {"spark", spark_lua_open,
     "dataframes: spark:table(name), spark:sql(text), spark.read:csv(path), spark:createDataFrame(rows)",
     spark_topics},
    {"types", types_lua_open,
     "types.StructType{types.StructField(name, types.LongType(), nullable), …}: schemas and types of "
     "columns",
     NULL},
    {"dbutils", dbutils_open,
     "dbutils.widgets.text, dropdown, combobox, multiselect, get: a notebook's parameters", dbutils_topics},
    {"widgets", widgets_open, "widgets.IntSlider{…}, Button, HTML, VBox, …: controls in the notebook",
     widgets_topics},
    {0},
};
