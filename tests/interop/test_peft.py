"""Adapters of every kind against peft: it loads what we write, we load what it writes, and both train alike."""
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file

from clib import LacusError
from engine import CTX, Engine
from test_engine import ARGS, SHAPE, batch, close, examples, hf_forward, hf_train, same_history

QWEN = dict(model_type="qwen2", architectures=["Qwen2ForCausalLM"], rope_theta=10000.0)
LORA = dict(task_type="CAUSAL_LM", r=4, lora_alpha=8)


@pytest.fixture(scope="module", params=["ref", "cpu"])
def engine(request):
    return Engine(request.param)


def base_of(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def make_base(engine, folder, **changed):
    """A model with biases, and norms away from one."""
    m = engine.create({**SHAPE, **QWEN, **changed})
    engine.call("model_save", CTX, m, str(folder).encode())
    hf = base_of(folder)
    torch.manual_seed(3)
    with torch.no_grad():
        for p in hf.parameters():
            if p.ndim == 1:
                p.add_(0.1 * torch.randn_like(p))
    hf.save_pretrained(folder)


def make_adapter(base, folder, fields):
    torch.manual_seed(4)
    tuned = peft.get_peft_model(base_of(base), peft.LoraConfig(**LORA, **fields))
    with torch.no_grad():
        for name, p in tuned.named_parameters():
            if "lora_B" in name or "magnitude" in name or "lora_embedding_A" in name:
                p.add_(0.05 * torch.randn_like(p))
    tuned.save_pretrained(folder)


def close_after_training(a, b):
    assert float((a - b).abs().max() / b.abs().max()) <= 1e-3


def same_file(got, want):
    got, want = load_file(got), load_file(want)
    want = {k: v for k, v in want.items() if ".base_layer.weight" not in k}  # of an adapter on the embedding: the base has it
    assert sorted(got) == sorted(want)
    for name in want:
        assert got[name].shape == want[name].shape, name
        assert float((got[name] - want[name]).abs().max() / want[name].abs().max().clamp(min=1e-3)) <= 2e-4, name


KINDS = {
    "bias of all": dict(target_modules=["q_proj", "v_proj"], bias="all"),
    "bias beside adapters": dict(target_modules=["q_proj", "down_proj"], bias="lora_only"),
    "modules to save": dict(target_modules=["v_proj"], modules_to_save=["lm_head", "embed_tokens", "norm"]),
    "a whole block": dict(target_modules=["v_proj"], modules_to_save=["layers.1.mlp"]),
    "patterns": dict(target_modules="all-linear", rank_pattern={"layers.0.self_attn.q_proj": 2, "v_pr.*": 6}, alpha_pattern={"down_proj": 3}),
    "an expression": dict(target_modules=r".*layers\.1\..*(q|up)_proj"),
    "some layers": dict(target_modules=["q_proj", "up_proj"], layers_to_transform=[1], layers_pattern=["layers"]),
    "the first layer": dict(target_modules=["q_proj", "up_proj"], layers_to_transform=0),
    "all but": dict(target_modules="all-linear", exclude_modules=["gate_proj", "layers.0.self_attn.k_proj"], use_rslora=True),
    "the embedding": dict(target_modules=["embed_tokens", "q_proj"], use_rslora=True, lora_dropout=0.0, rank_pattern={"embed_tokens": 6}),
    "the embedding alone": dict(target_modules=r".*embed_tokens", init_lora_weights=True),
    "the head": dict(target_modules=["lm_head", "q_proj"], rank_pattern={"lm_head": 6}, lora_dropout=0.0),
    "the head alone": dict(target_modules=r".*lm_head", use_rslora=True, init_lora_weights=True),
    "the head and the embedding": dict(target_modules=["lm_head", "embed_tokens"], alpha_pattern={"lm_head": 3}),
    "DoRA": dict(target_modules=["q_proj", "k_proj", "o_proj", "down_proj"], use_dora=True),
    "DoRA with biases": dict(target_modules=["q_proj", "v_proj", "gate_proj"], use_dora=True, use_rslora=True, bias="lora_only"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_lora_of_every_kind(engine, kind, tmp_path):
    make_base(engine, tmp_path / "base", tie_word_embeddings=kind == "DoRA")
    make_adapter(tmp_path / "base", tmp_path / "start", KINDS[kind])
    m = engine.load(tmp_path / "base")
    engine.call("lora_load", CTX, m, str(tmp_path / "start").encode())
    tuned = peft.PeftModel.from_pretrained(base_of(tmp_path / "base"), tmp_path / "start", is_trainable=True)
    close(engine.forward(m, *batch())[1], hf_forward(tuned.eval(), *batch())[1])
    args = ARGS | (dict(max_steps=20) if "DoRA" in kind else {})
    theirs = hf_train(tuned, tmp_path / "hf", **args)
    same_history(engine.train(m, examples(), **args), theirs)
    tuned.save_pretrained(tmp_path / "theirs")
    engine.call("lora_save", CTX, m, str(tmp_path / "ours").encode())
    same_file(tmp_path / "ours" / "adapter_model.safetensors", tmp_path / "theirs" / "adapter_model.safetensors")
    reloaded = peft.PeftModel.from_pretrained(base_of(tmp_path / "base"), tmp_path / "ours").eval()
    want = hf_forward(reloaded, *batch())[1]
    close(engine.forward(m, *batch())[1], want)
    engine.call("lora_merge", m)
    close(engine.forward(m, *batch())[1], want)
    engine.call("model_save", CTX, m, str(tmp_path / "merged").encode())
    close(hf_forward(base_of(tmp_path / "merged").eval(), *batch())[1], want)


def test_a_fresh_adapter_has_pefts_shapes_and_counts(engine, tmp_path):
    import ctypes as C

    make_base(engine, tmp_path / "base", tie_word_embeddings=False)
    for fields in KINDS.values():
        m = engine.load(tmp_path / "base")
        engine.lora(m, **LORA, **fields)
        engine.call("lora_save", CTX, m, str(tmp_path / "ours").encode())
        tuned = peft.PeftModel.from_pretrained(base_of(tmp_path / "base"), tmp_path / "ours", is_trainable=True)
        trainable, everything = C.c_int64(), C.c_int64()
        engine.lib.model_count_parameters(m, C.byref(trainable), C.byref(everything))
        assert (trainable.value, everything.value) == tuned.get_nb_trainable_parameters(), fields
        close(engine.forward(m, *batch())[1], hf_forward(base_of(tmp_path / "base").eval(), *batch())[1])  # it begins as nothing


@pytest.mark.parametrize("fields", [dict(target_modules=["q_proj"], modules_to_save=["lm_head"]), dict(target_modules=["lm_head", "v_proj"]),
                                    dict(target_modules=["q_proj"], modules_to_save=["embed_tokens"]), dict(target_modules=["embed_tokens", "v_proj"]),
                                    dict(target_modules=["embed_tokens", "lm_head"])])
def test_what_a_tied_model_uses_twice_is_trained_once(engine, tmp_path, fields):
    make_base(engine, tmp_path / "base", tie_word_embeddings=True)
    make_adapter(tmp_path / "base", tmp_path / "start", fields)
    m = engine.load(tmp_path / "base")
    engine.call("lora_load", CTX, m, str(tmp_path / "start").encode())
    tuned = peft.PeftModel.from_pretrained(base_of(tmp_path / "base"), tmp_path / "start", is_trainable=True)
    args = ARGS
    theirs = hf_train(tuned, tmp_path / "hf", **args)
    same_history(engine.train(m, examples(), **args), theirs)
    want = hf_forward(tuned.eval(), *batch())[1]
    close_after_training(engine.forward(m, *batch())[1], want)
    want = engine.forward(m, *batch())[1]
    engine.call("lora_merge", m)  # peft unties for modules_to_save, and of a low-rank part only warns that both uses will change
    close(engine.forward(m, *batch())[1], want)
    engine.call("model_save", CTX, m, str(tmp_path / "merged").encode())
    merged = base_of(tmp_path / "merged").eval()
    assert not merged.config.tie_word_embeddings and "lm_head.weight" in load_file(tmp_path / "merged" / "model.safetensors")
    close(hf_forward(merged, *batch())[1], want)
    history = engine.train(m, examples(), **args)  # and goes on as a model of its own
    same_history(history, hf_train(merged, tmp_path / "more", **args))


@pytest.mark.parametrize("fields, message", [
    (dict(target_modules=["lm_head"], use_dora=True), "'use_dora' on 'lm_head'"),
    (dict(target_modules=["q_proj", "embed_tokens"], use_dora=True), "'use_dora' on 'embed_tokens'"),
    (dict(target_modules=["q_prj"]), "'q_prj' is in no layer"),
    (dict(target_modules="(q_proj"), r"cannot use the expression '\(q_proj'"),
    (dict(target_modules=".*q_proj", modules_to_save=["lm_hed"]), "module to save 'lm_hed' is in no layer"),
    (dict(target_modules=["q_proj"], bias="some"), "'bias': .*some.* is not supported"),
    (dict(target_modules=["q_proj"], rank_pattern={"q_proj": "4"}), "'rank_pattern'"),
    (dict(target_modules=["q_proj"], rank_pattern={"q_proj": 100000}), "the rank 100000"),
])
def test_what_cannot_be_is_said(engine, fields, message):
    m = engine.create({**SHAPE, **QWEN})
    with pytest.raises(LacusError, match=message):
        engine.lora(m, **LORA, **fields)


PROMPTS = {
    "prompt": (peft.PromptTuningConfig, dict(peft_type="PROMPT_TUNING")),
    "prefix": (peft.PrefixTuningConfig, dict(peft_type="PREFIX_TUNING")),
}


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("family", ["qwen2", "qwen3", "mistral"])
def test_prompts_and_prefixes(engine, kind, family, tmp_path):
    from test_engine import CONFIGS

    make_base(engine, tmp_path / "base", architectures=[family.capitalize() + "ForCausalLM"], **CONFIGS[family])
    make, fields = PROMPTS[kind]
    torch.manual_seed(6)
    theirs = peft.get_peft_model(base_of(tmp_path / "base"), make(task_type="CAUSAL_LM", num_virtual_tokens=5))
    theirs.save_pretrained(tmp_path / "start")
    m = engine.load(tmp_path / "base")
    engine.call("adapter_load", CTX, m, str(tmp_path / "start").encode())

    def both(hf):
        ids, mask, labels = batch()
        out = hf.eval()(input_ids=ids, attention_mask=mask, labels=labels)
        got = engine.forward(m, ids, mask, labels)
        assert abs(got[0] - float(out.loss)) <= 1e-5
        close(got[1], (out.logits[:, -ids.shape[1]:] * mask[..., None]).detach())

    both(theirs)
    # of prompts, transformers takes the mean of micro-batches' means, and counts the first token, which a prompt predicts
    args, data = ARGS | dict(gradient_accumulation_steps=1, max_steps=20), [(i, [-100] + l[1:]) for i, l in examples()]
    history = hf_train(theirs, tmp_path / "hf", data, **args)
    same_history(engine.train(m, data, **args), history)
    both(theirs)
    engine.call("adapter_save", CTX, m, str(tmp_path / "ours").encode())
    theirs.save_pretrained(tmp_path / "theirs")
    same_file(tmp_path / "ours" / "adapter_model.safetensors", tmp_path / "theirs" / "adapter_model.safetensors")
    both(peft.PeftModel.from_pretrained(base_of(tmp_path / "base"), tmp_path / "ours"))
    with pytest.raises(LacusError, match="cannot merge a trained prompt"):
        engine.call("lora_merge", m)


def test_a_prompt_starts_from_a_text(engine, tmp_path):
    make_base(engine, tmp_path / "base")
    m = engine.load(tmp_path / "base")
    engine.adapter(m, tokens=[7, 9, 11], peft_type="PROMPT_TUNING", num_virtual_tokens=5, prompt_tuning_init="TEXT", prompt_tuning_init_text="x")
    engine.call("adapter_save", CTX, m, str(tmp_path / "ours").encode())
    rows = load_file(tmp_path / "ours" / "adapter_model.safetensors")["prompt_embeddings"]
    table = load_file(tmp_path / "base" / "model.safetensors")["model.embed_tokens.weight"]
    assert torch.equal(rows, table[[7, 9, 11, 7, 9]])


@pytest.mark.parametrize("fields, message", [
    (dict(peft_type="IA3"), "'IA3' are not supported"),
    (dict(peft_type="PREFIX_TUNING", prefix_projection=True), "'prefix_projection' is not supported"),
    (dict(peft_type="PROMPT_TUNING", num_virtual_tokens=0), "'num_virtual_tokens' is 0"),
    (dict(peft_type="PROMPT_TUNING", prompt_tuning_init="TEXT"), "prompt_tuning_init_text"),
    (dict(peft_type="PROMPT_TUNING", num_virtual_token=3), "no field 'num_virtual_token'"),
])
def test_what_a_prompt_cannot_be_is_said(engine, fields, message):
    m = engine.create({**SHAPE, **QWEN})
    with pytest.raises(LacusError, match=message):
        engine.adapter(m, **fields)
