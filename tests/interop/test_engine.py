"""The engine against transformers and peft: they load what it writes, it loads what they write, and the numbers agree."""
import ctypes as C
import json

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from clib import LacusError
from engine import CTX, Engine

TOLERANCE = 2e-5


@pytest.fixture(scope="module", params=["ref", "cpu"])
def engine(request):
    return Engine(request.param)


SHAPE = dict(vocab_size=131, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, initializer_range=0.1, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0)
CONFIGS = {
    "llama": dict(model_type="llama", architectures=["LlamaForCausalLM"], rope_theta=10000.0),
    "llama-biases": dict(model_type="llama", attention_bias=True, mlp_bias=True, head_dim=20, tie_word_embeddings=True),
    "llama3-rope": dict(model_type="llama", rope_parameters=dict(
        rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)),
    "llama-linear": dict(model_type="llama", rope_theta=5000.0, rope_scaling=dict(type="linear", factor=2.0)),
    "llama-dynamic": dict(model_type="llama", max_position_embeddings=10, rope_parameters=dict(rope_type="dynamic", rope_theta=1e4, factor=3.0)),
    "llama-longrope": dict(model_type="llama", rope_parameters=dict(
        rope_type="longrope", rope_theta=1e4, short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5], long_factor=[1.0, 1.5, 2.5, 4.0, 6.0, 8.0], original_max_position_embeddings=9)),
    "llama-longrope-short": dict(model_type="llama", rope_scaling=dict(type="longrope", factor=4.0, short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5], long_factor=[9.0] * 6,
                                                                       original_max_position_embeddings=64)),
    "mistral": dict(model_type="mistral", sliding_window=5),
    "llama-yarn": dict(model_type="llama", rope_parameters=dict(rope_type="yarn", rope_theta=5e4, factor=4.0, original_max_position_embeddings=16)),
    "llama-yarn-not-truncated": dict(model_type="llama", rope_parameters=dict(
        rope_type="yarn", rope_theta=1e4, factor=8.0, original_max_position_embeddings=32, beta_fast=20.0, beta_slow=2.0, mscale=0.7, mscale_all_dim=1.3, truncate=False)),
    "ministral": dict(model_type="ministral", head_dim=12, rope_parameters=dict(rope_type="default", rope_theta=10000.0), sliding_window=5, layer_types=["full_attention", "sliding_attention"]),
    "ministral3": dict(model_type="ministral3", head_dim=12, rope_parameters=dict(
        rope_type="yarn", rope_theta=1e6, factor=16.0, original_max_position_embeddings=4, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.1)),
    "qwen2": dict(model_type="qwen2"),
    "qwen2-window": dict(model_type="qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=1),
    "qwen3": dict(model_type="qwen3", head_dim=16),
}


def batch(seed=3):
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 131, (3, 17), generator=g)
    mask = torch.ones_like(ids)
    mask[1, 11:] = 0
    mask[2, 4:] = 0
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :2] = -100
    return ids, mask, labels


def hf_forward(m, ids, mask, labels):
    with torch.no_grad():
        out = m(input_ids=ids, attention_mask=mask, labels=labels)
    return float(out.loss), out.logits * mask[..., None]


def close(a, b):
    assert float((a - b).abs().max() / b.abs().max()) <= TOLERANCE


@pytest.mark.parametrize("name", CONFIGS)
def test_transformers_loads_what_we_write(engine, name, tmp_path):
    m = engine.create({**SHAPE, **CONFIGS[name]})
    engine.call("model_save", CTX, m, str(tmp_path).encode())
    hf, info = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    want, got = hf_forward(hf.eval(), *batch()), engine.forward(m, *batch())
    assert abs(want[0] - got[0]) <= 1e-5
    close(got[1], want[1])


@pytest.mark.parametrize("name", CONFIGS)
def test_we_load_what_transformers_writes(engine, name, tmp_path):
    torch.manual_seed(4)
    hf = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**{**SHAPE, **CONFIGS[name]})).eval()
    with torch.no_grad():
        for p in hf.parameters():
            if p.ndim == 1:
                p.add_(0.1 * torch.randn_like(p))
    hf.save_pretrained(tmp_path, max_shard_size="20KB")
    assert (tmp_path / "model.safetensors.index.json").exists()
    want, got = hf_forward(hf, *batch()), engine.forward(engine.load(tmp_path), *batch())
    assert abs(want[0] - got[0]) <= 1e-5
    close(got[1], want[1])


YARN = dict(rope_type="yarn", rope_theta=5e4, factor=4.0, original_max_position_embeddings=16)
AS_WRITTEN = {
    "qwen2-no-kv-heads": dict(model_type="qwen2", num_key_value_heads=None),
    "ministral3-no-rope": dict(model_type="ministral3", rope_theta=5e3),
    "ministral3-no-theta": dict(model_type="ministral3", rope_scaling=dict(
        type="yarn", factor=4.0, original_max_position_embeddings=16, llama_4_scaling_beta=0.2)),
    "no-ministral3": dict(model_type="mistral", rope_parameters={**YARN, "llama_4_scaling_beta": 0.2}),
    "both-ropes": dict(model_type="llama", rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=3.0), rope_scaling=dict(type="linear", factor=2.0)),
    "an-empty-rope": dict(model_type="llama", rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=3.0), rope_scaling={}),
    "yarn-context-outside": dict(model_type="mistral", original_max_position_embeddings=64, rope_parameters=YARN),
    "yarn-factor-of-contexts": dict(model_type="qwen3", rope_parameters={**YARN, "factor": None}),
    "llama3-context-outside": dict(model_type="llama", original_max_position_embeddings=32, rope_scaling=dict(
        rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)),
}


@pytest.mark.parametrize("name", AS_WRITTEN)
def test_configs_are_read_as_transformers_reads_them(engine, name, tmp_path):
    config = {**SHAPE, "head_dim": 12, **AS_WRITTEN[name]}
    transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**json.loads(json.dumps(config)))).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    want = hf_forward(transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval(), *batch())
    close(engine.forward(engine.load(tmp_path), *batch())[1], want[1])


@pytest.mark.parametrize("same", [True, False])
def test_a_tied_head_that_the_file_has_too(engine, same, tmp_path):
    """Of other values it is a head of its own, whatever the config says."""
    hf = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**{**SHAPE, **CONFIGS["qwen2"], "tie_word_embeddings": True}))
    hf.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    head = weights["model.embed_tokens.weight"].clone() if same else torch.randn(131, 48, generator=torch.Generator().manual_seed(2))
    save_file({**weights, "lm_head.weight": head}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    m = engine.load(tmp_path)
    want = hf_forward(transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval(), *batch())[1]
    close(engine.forward(m, *batch())[1], want)
    engine.call("model_save", CTX, m, str(tmp_path / "saved").encode())
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["tie_word_embeddings"] == same
    close(hf_forward(transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.float32).eval(), *batch())[1], want)


@pytest.mark.parametrize("kind, absent", [("linear", "factor"), ("dynamic", "factor"), ("yarn", "factor"), ("llama3", "low_freq_factor")])
def test_a_rope_without_its_scale_is_refused(engine, kind, absent):
    rope = dict(rope_type=kind, factor=2.0, low_freq_factor=1.0, high_freq_factor=4.0)
    del rope[absent]
    with pytest.raises(LacusError, match=f"'rope_scaling' of kind '{kind}' has no '{absent}'"):
        engine.create({**SHAPE, "model_type": "llama", "rope_scaling": rope})


def examples(n=13):
    g = torch.Generator().manual_seed(9)
    made = []
    for i in range(n):
        ids = torch.randint(3, 131, (5 + i % 7,), generator=g).tolist()
        made.append((ids, [-100] * (i % 3) + ids[i % 3:]))
    return made


def collate(rows):
    longest = max(len(r["input_ids"]) for r in rows)
    pad = lambda key, fill: torch.tensor([r[key] + [fill] * (longest - len(r[key])) for r in rows])
    return dict(input_ids=pad("input_ids", 0), attention_mask=pad("attention_mask", 0), labels=pad("labels", -100))


ARGS = dict(num_train_epochs=2, per_device_train_batch_size=2, gradient_accumulation_steps=3, learning_rate=3e-3, weight_decay=0.1,
            warmup_steps=2, lr_scheduler_type="cosine", logging_steps=1, seed=11, per_device_eval_batch_size=4, eval_strategy="epoch",
            save_strategy="no")


def hf_train(hf, out, data=None, **changed):
    rows = [dict(input_ids=i, attention_mask=[1] * len(i), labels=l) for i, l in data or examples()]
    args = transformers.TrainingArguments(output_dir=str(out), report_to=[], disable_tqdm=True, use_cpu=True, **(ARGS | changed))
    t = transformers.Trainer(model=hf, args=args, train_dataset=rows, eval_dataset=rows, data_collator=collate)
    t.train()
    return t.state.log_history


def same_history(ours, theirs, evaluated=True):
    pick = lambda h, key: [x[key] for x in h if key in x]
    for key, tolerance in (("loss", 1e-4), ("grad_norm", 2e-3), ("learning_rate", 1e-12), ("eval_loss", 1e-4))[:None if evaluated else 3]:
        got, want = pick(ours, key), pick(theirs, key)
        assert len(got) == len(want) > 1, key
        np.testing.assert_allclose(got, want, atol=tolerance, rtol=1e-3 if key == "grad_norm" else 0, err_msg=key)
    np.testing.assert_allclose(pick(ours, "epoch"), pick(theirs, "epoch")[:len(pick(ours, "epoch"))], atol=1e-6)


def test_a_full_run_is_that_of_trainer(engine, tmp_path):
    m = engine.create({**SHAPE, **CONFIGS["llama"]})
    engine.call("model_save", CTX, m, str(tmp_path / "start").encode())
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "start", dtype=torch.float32)
    theirs = hf_train(hf, tmp_path / "hf")
    ours = engine.train(m, examples(), **ARGS)
    same_history(ours, theirs)
    engine.call("model_save", CTX, m, str(tmp_path / "end").encode())
    got = load_file(tmp_path / "end" / "model.safetensors")
    for name, want in hf.state_dict().items():
        assert float((got[name] - want).abs().max() / want.abs().max()) <= 1e-4, name


def test_dynamic_frequencies_follow_what_is_seen(engine, tmp_path):
    """transformers keeps those of the longest batch until one is within the context again."""
    m = engine.create({**SHAPE, **CONFIGS["llama-dynamic"]})
    engine.call("model_save", CTX, m, str(tmp_path).encode())
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    for length in (8, 17, 13, 10, 9, 12):
        ids, mask, labels = (t[:1, :length] for t in batch())
        close(engine.forward(m, ids, mask, labels)[1], hf_forward(hf, ids, mask, labels)[1])


def test_long_frequencies_follow_the_whole_batch(engine, tmp_path):
    """transformers chooses them by the longest row, padding and all; here padding is dropped, and an evaluation runs in parts where memory is short."""
    m = engine.create({**SHAPE, **CONFIGS["llama-longrope"]})
    engine.call("model_save", CTX, m, str(tmp_path / "start").encode())
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "start", dtype=torch.float32)
    ids, mask, labels = batch()
    mask[:, 6:] = 0
    labels[:, 6:] = -100
    close(engine.forward(m, ids, mask, labels)[1], hf_forward(hf.eval(), ids, mask, labels)[1])
    some = dict(per_device_train_batch_size=1, gradient_accumulation_steps=4)  # memory for one row at a time
    same_history(engine.train(m, examples(), **(ARGS | some)), hf_train(hf, tmp_path / "hf", **some))


def test_the_text_part_of_a_model_that_reads_images(engine, tmp_path):
    """As Ministral 3 is published."""
    vision = dict(model_type="pixtral", hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, head_dim=16, image_size=28, patch_size=14)
    torch.manual_seed(2)
    hf = transformers.Mistral3ForConditionalGeneration(transformers.Mistral3Config(
        text_config={**SHAPE, **CONFIGS["ministral3"]}, vision_config=vision, image_token_index=10, tie_word_embeddings=False)).float().eval()
    for shards in ("5GB", "40KB"):
        hf.save_pretrained(tmp_path / shards, max_shard_size=shards)
        m = engine.load(tmp_path / shards)
        want, got = hf_forward(hf, *batch()), engine.forward(m, *batch())
        assert abs(want[0] - got[0]) <= 1e-5
        close(got[1], want[1])
    engine.call("model_save", CTX, m, str(tmp_path / "text").encode())  # a language model of its own
    close(hf_forward(transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "text", dtype=torch.float32).eval(), *batch())[1], want[1])


@pytest.mark.parametrize("tied", [False, True])
def test_the_padding_token_is_not_embedded_anew(engine, tied, tmp_path):
    """transformers gives it no gradient where it is read, only where it is predicted."""
    m = engine.create({**SHAPE, **CONFIGS["qwen2"], "tie_word_embeddings": tied})
    engine.call("model_save", CTX, m, str(tmp_path / "start").encode())
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "start", dtype=torch.float32)
    data = [([0 if k % 4 == 2 else t for k, t in enumerate(i)], l) for i, l in examples()]
    theirs = hf_train(hf, tmp_path / "hf", data)
    same_history(engine.train(m, data, **ARGS), theirs)
    engine.call("model_save", CTX, m, str(tmp_path / "end").encode())
    got, want = load_file(tmp_path / "end" / "model.safetensors")["model.embed_tokens.weight"], hf.state_dict()["model.embed_tokens.weight"]
    assert float((got - want).abs().max() / want.abs().max()) <= 1e-4


def test_peft_loads_our_adapter_and_trains_the_same(engine, tmp_path):
    m = engine.create({**SHAPE, **CONFIGS["llama"]})
    engine.call("model_save", CTX, m, str(tmp_path / "base").encode())
    engine.lora(m, r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], peft_type="LORA", task_type="CAUSAL_LM")
    engine.call("lora_save", CTX, m, str(tmp_path / "start").encode())
    base = lambda: transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    theirs = hf_train(peft.PeftModel.from_pretrained(base(), tmp_path / "start", is_trainable=True), tmp_path / "hf")
    same_history(engine.train(m, examples(), **ARGS), theirs)
    engine.call("lora_save", CTX, m, str(tmp_path / "end").encode())
    tuned = peft.PeftModel.from_pretrained(base(), tmp_path / "end").eval()
    want, got = hf_forward(tuned, *batch()), engine.forward(m, *batch())
    assert abs(want[0] - got[0]) <= 1e-4
    close(got[1], want[1])
    trainable, everything = C.c_int64(), C.c_int64()
    engine.lib.model_count_parameters(m, C.byref(trainable), C.byref(everything))
    assert (trainable.value, everything.value) == peft.PeftModel.from_pretrained(
        base(), tmp_path / "end", is_trainable=True).get_nb_trainable_parameters()
    engine.call("lora_merge", m)
    close(engine.forward(m, *batch())[1], want[1])


def test_packed_sequences_train_as_a_batch_of_them(engine, tmp_path):
    """One row that holds all sequences is, for transformers, the batch of them all."""
    m = engine.create({**SHAPE, **CONFIGS["mistral"]})
    engine.call("model_save", CTX, m, str(tmp_path / "start").encode())
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "start", dtype=torch.float32)
    same = dict(gradient_accumulation_steps=1, num_train_epochs=4)
    theirs = hf_train(hf, tmp_path / "hf", per_device_train_batch_size=13, per_device_eval_batch_size=13, **same)
    same_history(engine.train(m, examples(), packed=[0], **(ARGS | same)), theirs)


def test_packing_fills_rows(engine):
    g = torch.Generator().manual_seed(3)
    lengths = torch.randint(1, 65, (500,), generator=g).tolist() + [64, 1]
    n = len(lengths)
    order, first, bins = (C.c_int64 * n)(), (C.c_int64 * (n + 1))(), C.c_int64()
    engine.call("packing_best_fit", (C.c_int64 * n)(*lengths), C.c_int64(n), C.c_int64(64), order, first, C.byref(bins))
    assert sorted(order) == list(range(n)) and first[0] == 0 and first[bins.value] == n
    filled = [sum(lengths[i] for i in order[first[b]:first[b + 1]]) for b in range(bins.value)]
    assert max(filled) <= 64 and min(filled) > 0
    free = []  # the same rule, written plainly
    for length in sorted(lengths, reverse=True):
        fits = [i for i, room in enumerate(free) if room >= length]
        if fits:
            free[min(fits, key=lambda i: free[i])] -= length
        else:
            free.append(64 - length)
    assert len(free) == bins.value and sorted(64 - f for f in free) == sorted(filled)
    with pytest.raises(LacusError, match="sequence 1 has 65 tokens"):
        engine.call("packing_best_fit", (C.c_int64 * 2)(5, 65), C.c_int64(2), C.c_int64(64), order, first, C.byref(bins))


@pytest.mark.parametrize("kind, twice", [("nf4", True), ("nf4", False), ("fp4", False)])
def test_an_adapter_over_four_bits_trains_as_with_bitsandbytes(engine, kind, twice, tmp_path):
    pytest.importorskip("bitsandbytes", reason="SKIP: bitsandbytes is not installed")
    created = engine.create({**SHAPE, **CONFIGS["llama"], "hidden_size": 64, "intermediate_size": 128})  # bitsandbytes decodes other widths wrongly on a CPU
    engine.call("model_save", CTX, created, str(tmp_path / "base").encode())
    fields = dict(load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=twice)
    base = lambda: transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "base", dtype=torch.float32, quantization_config=transformers.BitsAndBytesConfig(**fields, bnb_4bit_compute_dtype=torch.float32), device_map="cpu")
    m = engine.load(tmp_path / "base", fields)
    engine.lora(m, r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], peft_type="LORA", task_type="CAUSAL_LM")
    engine.call("lora_save", CTX, m, str(tmp_path / "start").encode())
    hf = peft.PeftModel.from_pretrained(base(), tmp_path / "start", is_trainable=True)
    theirs = hf_train(hf, tmp_path / "hf", eval_strategy="no")  # evaluating, bitsandbytes takes another path on a CPU, with rounded factors
    same_history(engine.train(m, examples(), **(ARGS | dict(eval_strategy="no"))), theirs, evaluated=False)
    engine.call("lora_save", CTX, m, str(tmp_path / "end").encode())
    want, got = hf_forward(peft.PeftModel.from_pretrained(base(), tmp_path / "end", is_trainable=True).train(), *batch()), engine.forward(m, *batch())
    assert abs(want[0] - got[0]) <= 1e-4
    close(got[1], want[1])
    for call in (lambda: engine.call("lora_merge", m), lambda: engine.call("model_save", CTX, m, str(tmp_path / "no").encode())):
        with pytest.raises(LacusError, match=kind):
            call()


@pytest.mark.parametrize("fields", [dict(target_modules="all-linear"), dict(target_modules=["gate_proj", "o_proj"], use_rslora=True)])
def test_we_load_what_peft_writes(engine, fields, tmp_path):
    m = engine.create({**SHAPE, **CONFIGS["qwen2"]})
    engine.call("model_save", CTX, m, str(tmp_path / "base").encode())
    torch.manual_seed(6)
    hf = peft.get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32),
                             peft.LoraConfig(task_type="CAUSAL_LM", r=3, lora_alpha=7, init_lora_weights=False, **fields)).eval()
    hf.save_pretrained(tmp_path / "adapter")
    engine.call("lora_load", CTX, m, str(tmp_path / "adapter").encode())
    want, got = hf_forward(hf, *batch()), engine.forward(m, *batch())
    assert abs(want[0] - got[0]) <= 1e-5
    close(got[1], want[1])


@pytest.mark.parametrize("change, word", [
    (dict(model_type="gpt2", architectures=["GPT2LMHeadModel"]), "GPT2LMHeadModel"),
    (dict(hidden_act="gelu"), "hidden_act"),
    (dict(rope_scaling=dict(rope_type="proportional", factor=2.0)), "proportional"),
    (dict(rope_scaling=dict(rope_type="longrope", short_factor=[1.0] * 5, long_factor=[1.0] * 6, factor=2.0)), "short_factor"),
    (dict(num_attention_heads=5, num_key_value_heads=2), "num_attention_heads"),
])
def test_what_is_not_supported_is_named(engine, change, word):
    with pytest.raises(LacusError, match=word):
        engine.create({**SHAPE, **CONFIGS["llama"], **change})
