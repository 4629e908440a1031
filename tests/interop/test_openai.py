"""What an openai client asks of `lacus serve` beside a text: log-probabilities, echo, bias, penalties, several adapters. The values are those of transformers and peft."""
import concurrent.futures
import json
import pathlib
import re
import time
import subprocess

import openai
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, LlamaForCausalLM

from test_serving import LACUS, Server, greedy, make_model

PROMPT = "The quick brown fox"
EOS = 379
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    model = make_model(folder)
    return folder, model, AutoTokenizer.from_pretrained(folder)


ADAPTERS = {"law": dict(r=4, lora_alpha=32, target_modules=["q_proj", "v_proj"]), "med": dict(r=8, lora_alpha=16, use_rslora=True, target_modules="all-linear"),
            "code": dict(r=2, lora_alpha=8, target_modules=["down_proj", "lm_head", "embed_tokens"], rank_pattern={"down_proj": 3})}


@pytest.fixture(scope="module")
def adapters(place, tmp_path_factory):
    """Folders of peft, and peft's models."""
    root, out = tmp_path_factory.mktemp("adapters"), {}
    for seed, (name, how) in enumerate(ADAPTERS.items()):
        torch.manual_seed(seed)
        model = get_peft_model(LlamaForCausalLM.from_pretrained(place[0]), LoraConfig(init_lora_weights=False, **how)).eval()
        model.save_pretrained(root / name)
        out[name] = (root / name, model)
    return out


@pytest.fixture(scope="module")
def server(place, adapters, tmp_path_factory):
    s = Server(place[0], tmp_path_factory.mktemp("home"), "--name", "tiny", *[x for name in adapters for x in ("--adapter", f"{name}={adapters[name][0]}")])
    yield s
    assert s.stop() == 0


def log_softmax(model, ids):
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1)


def token_bytes(tok, i):
    """The bytes that a token stands for, from the tokenizers library."""
    text = tok.convert_ids_to_tokens(i)
    if i in tok.all_special_ids:
        return text.encode()
    from transformers.convert_slow_tokenizer import bytes_to_unicode
    back = {v: k for k, v in bytes_to_unicode().items()}
    return bytes(back[c] for c in text)


def chat_text(raw):
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(f"\\x{b:02x}" for b in raw)


def check_chat_token(tok, got, want_id, logp, k):
    raw = token_bytes(tok, want_id)
    assert bytes(got.bytes) == raw and got.token == chat_text(raw)
    assert got.logprob == pytest.approx(logp[want_id].item(), abs=1e-4)
    assert len(got.top_logprobs) == k
    values, ids = logp.topk(k)
    assert [t.logprob for t in got.top_logprobs] == pytest.approx(values.tolist(), abs=1e-4)
    assert [bytes(t.bytes) for t in got.top_logprobs] == [token_bytes(tok, i) for i in ids.tolist()]


def test_chat_logprobs_are_those_of_transformers(server, place):
    folder, model, tok = place
    client, messages = server.client(), [{"role": "user", "content": "naïve 日本"}]
    ids = tok.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
    want = greedy(place, ids, 24)
    logp = log_softmax(model, ids + want)[len(ids) - 1:]
    got = client.chat.completions.create(model="tiny", messages=messages, max_completion_tokens=24, temperature=0, logprobs=True, top_logprobs=5)
    entries = got.choices[0].logprobs.content
    assert len(entries) == len(want) == got.usage.completion_tokens
    for entry, i, row in zip(entries, want, logp):
        check_chat_token(tok, entry, i, row, 5)
    special = [list(t.encode()) for t in ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>", "<pad>")]
    assert b"".join(bytes(e.bytes) for e in entries if e.bytes not in special).decode(errors="replace") == got.choices[0].message.content
    chunks = list(client.chat.completions.create(model="tiny", messages=messages, max_completion_tokens=24, temperature=0, logprobs=True, top_logprobs=5, stream=True))
    streamed = [e for c in chunks for choice in c.choices if choice.logprobs for e in choice.logprobs.content]
    assert [e.model_dump() for e in streamed] == [e.model_dump() for e in entries]
    assert client.chat.completions.create(model="tiny", messages=messages, max_tokens=3, temperature=0).choices[0].logprobs is None
    none = client.chat.completions.create(model="tiny", messages=messages, max_tokens=3, temperature=0, logprobs=True)
    assert [t.top_logprobs for t in none.choices[0].logprobs.content] == [[], [], []]


def test_sampled_tokens_carry_the_models_own_probability(server, place):
    """Temperature, penalties and bias choose another token; its logprob is that of the model."""
    folder, model, tok = place
    client = server.client()
    how = dict(temperature=1.7, seed=11, top_p=0.9, frequency_penalty=0.5, logit_bias={"40": 5}, logprobs=3, max_tokens=30)
    got = client.completions.create(model="tiny", prompt=PROMPT, **how)
    again = client.completions.create(model="tiny", prompt=PROMPT, **how)
    assert again.choices[0].text == got.choices[0].text, "the same seed"
    l = got.choices[0].logprobs
    ids = tok(PROMPT)["input_ids"]
    names = {chat_text(token_bytes(tok, i)).replace("\\x", "bytes:\\x", 1).replace("\0", "bytes:\\x00"): i for i in range(384) if tok.convert_ids_to_tokens(i) is not None}
    for token, logprob, top in zip(l.tokens, l.token_logprobs, l.top_logprobs):
        logp = log_softmax(model, ids)[-1]
        assert logprob == pytest.approx(logp[names[token]].item(), abs=1e-4)
        likely = {i for i in logp.topk(3)[1].tolist()} | {names[token]}
        assert {names[t] for t in top} == likely
        for t, v in top.items():
            assert v == pytest.approx(logp[names[t]].item(), abs=1e-4)
        ids.append(names[token])
    assert len(l.tokens) == got.usage.completion_tokens == len(l.text_offset)


def test_echo_scores_a_prompt(server, place):
    """What lm-evaluation-harness asks: the log-probabilities of a text, without or with one new token."""
    folder, model, tok = place
    client = server.client()
    texts = ["The quick brown fox jumps over the lazy dog. " * 4, "def f(x):\n    return x", "日本語 naïve"]
    whole = client.completions.create(model="tiny", prompt=texts, max_tokens=0, echo=True, logprobs=2, temperature=0)
    for text, choice in zip(texts, whole.choices):
        ids = tok(text)["input_ids"]
        logp = log_softmax(model, ids)
        l = choice.logprobs
        assert choice.text == text and choice.finish_reason == "length"
        assert l.token_logprobs[0] is None and l.top_logprobs[0] is None and len(l.tokens) == len(ids)
        assert l.token_logprobs[1:] == pytest.approx([logp[k, i].item() for k, i in enumerate(ids[1:])], abs=1e-4)
        for k, top in enumerate(l.top_logprobs[1:]):
            assert max(top.values()) == pytest.approx(logp[k].max().item(), abs=1e-4)
        offsets = [s for s, e in tok(text, return_offsets_mapping=True)["offset_mapping"]]
        assert l.text_offset == offsets or (not text.isascii() and l.text_offset == sorted(l.text_offset)), "characters, as Python counts them"
    assert whole.usage.completion_tokens == 0
    ids = tok(texts[0])["input_ids"]
    for stream in (False, True):
        got = client.completions.create(model="tiny", prompt=ids, max_tokens=3, echo=True, logprobs=1, temperature=0, stream=stream)
        chunks = list(got) if stream else [got]
        tokens = [t for c in chunks for x in c.choices if x.logprobs for t in x.logprobs.tokens]
        logprobs = [t for c in chunks for x in c.choices if x.logprobs for t in x.logprobs.token_logprobs]
        text = "".join(x.text for c in chunks for x in c.choices)
        want = greedy(place, ids, 3)
        logp = log_softmax(model, ids + want)
        assert len(tokens) == len(ids) + len(want) and logprobs[1:] == pytest.approx([logp[k, i].item() for k, i in enumerate((ids + want)[1:])], abs=1e-4)
        assert text == texts[0] + tok.decode(want, skip_special_tokens=True)


def test_bias_and_penalties_change_the_choice_as_stated(server, place):
    folder, model, tok = place
    client = server.client()
    ids = tok(PROMPT)["input_ids"]

    def loop(n, change):
        made = []
        for _ in range(n):
            with torch.no_grad():
                z = model(torch.tensor([ids + made])).logits[0, -1].double()
            made.append(int(change(z, made).argmax()))
            if made[-1] == EOS:
                break
        return tok.decode(made, skip_special_tokens=True)

    def counted(frequency, presence):
        def change(z, made):
            n = torch.bincount(torch.tensor(made, dtype=torch.long), minlength=len(z)).double()
            return z - frequency * n - presence * (n > 0)
        return change

    def biased(z, made):
        z = z.clone()
        z[65] += 100
        return z
    ask = lambda **how: client.completions.create(model="tiny", prompt=PROMPT, max_tokens=20, temperature=0, **how).choices[0].text
    assert ask(frequency_penalty=1.5) == loop(20, counted(1.5, 0))
    assert ask(presence_penalty=2) == loop(20, counted(0, 2))
    assert ask(frequency_penalty=-1, presence_penalty=-0.5) == loop(20, counted(-1, -0.5)) != ask()
    assert ask(logit_bias={"65": 100}) == loop(20, biased)
    banned = tok.convert_ids_to_tokens(greedy(place, ids, 1)[0])
    assert ask(logit_bias={str(tok.convert_tokens_to_ids(banned)): -100}) != ask()


def test_n_answers_have_their_own_tokens_and_are_counted_once(server, place):
    client = server.client()
    ids = place[2](PROMPT)["input_ids"]
    got = client.completions.create(model="tiny", prompt=PROMPT, n=4, max_tokens=6, temperature=1, seed=3, logprobs=0)
    assert [c.index for c in got.choices] == [0, 1, 2, 3] and len({c.text for c in got.choices}) > 1
    assert got.usage.prompt_tokens == len(ids) and got.usage.completion_tokens == sum(len(c.logprobs.tokens) for c in got.choices)
    two = client.completions.create(model="tiny", prompt=[PROMPT, "x"], n=2, max_tokens=2, temperature=1, seed=3)
    assert two.usage.prompt_tokens == len(ids) + len(place[2]("x")["input_ids"])


BAD = [
    ({"logprobs": -1}, "logprobs", "between 0 and 20"), ({"logprobs": "yes"}, "logprobs", "whole number"), ({"echo": 1}, "echo", "true or false"), ({"stream": "yes"}, "stream", "true or false"),
    ({"logit_bias": {"99999": 1}}, "logit_bias", "token id"), ({"logit_bias": {"a": 1}}, "logit_bias", "token id"), ({"logit_bias": {"1": 101}}, "logit_bias", "-100 and 100"), ({"logit_bias": [1]}, "logit_bias", "object"),
    ({"frequency_penalty": 3}, "frequency_penalty", "between -2 and 2"), ({"stream_options": {"include_usage": True}}, "stream_options", "needs 'stream'"), ({"best_of": 3}, "best_of", "must be 1"),
    ({"suffix": "x"}, "suffix", "not supported"), ({"max_token": 3}, "max_token", "did you mean 'max_tokens'"), ({"model": 5}, "model", "must be a text"), ({"max_tokens": 0}, "max_tokens", "at least 1"),
    ({"max_tokens": 1.5}, "max_tokens", "whole number"), ({"seed": "x"}, "seed", "whole number"), ({"n": 1000}, "n", "answers"), ({"response_format": {"type": "json_schema"}}, "response_format", "text"),
]


@pytest.mark.parametrize("extra, param, words", BAD)
def test_wrong_fields_are_named_in_openais_shape(server, extra, param, words):
    status, got = server.ask("/v1/completions", {"prompt": "a", "max_tokens": 1, **extra})
    assert status == 400 and got["error"]["type"] == "invalid_request_error" and got["error"]["param"] == param and words in got["error"]["message"]


def test_chat_fields_that_are_not_here_are_refused_by_name(server):
    chat = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    for extra, param in (({"top_logprobs": 3}, "top_logprobs"), ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"), ({"logprobs": 1}, "logprobs"), ({"tools": [{"type": "function"}]}, "tools"),
                         ({"tool_choice": "required"}, "tool_choice"), ({"response_format": {"type": "json_object"}}, "response_format"), ({"audio": {"voice": "x"}}, "audio"), ({"reasoning": 1}, "reasoning")):
        status, got = server.ask("/v1/chat/completions", {**chat, **extra})
        assert status == 400 and got["error"]["param"] == param, got
    ok = {"user": "me", "store": False, "metadata": {"a": "b"}, "tools": [], "tool_choice": "none", "response_format": {"type": "text"}, "logit_bias": None, "stop": None, "n": 1, "presence_penalty": 0}
    assert server.ask("/v1/chat/completions", {**chat, **ok})[0] == 200
    with pytest.raises(openai.BadRequestError) as e:
        server.client().chat.completions.create(model="tiny", messages=chat["messages"], tools=[{"type": "function", "function": {"name": "f"}}])
    assert e.value.param == "tools"


# ---- adapters ----
def adapted(place, adapters, name, ids, n):
    """Greedy tokens and their log-probabilities, from peft."""
    model = adapters[name][1] if name in adapters else place[1]
    with torch.no_grad():
        out = model.generate(input_ids=torch.tensor([ids]), max_new_tokens=n, do_sample=False, eos_token_id=EOS, pad_token_id=383)[0, len(ids):].tolist()
    logp = log_softmax(model, ids + out)
    return out, [logp[len(ids) - 1 + k, i].item() for k, i in enumerate(out)]


def test_each_request_names_its_adapter(server, place, adapters):
    tok, client = place[2], server.client()
    listed = client.models.list().data
    assert [m.id for m in listed] == ["tiny", "law", "med", "code"]
    assert [getattr(m, "parent") for m in listed] == [None, "tiny", "tiny", "tiny"] and listed[1].root == str(adapters["law"][0])
    assert client.models.retrieve("med").id == "med"
    ids, texts = tok(PROMPT)["input_ids"], set()
    for name in ("tiny", *adapters):
        want, logprobs = adapted(place, adapters, name, ids, 16)
        got = client.completions.create(model=name, prompt=PROMPT, max_tokens=16, temperature=0, logprobs=1)
        assert got.model == name and got.choices[0].text == tok.decode(want, skip_special_tokens=True)
        assert got.choices[0].logprobs.token_logprobs == pytest.approx(logprobs, abs=1e-4)
        status, scored = server.ask(f"/serving-endpoints/{name}/invocations", {"inputs": [PROMPT], "params": {"max_tokens": 16, "temperature": 0}})
        assert (status, scored["predictions"]) == (200, [got.choices[0].text])
        texts.add(got.choices[0].text)
    assert len(texts) == 4, "the adapters do nothing"
    with pytest.raises(openai.NotFoundError, match="'tiny', 'law', 'med', 'code' are"):
        client.completions.create(model="tax", prompt="a")


def test_a_batch_may_mix_adapters(server, place, adapters):
    """Many at once, of all adapters and lengths, each with the tokens and probabilities it has in peft."""
    tok, client = place[2], server.client()
    names, prompts = ("tiny", *adapters), ["words " * (1 + 5 * k) for k in range(5)]
    cases = [(names[i % 4], prompts[i % 5], 3 + i % 7) for i in range(40)]

    def one(case):
        name, prompt, n = case
        return client.completions.create(model=name, prompt=prompt, max_tokens=n, temperature=0, logprobs=0).choices[0]
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(one, cases))
    for (name, prompt, n), got in zip(cases, answers):
        want, logprobs = adapted(place, adapters, name, tok(prompt)["input_ids"], n)
        assert got.text == tok.decode(want, skip_special_tokens=True)
        assert got.logprobs.token_logprobs == pytest.approx(logprobs, abs=1e-4)


def test_adapters_that_cannot_be_kept_are_refused_at_the_start(place, adapters, tmp_path):
    torch.manual_seed(1)
    for name, how, words in (("dora", dict(use_dora=True), "DoRA"), ("saved", dict(modules_to_save=["lm_head"]), "lm_head"), ("biased", None, "law"), ("nowhere", None, "nowhere"), ("tiny", None, "called like the model")):
        if how:
            get_peft_model(LlamaForCausalLM.from_pretrained(place[0]), LoraConfig(r=2, target_modules=["q_proj"], **how)).save_pretrained(tmp_path / name)
        given = {"biased": ["--adapter", f"law={adapters['law'][0]}", "--adapter", f"law={adapters['law'][0]}"], "tiny": ["--adapter", f"tiny={adapters['law'][0]}"]}.get(name, ["--adapter", f"x={tmp_path / name}"])
        done = subprocess.run([LACUS, "serve", place[0], "--port", "0", "--name", "tiny", *given], env={"LACUS_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and words in done.stderr, (name, done.stderr)


# ---- many clients, and some that go ----
def resident(server):
    """MiB."""
    text = (pathlib.Path("/proc") / str(server.process.pid) / "status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


def test_fifty_clients_at_once_some_of_which_hang_up(server, place):
    """All who wait get what they would get alone; those who leave in mid-stream hold nothing back; memory does not grow from round to round."""
    client = server.client()
    prompts = [f"prompt {k} " * (1 + k) for k in range(5)]
    alone = [client.completions.create(model="tiny", prompt=p, max_tokens=24, temperature=0).choices[0].text for p in prompts]

    def one(i):
        stream = client.completions.create(model="tiny", prompt=prompts[i % 5], max_tokens=24 if i % 3 else 180, temperature=0, stream=True)
        text = ""
        for chunk in stream:
            text += chunk.choices[0].text
            if i % 3 == 0 and len(text) > 5:
                stream.close()
                return None
        return text
    sizes = []
    for _ in range(3):
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            got = list(pool.map(one, range(50)))
        for i, text in enumerate(got):
            assert i % 3 == 0 or text == alone[i % 5]
        sizes.append(resident(server))
    assert sizes[2] - sizes[0] < 32, sizes
    started = time.monotonic()
    assert client.completions.create(model="tiny", prompt="x", max_tokens=1).usage.completion_tokens == 1
    assert time.monotonic() - started < 20, "what was left is still being made"


def test_a_full_queue_and_a_prompt_without_room_are_said(server, place):
    status, got = server.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": "words " * 400}]})
    assert status == 400 and got["error"]["code"] == "context_length_exceeded" and got["error"]["param"] == "messages" and "256" in got["error"]["message"]
    for path, body in (("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}), ("/v1/completions", {"prompt": "x"}), ("/v1/completions", {"prompt": "x", "echo": True})):
        status, got = server.ask(path, {**body, "max_tokens": 256})
        room = int(got["error"]["message"].rpartition("at most ")[2])
        assert status == 400 and got["error"]["code"] == "context_length_exceeded" and "max_tokens asks for 256 more" in got["error"]["message"]
        status, got = server.ask(path, {**body, "max_tokens": room, "temperature": 0, "logit_bias": {"379": -100}})
        assert status == 200 and got["choices"][0]["finish_reason"] == "length" and got["usage"]["completion_tokens"] == room
        assert got["usage"]["total_tokens"] == 256
    long = "word " * 42
    got = server.ask("/v1/completions", {"prompt": long, "temperature": 0, "logit_bias": {"379": -100}})[1]  # 16, which nobody asked for, may be less
    assert got["usage"]["total_tokens"] <= 256 and got["choices"][0]["finish_reason"] == "length"
    with concurrent.futures.ThreadPoolExecutor(110) as pool:
        answers = list(pool.map(lambda i: server.ask("/v1/completions", {"prompt": "a", "max_tokens": 60, "temperature": 1, "seed": i, "n": 4}), range(110)))
    assert {status for status, _ in answers} <= {200, 429}
    for status, got in answers:
        if status == 429:
            assert got["error"]["type"] == "rate_limit_error" and got["error"]["code"] == "too_many_requests"
    assert server.ask("/v1/completions", {"prompt": "a", "max_tokens": 1})[0] == 200
