#include "repl/globals.h"
#include "runtime/mlflow/mlflow_lua.h"
#include "runtime/train/llm_lua.h"
#include "widgets/widget_lua.h"

/* One row per name: what opens it, and what it is. The functions live in *_lua.c files of their folders. */
const struct session_global lacus_globals[] = {
    {"BitsAndBytesConfig", llm_open_quantization,
     "BitsAndBytesConfig{load_in_4bit = true, …}: weights in few bits"},
    {"LoraConfig", llm_open_lora_config,
     "LoraConfig{r = 16, lora_alpha = 32, target_modules = {…}}: a LoRA adapter"},
    {"TrainingArguments", llm_open_training_arguments,
     "TrainingArguments{…}: Hugging Face's arguments of a training"},
    {"llm", llm_open, "llm.finetune, llm.load, llm.tokenizer, llm.evaluate, llm.jobs: language models"},
    {"mlflow", mlflow_open, "experiments, runs, metrics, artifacts and registered models"},
    {"dbutils", dbutils_open,
     "dbutils.widgets.text, dropdown, combobox, multiselect, get: a notebook's parameters"},
    {"widgets", widgets_open, "widgets.IntSlider{…}, Button, HTML, VBox, …: controls in the notebook"},
    {0},
};
