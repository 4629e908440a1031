/* llm_lua.h: what the globals llm, Dataset, Trainer, LoraConfig, BitsAndBytesConfig and TrainingArguments are opened with.
 *
 * Ownership the session's.
 * Errors    raised in the cell.
 * Threads   session thread.
 *
 * Example:
 *     const struct session_global row = {"llm", llm_open, "fine-tuning, models, tokenizers"};
 */
#ifndef LACUS_TRAIN_LLM_LUA_H
#define LACUS_TRAIN_LLM_LUA_H

struct lua_State;
struct manual_topic;
extern const struct manual_topic *const llm_topics[]; /* for struct session_global; ends with NULL */
int llm_open(struct lua_State *L);
int llm_open_dataset(struct lua_State *L);
int llm_open_load_dataset(struct lua_State *L);
int llm_open_concatenate_datasets(struct lua_State *L);
int llm_open_trainer(struct lua_State *L);
int llm_open_early_stopping(struct lua_State *L);
int llm_open_lora_config(struct lua_State *L);
int llm_open_prompt_tuning(struct lua_State *L);
int llm_open_prefix_tuning(struct lua_State *L);
int llm_open_quantization(struct lua_State *L);
int llm_open_training_arguments(struct lua_State *L);

/* The part of the core that knows models and tokenizers: adds its functions to the table on the stack. */
void llm_model_functions(struct lua_State *L);
/* The same for datasets: permutations as numpy's, digests. */
void llm_dataset_functions(struct lua_State *L);
#endif
