"""Conversations as training data: what transformers' chat templates mark as the assistant's, and what trl learns of it."""
import json
import shutil

import pytest

from lacus import script
from test_train import home, model  # noqa: F401 (fixtures)

torch = pytest.importorskip("torch")
MARKED = ("{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}<assistant>{% generation %}{{ m['content'] }}{{ eos_token }}{% endgeneration %}"
          "{% else %}<{{ m['role'] }}>{{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}")
TEMPLATES = [
    MARKED,
    # white space control, text behind a turn, an empty mark, a mark in a mark
    "{%- for m in messages %}\n  {{- m.role }}: {% if m.role == 'assistant' -%} {%- generation -%} {{ m.content }} {%- endgeneration -%} {% else %}{{ m.content }}{% endif %}\n{% endfor %}",
    "{% for m in messages %}{{ m.role }}{% generation %}{% endgeneration %}{{ m.content }}{% generation %}ü{% generation %}é{{ m.role }}{% endgeneration %}{% endgeneration %}|{% endfor %}",
    # in a macro: transformers finds it where the whole text ended before; what is set inside is gone behind it
    # (the beginning: transformers takes a mark that ends in the first token for one without an end)
    "{{ bos_token }}{% macro say(m) %}[{{ m.role }}] {% generation %}{% set x = 1 %}{{ m.content }}{% endgeneration %}{% endmacro %}{% for m in messages %}{{ say(m) }}{{ x is defined }}{% endfor %}",
]
TALKS = [
    [{"role": "user", "content": "one tool?"}, {"role": "assistant", "content": " library"}, {"role": "user", "content": "größer"}, {"role": "assistant", "content": "ja, 日本 game"}],
    [{"role": "system", "content": "be brief"}, {"role": "user", "content": "two"}, {"role": "assistant", "content": "manual shell driver"}],
    [{"role": "user", "content": "x"}, {"role": "assistant", "content": "font"}, {"role": "assistant", "content": "editor"}, {"role": "user", "content": "not learned"}],
]


def lua(value):
    if isinstance(value, dict):
        return "{%s}" % ", ".join(f'["{k}"] = {lua(v)}' for k, v in value.items())
    return "{%s}" % ", ".join(map(lua, value)) if isinstance(value, list) else json.dumps(value, ensure_ascii=False)


@pytest.fixture
def marked(model, tmp_path):  # noqa: F811
    import transformers

    folder = shutil.copytree(model, tmp_path / "marked")
    tok = transformers.AutoTokenizer.from_pretrained(folder)
    tok.chat_template = MARKED
    tok.save_pretrained(folder)
    return folder, tok, transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_the_mask_is_that_of_transformers(home, marked):  # noqa: F811
    folder, tok, _ = marked
    printed = script(home, f"""
local tok = llm.tokenizer("{folder}")
for _, template in ipairs{lua(TEMPLATES)} do
  for _, talk in ipairs{lua(TALKS)} do
    print(json.encode(tok:apply_chat_template(talk, {{chat_template = template, tokenize = true, return_dict = true, return_assistant_tokens_mask = true}})))
  end
end
print(pcall(tok.apply_chat_template, tok, {lua(TALKS[0])}, {{chat_template = "{{{{ messages[0].content }}}}", tokenize = true, return_dict = true, return_assistant_tokens_mask = true}}))
print(pcall(tok.apply_chat_template, tok, {lua(TALKS[0])}, {{return_assistant_tokens_mask = true}}))
""").splitlines()
    for line, (template, talk) in zip(printed, [(a, b) for a in TEMPLATES for b in TALKS]):
        want = tok.apply_chat_template(talk, chat_template=template, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
        assert json.loads(line) == {name: want[name] for name in ("input_ids", "attention_mask", "assistant_masks")}, (template, talk)
    assert "the chat template does not say which tokens are the assistant's" in printed[-2]
    assert "needs return_dict = true and tokenize = true" in printed[-1]


def masked_loss(net, rows):
    """Of one batch of (ids, labels): over all its labels, as Trainer's eval_loss."""
    total = count = 0
    for ids, labels in rows:
        labels = torch.tensor([labels])
        n = int((labels[:, 1:] != -100).sum())
        with torch.no_grad():
            total += net(input_ids=torch.tensor([ids]), labels=labels).loss.item() * n
        count += n
    return total / count


def labels_of(tok, talk, prompt=0):
    got = tok.apply_chat_template(talk, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    return got["input_ids"], [i if m and at >= prompt else -100 for at, (i, m) in enumerate(zip(got["input_ids"], got["assistant_masks"]))]


def loss_before(home, folder, rows, out, how="assistant_only_loss = true"):  # noqa: F811
    return float(script(home, f"""
local rows = {rows}
print("BEFORE", llm.finetune{{model = "{folder}", train_dataset = rows, eval_dataset = rows, output_dir = "{out}",
  args = {{max_steps = 1, {how}}}}}:wait():result().eval_loss_before)""").split("BEFORE")[1])


def test_all_turns_of_the_assistant_are_learned(home, marked, tmp_path):  # noqa: F811
    folder, tok, net = marked
    rows = lua([{"messages": t} for t in TALKS])
    want = masked_loss(net, [labels_of(tok, t) for t in TALKS])
    assert loss_before(home, folder, rows, tmp_path / "out") == pytest.approx(want, abs=1e-5)
    printed = script(home, f"""
local rows = {rows}
local t = Trainer{{model = "{folder}", train_dataset = rows, eval_dataset = rows, args = {{max_steps = 1, assistant_only_loss = true, output_dir = "{tmp_path}/trainer"}}}}
print("LOSS", t:evaluate().eval_loss)
t:train()
print("LOSS", t.job:result().eval_loss_before)
""")
    assert [float(line.split("\t")[1]) for line in printed.splitlines() if line.startswith("LOSS")] == pytest.approx([want, want], abs=1e-5)


@pytest.mark.parametrize("how", ["assistant_only_loss = true", "assistant_only_loss = true, completion_only_loss = false", "completion_only_loss = true", "completion_only_loss = false", ""])
def test_a_prompt_and_a_completion_of_messages(home, marked, how, tmp_path):  # noqa: F811
    folder, tok, net = marked
    pairs = [(TALKS[0][:3], TALKS[0][3:]), (TALKS[1][:2], TALKS[1][2:])]
    want = []
    for prompt, completion in pairs:
        begin = len(tok.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)) if "false" not in how else 0
        ids, labels = labels_of(tok, prompt + completion, begin)
        want.append((ids, labels if "assistant" in how else [-100] * begin + ids[begin:]))
    rows = lua([{"prompt": p, "completion": c} for p, c in pairs])
    assert loss_before(home, folder, rows, tmp_path / "out", how) == pytest.approx(masked_loss(net, want), abs=1e-5)


def test_of_a_prompt_and_a_completion_the_completion_is_learned(home, model, tmp_path):  # noqa: F811
    """trl's default, wherever a loss is computed; of texts and of columns with other names all tokens are learned."""
    import transformers

    net, tok = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), transformers.AutoTokenizer.from_pretrained(model)
    pairs = [("one tool?", " library"), ("two games, please:", " manual shell")]
    ids = [(tok(p).input_ids, tok(c).input_ids + [tok.eos_token_id]) for p, c in pairs]
    answers, whole = masked_loss(net, [(p + c, [-100] * len(p) + c) for p, c in ids]), masked_loss(net, [(p + c, p + c) for p, c in ids])
    rows = lua([{"prompt": p, "completion": c} for p, c in pairs])
    printed = script(home, f"""
local rows, o = {rows}, {{}}
local function before(more)
  local o = {{model = "{model}", train_dataset = rows, eval_dataset = rows, output_dir = "{tmp_path}/out", args = {{max_steps = 1}}}}
  for k, v in pairs(more) do o[k] = v end
  return llm.finetune(o):wait():result().eval_loss_before
end
local df = spark:createDataFrame(rows)
local trainer = Trainer{{model = "{model}", train_dataset = rows, eval_dataset = Dataset(rows), args = {{output_dir = "{tmp_path}/t", max_steps = 1}}}}
print("ANSWERS", before{{}}, before{{train_dataset = df, eval_dataset = df}}, llm.evaluate{{model = "{model}", dataset = rows}}.eval_loss, trainer:evaluate().eval_loss)
local other = {{}}
for i, r in ipairs(rows) do other[i] = {{prompt = r.prompt, response = r.completion}} end
print("WHOLE", before{{completion_only = false}}, before{{train_dataset = other, eval_dataset = other}},
  before{{template = "{{prompt}}{{completion}}", response_column = "completion"}}, llm.evaluate{{model = "{model}", dataset = rows, completion_only = false}}.eval_loss)
""")
    for name, want in (("ANSWERS", answers), ("WHOLE", whole)):
        got = next(line for line in printed.splitlines() if line.startswith(name)).split("\t")[1:]
        assert [float(x) for x in got] == pytest.approx([want] * 4, abs=1e-5), name


@pytest.fixture
def blank(tmp_path):
    """A Llama whose tokenizer is of Llama 2's kind: byte fallback, and a blank in front of each text."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers

    from test_train import ROWS

    raw = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    raw.train_from_iterator([r["q"] + r["a"] for r in ROWS], trainers.BpeTrainer(vocab_size=400, show_progress=False, special_tokens=["<s>", "</s>", "<unk>"] + [f"<0x{i:02X}>" for i in range(256)]))
    raw.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tok = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    tok.chat_template = ("{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
                         "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}")
    folder = tmp_path / "blank"
    tok.save_pretrained(folder)
    torch.manual_seed(0)
    net = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=len(tok), hidden_size=48, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, initializer_range=0.3,
                                                                 num_key_value_heads=2, max_position_embeddings=256, bos_token_id=0, eos_token_id=1, pad_token_id=1))
    net.save_pretrained(folder)
    return folder, tok, net.eval()


def test_a_completion_goes_on_without_a_blank_of_its_own(home, blank, tmp_path):
    """Tokens are those of prompt and completion as one text, as trl has them, in training, evaluation and choices."""
    folder, tok, net = blank
    pairs = [("Which section does package 3 belong to?", " tool"), ("Answer: ", "game library"), ("package:", "font"), ("of\n\n", "editor\nshell")]

    def joint(prompt, completion, end=True):
        alone, both = tok(prompt).input_ids, tok(prompt + completion).input_ids + [tok.eos_token_id] * end
        same = next(i for i in range(len(both) + 1) if alone[:i + 1] != both[:i + 1] or i == len(alone))
        return both, [-100] * same + both[same:]

    texts = [{"prompt": p, "completion": c} for p, c in pairs]
    talks = [{"prompt": [{"role": "user", "content": p}], "completion": [{"role": "assistant", "content": c.strip()}]} for p, c in pairs]
    spoken = [(tok.apply_chat_template(t["prompt"], tokenize=False), tok.apply_chat_template(t["prompt"] + t["completion"], tokenize=False)) for t in talks]
    # the template writes <s> and </s>: they are the text's, nothing is added
    want_talks = []
    for alone, both in spoken:
        a, b = (tok(x, add_special_tokens=False).input_ids for x in (alone, both))
        assert b[:len(a)] == a
        want_talks.append((b, [-100] * len(a) + b[len(a):]))
    choices = [" tool", " game", "font", " editor shell"]
    printed = script(home, f"""
local function before(rows)
  return llm.finetune{{model = "{folder}", train_dataset = rows, eval_dataset = rows, output_dir = "{tmp_path}/out", args = {{max_steps = 1}}}}:wait():result().eval_loss_before
end
print("LOSS", before({lua(texts)}), before({lua(talks)}), llm.evaluate{{model = "{folder}", dataset = {lua(texts)}}}.eval_loss)
for _, p in ipairs(llm.predict{{model = "{folder}", prompts = {lua([p for p, _ in pairs[:1]])}, choices = {lua(choices)}}}) do print("PICK", p.text, p.logprob) end
""")
    got = [float(x) for x in next(x for x in printed.splitlines() if x.startswith("LOSS")).split("\t")[1:]]
    text = masked_loss(net, [joint(p, c) for p, c in pairs])
    assert got == pytest.approx([text, masked_loss(net, want_talks), text], abs=1e-5)

    def score(choice):
        ids, labels = joint(pairs[0][0], choice)
        with torch.no_grad():
            logp = net(torch.tensor([ids])).logits[0].log_softmax(-1)
        return sum(logp[i - 1, t].item() for i, t in enumerate(labels) if t != -100)

    picked, logprob = next(x for x in printed.splitlines() if x.startswith("PICK")).split("\t")[1:]
    assert picked == max(choices, key=score) and float(logprob) == pytest.approx(score(picked), abs=1e-3)


TOOLED = ("{{ bos_token }}{% if tools %}<tools>{{ tools | tojson }}{% endif %}{% if brief %}<brief>{% endif %}{% for m in messages %}<{{ m['role'] }}>"
          "{% generation %}{{ m['content'] }}{% endgeneration %}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}")
TOOL = {"type": "function", "function": {"name": "look", "description": "looks"}}


@pytest.mark.parametrize("how", ["assistant_only_loss = true", ""])
@pytest.mark.parametrize("as_text", [False, True])
def test_tools_and_template_options_of_a_row(home, marked, how, as_text, tmp_path):  # noqa: F811
    """trl's columns, which its template reads."""
    folder, tok, net = marked
    tok.chat_template = TOOLED
    tok.save_pretrained(folder)
    talk = TALKS[0][:2]
    got = tok.apply_chat_template(talk, tools=[TOOL], brief=True, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    labels = [i if m or not how else -100 for i, m in zip(got["input_ids"], got["assistant_masks"])]
    rows = lua([{"messages": talk, "tools": json.dumps([TOOL]) if as_text else [TOOL], "chat_template_kwargs": {"brief": True}}])
    assert loss_before(home, folder, rows, tmp_path / "out", how) == pytest.approx(masked_loss(net, [(got["input_ids"], labels)]), abs=1e-5)


def test_a_batch_without_labels_says_nothing(home, model, tmp_path):  # noqa: F811
    import transformers
    from test_engine import collate

    g = torch.Generator().manual_seed(1)
    rows = [dict(input_ids=torch.randint(3, 300, (n,), generator=g).tolist()) for n in (5, 7, 9, 6, 8)]
    for i, row in enumerate(rows):
        row.update(attention_mask=[1] * len(row["input_ids"]), labels=[-100] * len(row["input_ids"]) if i in (2, 3) else row["input_ids"])
    args = transformers.TrainingArguments(output_dir=str(tmp_path / "hf"), report_to=[], disable_tqdm=True, use_cpu=True, per_device_eval_batch_size=2)
    net = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    want = transformers.Trainer(model=net, args=args, eval_dataset=rows, data_collator=collate).evaluate()["eval_loss"]
    printed = script(home, f"""
local rows = {lua(rows)}
print("LOSS", llm.evaluate{{model = "{model}", dataset = rows, batch_size = 2}}.eval_loss)
print("LOSS", Trainer{{model = "{model}", args = {{per_device_eval_batch_size = 2}}}}:evaluate(rows).eval_loss)
print(pcall(llm.evaluate, {{model = "{model}", dataset = {{rows[3]}}}}))
""")
    assert [float(line.split("\t")[1]) for line in printed.splitlines() if line.startswith("LOSS")] == pytest.approx([want, want], abs=1e-5)
    assert "no row of the dataset carries a label" in printed


def test_predictions_are_those_of_whole_batches(home, model, tmp_path):  # noqa: F811
    """LongRoPE's frequencies follow the longest row of a batch; here it goes in parts, since logits take memory."""
    import transformers
    from test_engine import collate

    folder = shutil.copytree(model, tmp_path / "long")
    config = json.loads((folder / "config.json").read_text())
    config["rope_parameters"] = dict(rope_type="longrope", rope_theta=100.0, short_factor=[1.0] * 8, long_factor=[9.0 + i for i in range(8)], original_max_position_embeddings=100)
    (folder / "config.json").write_text(json.dumps(config))
    g = torch.Generator().manual_seed(2)
    rows = [dict(input_ids=torch.randint(3, 300, (n,), generator=g).tolist()) for n in (40, 200, 60, 50, 30, 45)]
    for row in rows:
        row.update(attention_mask=[1] * len(row["input_ids"]), labels=row["input_ids"])
    net = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        net.model.embed_tokens.weight.mul_(30)  # so that positions matter
        for layer in net.model.layers:
            layer.self_attn.q_proj.weight.mul_(20)
            layer.self_attn.o_proj.weight.mul_(30)
    net.save_pretrained(folder)
    want = []
    for at in (0, 4):
        batch = collate(rows[at:at + 4])
        with torch.no_grad():
            best = net(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.argmax(-1).tolist()
        want += [b[:len(r["input_ids"])] for b, r in zip(best, rows[at:at + 4])]
    with torch.no_grad():
        alone = net(input_ids=torch.tensor([rows[0]["input_ids"]])).logits.argmax(-1)[0].tolist()
    printed = script(home, f"""print("ROWS" .. require("json").encode(Trainer{{model = "{folder}", args = {{per_device_eval_batch_size = 4}}}}:predict({lua(rows)}).predictions))""")
    got = json.loads(printed.split("ROWS")[1])
    right = [a == b for x, y in zip(got, want) for a, b in zip(x, y)]
    assert sum(right) >= 0.99 * len(right) and sum(a == b for a, b in zip(alone, want[0])) < 0.9 * len(alone)


def test_what_has_no_assistant_is_refused(home, marked, model):  # noqa: F811
    folder, _, _ = marked
    cases = [(model, {"messages": TALKS[0]}, "the chat template does not say which tokens are the assistant's"),
             (folder, {"messages": TALKS[0][:1]}, "nothing in the conversation of row 1 is the assistant's"),
             (folder, {"text": "no conversation"}, "assistant_only_loss is for conversations, and row 1 of train_dataset is none"),
             (folder, {"prompt": TALKS[0], "response": "x"}, "'prompt' of row 1 is a list, not a text")]
    for place, row, message in cases:
        args = "{}" if "response" in row else "{assistant_only_loss = true}"
        assert message in script(home, f"""print(select(2, pcall(llm.finetune, {{model = "{place}", train_dataset = {{{lua(row)}}}, args = {args}}})))""")
    assert "not of preferences" in script(home, f"""print(select(2, pcall(llm.dpo, {{model = "{folder}", train_dataset = {{}}, args = {{assistant_only_loss = true}}}})))""")
