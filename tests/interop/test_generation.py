"""Text from every family of models, as transformers generates it: tiny random checkpoints of transformers, in every type they are kept in, through llm.load and m:generate."""
import json
import re
import shutil

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

from clib import ROOT
from fp8_checkpoints import publish
from lacus import script

torch.set_num_threads(1)
SMALL = dict(vocab_size=384, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.4,
             bos_token_id=378, eos_token_id=379, pad_token_id=383)
FAMILIES = {
    "llama": (transformers.LlamaConfig, dict(tie_word_embeddings=False, rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64})),
    "llama_tied": (transformers.LlamaConfig, dict(tie_word_embeddings=True)),
    "mistral": (transformers.MistralConfig, dict(sliding_window=12, tie_word_embeddings=False, head_dim=16)),
    "ministral": (transformers.MinistralConfig, dict(sliding_window=8, layer_types=["sliding_attention", "full_attention"], head_dim=16, tie_word_embeddings=False)),
    "qwen2": (transformers.Qwen2Config, dict(tie_word_embeddings=False)),
    "qwen2_tied": (transformers.Qwen2Config, dict(tie_word_embeddings=True)),
    "qwen3": (transformers.Qwen3Config, dict(tie_word_embeddings=False, head_dim=24)),
    "qwen3_tied": (transformers.Qwen3Config, dict(tie_word_embeddings=True, head_dim=24)),
}
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
TEMPLATE = "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
PROMPTS = ["The quick brown fox jumps over the lazy dog and goes on", "x", "def f(x):\n    return", "naïve 日本"]


def save(folder, family, dtype):
    kind, more = FAMILIES[family]
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(kind(**{**SMALL, **more}), dtype=torch.float32)
    model.to(DTYPES[dtype]).save_pretrained(folder)
    shutil.copy(ROOT / "tests/golden/tokenizer/bytebpe.json", folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<pad>", "chat_template": TEMPLATE}))
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_is_printed_as_transformers_prints_it(family, tmp_path):
    hf, _ = save(tmp_path, family, "f32")
    printed = script(tmp_path / "home", f'print(llm.load("{tmp_path}")) print(llm.tokenizer("{tmp_path}"))')
    assert printed.startswith(str(hf) + "\n")
    assert f"Tokenizer(name_or_path='{tmp_path}', vocab_size=384, padding_side='right'" in printed


@pytest.mark.parametrize("prompts", [PROMPTS[:1], PROMPTS])
def test_max_length_counts_the_prompt(prompts, tmp_path):
    hf, tok = save(tmp_path, "llama", "f32")
    ids = [tok(p, add_special_tokens=False).input_ids for p in prompts]
    longest = max(map(len, ids))
    padded = torch.tensor([[383] * (longest - len(i)) + i for i in ids])
    want = hf.generate(padded, attention_mask=(padded != 383).long(), max_length=longest + 7, do_sample=False, suppress_tokens=[379])[:, longest:].tolist()
    none = "logit_bias = {[379] = -1000}"
    printed = script(tmp_path / "home", ask(tmp_path, [f"{{input_ids = {lua(ids)}, max_length = {longest + 7}, temperature = 0, {none}}}",
                                                        f"{{input_ids = {lua(ids)}, max_length = {longest + 7}, max_new_tokens = 2, temperature = 0, {none}}}"]) +
                     f'print(pcall(function() return llm.load("{tmp_path}"):generate{{input_ids = {lua(ids)}, max_length = {longest}}} end))')
    first, second = made(printed)
    assert [x["ids"] for x in first] == want and [x["ids"] for x in second] == [w[:2] for w in want]
    assert "max_new_tokens (2) and max_length" in printed and "max_new_tokens takes precedence" in printed
    with pytest.raises(ValueError, match=f"`max_length` is set to {longest}"):
        hf.generate(padded, max_length=longest, do_sample=False)
    assert f"'max_length' is {longest}, and the prompt alone has {longest} tokens" in printed


@pytest.mark.parametrize("option, says", [("seed = 2^63", "'seed' must be a whole number"), ("max_new_tokens = 1.5", "'max_new_tokens' must be a whole number"),
                                          ("temperature = 0/0", "'temperature' must be a number"), ("top_k = 'x'", "'top_k' must be a whole number, and this is a string"),
                                          ("top_logprobs = -1", "'top_logprobs' is less than 0"), ("stop = 'a\\0'", "NUL character")])
def test_options_that_cannot_be(option, says, tmp_path):
    save(tmp_path, "llama", "f32")
    assert says in script(tmp_path / "home", f'print(pcall(function() return llm.load("{tmp_path}"):generate{{prompt = "x", {option}}} end))')


@pytest.mark.parametrize("kind", ["block", "row", "tensor"])
def test_fp8_checkpoints_generate_as_their_values(kind, tmp_path):
    hf, tok = save(tmp_path, "qwen3", "f32")
    publish(tmp_path, hf, kind)
    prompts = [tok(p, add_special_tokens=False).input_ids for p in PROMPTS]
    got = made(script(tmp_path / "home", ask(tmp_path, [f"{{input_ids = {lua(ids)}, max_new_tokens = 12, temperature = 0}}" for ids in prompts])))
    for ids, (answer,) in zip(prompts, got):
        check(hf, answer, ids, one(hf, ids, 12))


CHATS = {
    "tools": "{%- if tools %}# Tools\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}{% endif %}{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
    "trimming": "{% for m in messages %}<{{ m.role }}>\n{{ m.content | trim }} </s>\n{% endfor %}",
}
TOOL = {"type": "function", "function": {"name": "weather", "description": "of a place", "parameters": {"type": "object", "properties": {"place": {"type": "string", "description": "where"}}, "required": ["place"]}}}
MESSAGES = [{"role": "user", "content": " Is it warm? "}, {"role": "assistant", "content": "It is  "}]


@pytest.mark.parametrize("chat", CHATS)
def test_chat_templates_take_what_transformers_passes_on(chat, tmp_path):
    save(tmp_path, "llama", "f32")
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": CHATS[chat]}))
    tok = transformers.AutoTokenizer.from_pretrained(tmp_path)
    messages = 'json.decode([==[%s]==])' % json.dumps(MESSAGES)
    as_text, as_table = "tools = [==[%s]==]" % json.dumps([TOOL]), 'tools = json.decode([==[%s]==])' % json.dumps([TOOL])
    cases = [("", {}), ("add_generation_prompt = true", dict(add_generation_prompt=True)), ("add_generation_prompt = true, enable_thinking = false", dict(add_generation_prompt=True, enable_thinking=False)),
             (as_text, dict(tools=[TOOL])), (as_table, dict(tools=[TOOL])), ("continue_final_message = true", dict(continue_final_message=True)),
             ('chat_template = "{{ messages[0].content }}"', dict(chat_template="{{ messages[0].content }}"))]
    lines = "".join(f'print("TEXT", json.encode{{t:apply_chat_template({messages}, {{{o}}})}})\n' for o, _ in cases)
    printed = script(tmp_path / "home", f'json = require "json"; local t = llm.tokenizer("{tmp_path}")\n{lines}print("IDS", json.encode(t:apply_chat_template({messages}, {{tokenize = true}})))')
    got = [json.loads(x)[0] for x in re.findall(r"^TEXT\t(.*)$", printed, re.M)]
    assert got == [tok.apply_chat_template(MESSAGES, tokenize=False, **how) for _, how in cases]
    assert json.loads(re.search(r"^IDS\t(.*)$", printed, re.M)[1]) == tok(tok.apply_chat_template(MESSAGES, tokenize=False), add_special_tokens=False).input_ids


def one(model, ids, n, **how):
    with torch.no_grad():
        return model.generate(torch.tensor([ids]), max_new_tokens=n, do_sample=False, eos_token_id=379, pad_token_id=383, **how)[0, len(ids):].tolist()


def lua(x):
    return json.dumps(x, ensure_ascii=False).replace("[", "{").replace("]", "}")


def ask(folder, calls, load=""):
    """One line of JSON for each call of m:generate."""
    return f"""
do
local m = llm.load("{folder}"{load})
local json = require "json"
for _, o in ipairs{{{", ".join(calls)}}} do
    local out = m:generate(o)
    if out.text then out = {{out}} end
    local all = {{}}
    for i, one in ipairs(out) do all[i] = {{ids = one.ids, logprobs = one.logprobs, text = one.text, why = one.finish_reason}} end
    print("MADE", json.encode(all))
end
m:close()
end
"""


def made(printed):
    return [json.loads(x) for x in re.findall(r"^MADE\t(.*)$", printed, re.M)]


def check(model, got, ids, want, what=None):
    assert got["ids"] == want, what
    with torch.no_grad():
        logp = torch.log_softmax(model(torch.tensor([ids + want])).logits[0].double(), -1)
    assert got["logprobs"] == pytest.approx([logp[len(ids) - 1 + k, i].item() for k, i in enumerate(want)], abs=2e-4)


def test_every_family_in_every_type(tmp_path):
    """A batch of other lengths, with and without a repetition penalty."""
    code, wanted = "", []
    for family in FAMILIES:
        for dtype in DTYPES if family in ("llama", "qwen3_tied") else ("f32", "bf16")[len(family) % 2:][:1]:
            folder = tmp_path / f"{family}_{dtype}"
            model, tok = save(folder, family, dtype)
            how = f"prompt = {lua(PROMPTS)}, max_new_tokens = 14"
            code += ask(folder, [f"{{{how}}}", f"{{{how}, repetition_penalty = 1.7}}"], ', {dtype = "f32"}')
            wanted += [(family, model, tok, {}), (family, model, tok, {"repetition_penalty": 1.7})]
    got = made(script(tmp_path / "home", code))
    assert len(got) == len(wanted)
    for (family, model, tok, how), answers in zip(wanted, got):
        for prompt, answer in zip(PROMPTS, answers):
            ids = tok(prompt)["input_ids"]
            want = one(model, ids, 14, **how)
            assert answer["ids"] == want, family
            check(model, answer, ids, want)
            assert answer["text"] == tok.decode(want, skip_special_tokens=True)
            assert answer["why"] == ("stop" if want[-1] == 379 else "length")


@pytest.mark.parametrize("said", [dict(eos_token_id=[379, 101, 120], repetition_penalty=1.4, max_new_tokens=30), dict(eos_token_id=120, max_length=40)])
def test_what_the_publisher_says_of_generation_is_taken(said, tmp_path):
    """generation_config.json, as transformers reads it; a checkpoint that is saved keeps it."""
    folder = tmp_path / "m"
    _, tok = save(folder, "llama", "f32")
    (folder / "generation_config.json").write_text(json.dumps(said | dict(pad_token_id=383, transformers_version="5.0.0")))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = tok(PROMPTS[0])["input_ids"]
    with torch.no_grad():
        theirs = [model.generate(torch.tensor([ids]), **how)[0, len(ids):].tolist() for how in ({}, dict(repetition_penalty=1.0, max_new_tokens=9, eos_token_id=[5]))]
    printed = script(tmp_path / "home", f"""
local m = llm.load("{folder}", {{dtype = "f32"}})
local o = {{input_ids = {lua([383, *ids])}, attention_mask = {lua([0] + [1] * len(ids))}, pad_token_id = 383, use_cache = true, num_beams = 1, do_sample = false}}
print("IDS", json.encode(m:generate(o).ids))
o.repetition_penalty, o.max_new_tokens, o.eos_token_id = 1, 9, {{5}}
print("IDS", json.encode(m:generate(o).ids))
m:save_pretrained("{tmp_path}/saved")
local text = m:generate(o).text
o.stop_strings = text:sub(3, 4)
print("STOPPED", m:generate(o).text == text:sub(1, text:find(o.stop_strings, 1, true) - 1))
for _, name in ipairs{{"num_beams", "typical_p", "streamer"}} do
  local ok, e = pcall(m.generate, m, {{prompt = "x", [name] = 4}})
  print("SAID", e.message, e.hint)
end
""")
    assert [json.loads(x) for x in re.findall(r"^IDS\t(.*)$", printed, re.M)] == theirs
    assert "STOPPED\ttrue" in printed
    assert [x.split("\t")[0] for x in re.findall(r"^SAID\t(.*)$", printed, re.M)] == [f"generate has no argument '{n}'" for n in ("num_beams", "typical_p", "streamer")]
    assert "on_text" in printed and json.loads((tmp_path / "saved" / "generation_config.json").read_text())["eos_token_id"] == said["eos_token_id"]


def test_a_publisher_who_samples_is_followed(tmp_path):
    folder = tmp_path / "m"
    save(folder, "llama", "f32")
    config = folder / "generation_config.json"
    code = f"""
local function different(how)
  local m = llm.load("{folder}", {{dtype = "f32"}})
  local o = {{prompt = "x", num_return_sequences = 12, seed = 2, max_new_tokens = 6}}
  for k, v in pairs(how) do o[k] = v end
  local texts, n = {{}}, 0
  for _, one in ipairs(m:generate(o)) do n = n + (texts[one.text] and 0 or 1); texts[one.text] = true end
  return n
end
print("N", different{{}}, different{{do_sample = false}}, different{{temperature = 0}}, different{{top_k = 1}})
"""
    seen = {}
    for sample in (True, False):
        config.write_text(json.dumps(dict(do_sample=sample, temperature=1.5, top_k=20, eos_token_id=379, num_beams=3)))
        printed = script(tmp_path / "home", code)
        seen[sample] = [int(x) for x in re.search(r"^N\t(.*)$", printed, re.M)[1].split("\t")]
        assert "asks for num_beams = 3, which is not done here" in printed
    assert seen[True][0] > 6 and seen[True][1:] == [1, 1, 1] and seen[False] == [1, 1, 1, 1]


LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 8, "long_factor": [1.0, 1.5, 2.5, 4.0, 6.0, 8.0, 10.0, 12.0], "original_max_position_embeddings": 24}


@pytest.mark.parametrize("rope, lengths", [(dict(rope_parameters=LONGROPE), (30, 18, 3)), (dict(
    rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 3.0}, max_position_embeddings=24), (30, 3))])
def test_frequencies_are_those_of_each_sequence(rope, lengths, tmp_path, monkeypatch):
    """One beyond the context, one that crosses it (dynamic ones are shared by those beyond), one within, in a batch and after a long forward: as each alone."""
    monkeypatch.setitem(FAMILIES, "scaled", (transformers.LlamaConfig, dict(tie_word_embeddings=False, **rope)))
    folder = tmp_path / "m"
    model, tok = save(folder, "scaled", "f32")
    ids = [list(range(40, 40 + n)) for n in lengths]
    printed = script(tmp_path / "home", f"""
local m = llm.load("{folder}", {{dtype = "f32"}})
m:forward{{input_ids = {lua([ids[0] * 2])}}}
local together = m:generate{{input_ids = {lua(ids)}, max_new_tokens = 12}}
for i, one in ipairs{lua(ids)} do
  local alone = i == 1 and llm.load("{folder}", {{dtype = "f32"}}) or m
  print("IDS", json.encode(together[i].ids), json.encode(alone:generate{{input_ids = one, max_new_tokens = 12}}.ids))
end
""")
    got = [[json.loads(x) for x in line.split("\t")[1:]] for line in printed.splitlines() if line.startswith("IDS")]
    want = [one(transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), i, 12) for i in ids]
    assert got[1:] == [[w, w] for w in want[1:]] and got[0][1] == want[0]
    assert got[0][0] == want[0] or "dynamic" in str(rope)  # its first frequencies are those of the forward before, as in transformers


def test_what_a_user_of_generate_asks(tmp_path):
    """Messages, ids, several answers, stop texts across tokens, bias, likely tokens, adapters by name."""
    folder = tmp_path / "m"
    model, tok = save(folder, "llama", "f32")
    adapters = {}
    for seed, name in enumerate(("law", "med")):
        torch.manual_seed(seed)
        base = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        adapters[name] = get_peft_model(base, LoraConfig(r=4, lora_alpha=32, target_modules=["q_proj", "down_proj"], init_lora_weights=False)).eval()
        adapters[name].save_pretrained(tmp_path / name)
    chat = [{"role": "user", "content": "Hello there"}]
    ids = tok(PROMPTS[0])["input_ids"]
    plain = tok.decode(one(model, ids, 24), skip_special_tokens=True)
    stop = plain[7:10]  # letters of several tokens
    printed = script(tmp_path / "home", f"""
local m = llm.load("{folder}", {{dtype = "f32"}})
local json = require "json"
local function show(name, out) print(name, json.encode(out)) end
local chat = {{{{role = "user", content = "Hello there"}}}}
show("CHAT", m:generate{{messages = chat, max_new_tokens = 12}}.ids)
show("CHATS", #m:generate{{messages = {{chat, chat}}, max_new_tokens = 2}})
show("IDS", m:generate{{input_ids = {lua(ids)}, max_new_tokens = 12}}.ids)
local four = m:generate{{prompt = "x", num_return_sequences = 20, do_sample = true, seed = 4, max_new_tokens = 8}}
local texts, n = {{}}, 0
for _, o in ipairs(four) do if not texts[o.text] then texts[o.text] = true; n = n + 1 end end
show("DIFFERENT", {{#four, n}})
local cut = m:generate{{prompt = {lua(PROMPTS[0])}, max_new_tokens = 24, stop = {lua(stop)}}}
show("STOP", {{cut.text, cut.finish_reason}})
show("BIAS", m:generate{{prompt = "x", max_new_tokens = 3, logit_bias = {{[65] = 1000}}}}.ids)
local likely = m:generate{{prompt = {lua(PROMPTS[0])}, max_new_tokens = 3, top_logprobs = 4}}.top_logprobs
show("TOP", likely)
m:load_adapter("{tmp_path}/law", "law"):load_adapter("{tmp_path}/med", "med")
for _, name in ipairs{{"law", "med"}} do show(name, m:generate{{prompt = {lua(PROMPTS[0])}, max_new_tokens = 12, adapter = name}}.ids) end
show("BASE", m:generate{{prompt = {lua(PROMPTS[0])}, max_new_tokens = 12}}.ids)
for _, o in ipairs{{{{prompt = "a", adapter = "tax"}}, {{prompt = "a", messages = chat}}, {{}}, {{messages = "x"}}, {{prompt = "a", max_token = 3}}, {{prompt = "a", top_p = 2}}}} do
    local ok, e = pcall(m.generate, m, o)
    show("SAID", {{ok, e.message, e.hint}})
end
""")
    got = {name: json.loads(text) for name, text in re.findall(r"^(\w+)\t(.*)$", printed, re.M)}
    chat_ids = tok.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
    assert got["CHAT"] == one(model, chat_ids, 12) and got["CHATS"] == 2
    assert got["IDS"] == got["BASE"] == one(model, ids, 12)
    assert got["DIFFERENT"][0] == 20 and got["DIFFERENT"][1] >= 19, "two batches drew the same"
    assert got["STOP"] == [plain[:plain.index(stop)], "stop"]
    assert got["BIAS"] == [65, 65, 65]
    with torch.no_grad():
        logp = torch.log_softmax(model(torch.tensor([ids + got["BASE"][:2]])).logits[0, len(ids) - 1:].double(), -1)
    for row, likely in zip(logp, got["TOP"]):
        values, best = row.topk(4)
        assert [t["id"] for t in likely] == best.tolist() and [t["logprob"] for t in likely] == pytest.approx(values.tolist(), abs=1e-4)
    for name in adapters:
        assert got[name] == peft_greedy(adapters[name], ids, 12)
    assert got["law"] != got["med"] != got["BASE"]
    said = [json.loads(x) for x in re.findall(r"^SAID\t(.*)$", printed, re.M)]
    for (ok, message, *hint), words in zip(said, ("no adapter 'tax'", "'prompt' or 'messages'", "needs a prompt", "'messages' is a list", "max_token", "'top_p' is 2")):
        assert not ok and words in message
    assert "'law', 'med'" in said[0][2]


def peft_greedy(model, ids, n):
    with torch.no_grad():
        return model.generate(input_ids=torch.tensor([ids]), max_new_tokens=n, do_sample=False, eos_token_id=379, pad_token_id=383)[0, len(ids):].tolist()


QUANT = {"nf4": "load_in_4bit = true, bnb_4bit_quant_type = 'nf4'", "double": "load_in_4bit = true, bnb_4bit_quant_type = 'nf4', bnb_4bit_use_double_quant = true", "fp4": "load_in_4bit = true, bnb_4bit_quant_type = 'fp4'", "int8": "load_in_8bit = true"}


def test_weights_in_few_bits_generate_as_their_dequantised_values(tmp_path):
    """transformers over the values that bitsandbytes decodes (8 bits: a scale for each row) gives the same tokens and probabilities."""
    bnb = pytest.importorskip("bitsandbytes.functional", reason="SKIP: bitsandbytes is not installed")
    folder = tmp_path / "m"
    _, tok = save(folder, "qwen2", "f32")
    code = "".join(ask(folder, [f"{{prompt = {lua(PROMPTS)}, max_new_tokens = 12}}"], f', {{dtype = "f32", quantization = BitsAndBytesConfig{{{how}}}}}') for how in QUANT.values())
    got = made(script(tmp_path / "home", code))
    for name, answers in zip(QUANT, got):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            for linear in (x for x in model.model.layers.modules() if isinstance(x, torch.nn.Linear)):
                w = linear.weight
                if name == "int8":
                    scale = w.abs().amax(1, keepdim=True)
                    linear.weight.copy_((w / scale * 127).round() * scale / 127)
                else:
                    flat = w.reshape(1, -1)  # bitsandbytes 0.50 decodes wrongly on a CPU where rows are no multiple of its blocks
                    codes, state = bnb.quantize_4bit(flat.contiguous(), quant_type="fp4" if name == "fp4" else "nf4", compress_statistics=name == "double")
                    linear.weight.copy_(bnb.dequantize_4bit(codes, state).reshape(w.shape))
        for prompt, answer in zip(PROMPTS, answers):
            ids = tok(prompt)["input_ids"]
            check(model, answer, ids, one(model, ids, 12), name)


def test_min_p_top_k_and_top_p_keep_what_transformers_keeps(tmp_path):
    """The tokens that can be drawn at all are those that transformers' processors leave; each about as often as it should be."""
    folder = tmp_path / "m"
    model, tok = save(folder, "llama", "f32")
    with torch.no_grad():
        model.lm_head.weight *= 0.15  # a flat choice
    model.save_pretrained(folder)
    ids, n = tok("The quick")["input_ids"], 1600
    with torch.no_grad():
        z = model(torch.tensor([ids])).logits[:, -1]
    cases = [dict(top_k=5, temperature=1.0), dict(top_p=0.4, temperature=0.8), dict(min_p=0.3, temperature=1.3), dict(top_k=30, top_p=0.7, min_p=0.1, temperature=1.1), dict(top_k=20, temperature=0.9, repetition_penalty=1.5)]
    got = made(script(tmp_path / "home", ask(folder, ["{%s, prompt = 'The quick', num_return_sequences = %d, max_new_tokens = 1, seed = 9}" % (", ".join(f"{k} = {v}" for k, v in c.items()), n) for c in cases], ', {dtype = "f32"}')))
    w = transformers
    for case, answers in zip(cases, got):
        x = z.clone()
        if "repetition_penalty" in case:
            x = w.RepetitionPenaltyLogitsProcessor(case["repetition_penalty"])(torch.tensor([ids]), x)
        x = x / case["temperature"]
        for key, warper in (("top_k", w.TopKLogitsWarper), ("top_p", w.TopPLogitsWarper), ("min_p", w.MinPLogitsWarper)):
            if key in case:
                x = warper(case[key])(torch.tensor([ids]), x)
        p = torch.softmax(x[0].double(), -1)
        counts = torch.bincount(torch.tensor([a["ids"][0] for a in answers]), minlength=384)
        assert counts[p == 0].sum() == 0, case
        assert ((counts - n * p).abs() <= 5 * (n * p * (1 - p)).sqrt() + 3).all(), case
