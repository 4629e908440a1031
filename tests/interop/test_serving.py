"""`lacus serve` with the openai client, plain HTTP, and what should not bring it down."""
import concurrent.futures
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import openai
import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from clib import ROOT
from lacus import script

LACUS = os.environ.get("LACUS_PROGRAM", ROOT / "build" / "lacus")
torch.set_num_threads(1)
TEMPLATE = "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"


def make_model(folder, template=TEMPLATE, layers=2, context=256, bias=None):
    torch.manual_seed(5)
    config = LlamaConfig(vocab_size=384, hidden_size=64, intermediate_size=128, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=2,
                         max_position_embeddings=context, initializer_range=0.3, bos_token_id=378, eos_token_id=379, pad_token_id=383, tie_word_embeddings=False)
    model = LlamaForCausalLM(config).float().eval()
    model.save_pretrained(folder)
    shutil.copy(ROOT / "tests/golden/tokenizer/bytebpe.json", folder / "tokenizer.json")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<pad>"}
    if template:
        settings["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return model


class Server:
    def __init__(self, folder, home, *options):
        self.process = subprocess.Popen([LACUS, "serve", str(folder), "--port", "0", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, "LACUS_HOME": str(home)})
        line = self.process.stdout.readline()
        found = re.search(r"http://([\d.]+):(\d+)", line)
        assert found, line + self.process.stderr.read()
        self.host, self.port = found[1], int(found[2])
        self.url = f"http://{self.host}:{self.port}"

    def client(self, key="none"):
        return openai.OpenAI(base_url=self.url + "/v1", api_key=key, max_retries=0)

    def ask(self, path, body=None, method=None, headers=None):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=60) as r:
                text = r.read().decode()
                return r.status, json.loads(text) if r.headers["Content-Type"] == "application/json" else text
        except urllib.error.HTTPError as e:
            return e.code, json.loads(e.read() or b"{}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    return folder, make_model(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def server(place, tmp_path_factory):
    s = Server(place[0], tmp_path_factory.mktemp("home"), "--name", "tiny")
    yield s
    assert s.stop() == 0


def greedy(place, ids, n):
    """What transformers generates."""
    with torch.no_grad():
        out = place[1].generate(torch.tensor([ids]), max_new_tokens=n, do_sample=False, eos_token_id=379, pad_token_id=383)[0, len(ids):].tolist()
    return out


def test_completions_are_those_of_transformers(server, place):
    tok, client = place[2], server.client()
    for prompt in ("The quick", "def f(x):", "naïve 日本", "123 "):
        ids = tok(prompt)["input_ids"]
        want = greedy(place, ids, 24)
        got = client.completions.create(model="tiny", prompt=prompt, max_tokens=24, temperature=0)
        assert got.choices[0].text == tok.decode(want, skip_special_tokens=True)
        assert got.choices[0].finish_reason == ("stop" if want[-1] == 379 else "length")
        assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (len(ids), len(want), len(ids) + len(want))
        assert got.object == "text_completion" and got.id.startswith("cmpl-")


def test_chat_goes_through_the_template(server, place):
    tok, client = place[2], server.client()
    messages = [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "Hello there"}]
    ids = tok.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
    want = greedy(place, ids, 20)
    got = client.chat.completions.create(model="tiny", messages=messages, max_tokens=20, temperature=0)
    assert got.choices[0].message.content == tok.decode(want, skip_special_tokens=True)
    assert got.choices[0].message.role == "assistant" and got.object == "chat.completion"
    assert got.usage.prompt_tokens == len(ids)
    parts = [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": [{"type": "text", "text": "Hello "}, {"type": "text", "text": "there"}]}]
    assert client.chat.completions.create(model="tiny", messages=parts, max_tokens=20, temperature=0).choices[0].message.content == got.choices[0].message.content


def test_streams_give_the_same_text(server):
    client = server.client()
    for n in (1, 5, 40):
        whole = client.completions.create(model="tiny", prompt="The lazy", max_tokens=n, temperature=0)
        chunks = list(client.completions.create(model="tiny", prompt="The lazy", max_tokens=n, temperature=0, stream=True, stream_options={"include_usage": True}))
        assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == whole.choices[0].finish_reason
        assert chunks[-1].usage == whole.usage and chunks[-1].choices == []
        assert len({c.id for c in chunks}) == 1
    messages = [{"role": "user", "content": "x"}]
    whole = client.chat.completions.create(model="tiny", messages=messages, max_tokens=30, temperature=0)
    chunks = list(client.chat.completions.create(model="tiny", messages=messages, max_tokens=30, temperature=0, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason and chunks[-1].usage is None


def test_several_answers_to_one_prompt(server):
    client = server.client()
    ask = dict(model="tiny", prompt=["The", "A"], max_tokens=12, n=3)
    got = client.completions.create(**ask, temperature=1.5, seed=3)
    assert [c.index for c in got.choices] == [0, 1, 2, 3, 4, 5]
    assert len({c.text for c in got.choices[:3]}) == 3 and len({c.text for c in got.choices[3:]}) == 3
    one = client.completions.create(model="tiny", prompt="The", max_tokens=12, temperature=1.5, seed=3)
    assert got.choices[0].text == one.choices[0].text and got.usage.prompt_tokens == client.completions.create(model="tiny", prompt=["The", "A"], max_tokens=1).usage.prompt_tokens
    assert len({c.text for c in client.completions.create(**ask, temperature=0).choices[:3]}) == 1
    chunks = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "x"}], n=2, max_tokens=3, stream=True)
    assert {c.choices[0].index for c in chunks} == {0, 1}


def test_stop_texts_end_an_answer(server):
    client = server.client()
    text = client.completions.create(model="tiny", prompt="The quick", max_tokens=60, temperature=0).choices[0].text
    for start, length in ((5, 1), (7, 3), (11, 6), (20, 2)):
        stop = text[start:start + length]
        want = text[:text.index(stop)]
        got = client.completions.create(model="tiny", prompt="The quick", max_tokens=60, temperature=0, stop=[stop, "never there"])
        assert (got.choices[0].text, got.choices[0].finish_reason) == (want, "stop")
        chunks = client.completions.create(model="tiny", prompt="The quick", max_tokens=60, temperature=0, stop=stop, stream=True)
        assert "".join(c.choices[0].text for c in chunks) == want


def test_sampling_follows_the_seed(server):
    client = server.client()

    def sample(**kw):
        return client.completions.create(model="tiny", prompt="a", max_tokens=30, **kw).choices[0].text
    assert sample(seed=1) == sample(seed=1)
    assert len({sample(seed=i) for i in range(6)}) > 1
    assert len({sample() for _ in range(6)}) > 1
    assert sample(seed=3, top_p=0) == sample(temperature=0)
    assert sample(seed=4, extra_body={"top_k": -1}) == sample(seed=4, extra_body={"top_k": 0}) == sample(seed=4) != sample(seed=4, extra_body={"top_k": 1}) == sample(temperature=0)


def test_several_prompts_and_token_ids(server, place):
    client = server.client()
    one = client.completions.create(model="tiny", prompt=["The quick", "lazy dog"], max_tokens=6, temperature=0)
    assert [c.index for c in one.choices] == [0, 1]
    ids = place[2]("lazy dog")["input_ids"]
    assert client.completions.create(model="tiny", prompt=ids, max_tokens=6, temperature=0).choices[0].text == one.choices[1].text
    chunks = list(client.completions.create(model="tiny", prompt=["The quick", "lazy dog"], max_tokens=6, temperature=0, stream=True))
    assert ["".join(c.choices[0].text for c in chunks if c.choices[0].index == i) for i in (0, 1)] == [c.text for c in one.choices]


def test_models_and_health(server):
    client = server.client()
    assert [m.id for m in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "lacus"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")
    assert server.ask("/ping")[0] == 200 and server.ask("/health") == (200, "OK")
    assert server.ask("/version") == (200, (ROOT / "VERSION").read_text().strip())


def test_scoring_takes_every_shape(server):
    def text(prompt):
        return server.ask("/v1/completions", {"prompt": prompt, "max_tokens": 5, "temperature": 0})[1]["choices"][0]["text"]
    want = {"predictions": [text("The"), text("fox")]}
    params = {"max_tokens": 5, "temperature": 0}
    for body in ({"dataframe_split": {"index": [0, 1], "columns": ["id", "prompt"], "data": [[1, "The"], [2, "fox"]]}},
                 {"dataframe_split": {"columns": ["anything"], "data": [["The"], ["fox"]]}},
                 {"dataframe_records": [{"prompt": "The", "id": 3}, {"prompt": "fox", "id": 4}]},
                 {"inputs": ["The", "fox"]}, {"instances": ["The", "fox"]}, {"inputs": {"prompt": ["The", "fox"]}}, {"instances": [{"text": "The"}, {"text": "fox"}]}):
        for path in ("/invocations", "/serving-endpoints/tiny/invocations"):
            assert server.ask(path, {**body, "params": params}) == (200, want), body
    assert server.ask("/invocations", {"inputs": "The", "params": params})[1] == {"predictions": want["predictions"][:1]}
    chat = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5, "temperature": 0}
    status, got = server.ask("/serving-endpoints/tiny/invocations", chat)
    assert (status, got["object"]) == (200, "chat.completion")
    assert got["choices"] == server.ask("/v1/chat/completions", chat)[1]["choices"]
    assert server.ask("/invocations", {"dataframe_records": [chat], "params": params})[1]["predictions"] == [got["choices"][0]["message"]["content"]]
    assert server.ask("/serving-endpoints/tiny/invocations", {"prompt": "The", **params})[1]["object"] == "text_completion"
    assert openai.OpenAI(base_url=server.url + "/serving-endpoints", api_key="x").chat.completions.create(model="tiny", **{k: v for k, v in chat.items()}).choices[0].message.content == got["choices"][0]["message"]["content"]


BAD = [
    ("/v1/completions", b"{", 400, None, "not JSON"), ("/v1/completions", b"[]", 400, None, "not a JSON object"), ("/v1/completions", b"\xff\xfe", 400, None, "not JSON"), ("/v1/completions", b"", 400, None, "not JSON"),
    ("/v1/completions", {}, 400, "prompt", "prompt"), ("/v1/completions", {"prompt": 5}, 400, "prompt", "prompt"), ("/v1/completions", {"prompt": ""}, 200, None, None), ("/v1/completions", {"prompt": []}, 400, "prompt", "prompt"),
    ("/v1/completions", {"prompt": [99999]}, 400, "prompt", "vocabulary"), ("/v1/completions", {"prompt": "a", "n": 0}, 400, "n", "at least 1"), ("/v1/completions", {"prompt": ["a"] * 9, "n": 100}, 400, "n", "answers"), ("/v1/completions", {"prompt": "a", "max_tokens": 0}, 400, "max_tokens", "at least 1"),
    ("/v1/completions", {"prompt": "a", "temperature": -1}, 400, "temperature", "between"), ("/v1/completions", {"prompt": "a", "temperature": "hot"}, 400, "temperature", "number"), ("/v1/completions", {"prompt": "a", "top_p": 2}, 400, "top_p", "between"),
    ("/v1/completions", {"prompt": "a", "logprobs": 21}, 400, "logprobs", "between 0 and 20"), ("/v1/completions", {"prompt": "a", "stop": [1]}, 400, "stop", "text"), ("/v1/completions", {"prompt": "a", "stop": ["x"] * 17}, 400, "stop", "16"),
    ("/v1/completions", {"prompt": "The quick brown fox " * 200}, 400, "prompt", "context"), ("/v1/completions", {"prompt": "a", "model": "gpt-9"}, 404, "model", "not served"),
    ("/v1/chat/completions", {"messages": []}, 400, "messages", "at least one"), ("/v1/chat/completions", {"messages": [{"content": "x"}]}, 400, "messages", "role"), ("/v1/chat/completions", {"messages": "x"}, 400, "messages", "list"),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, 400, "messages", "text only"),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function"}]}, 400, "tools", "without a name"), ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_object"}}, 400, "response_format", "text"),
    ("/v1/completions", {"prompt": "a", "seed": 2**63}, 400, None, "a number that 64 bits do not hold: too big integer"), ("/v1/completions", {"prompt": "a", "seed": 1.5}, 400, "seed", "whole number"),
    ("/v1/completions", {"prompt": "a", "stop": "\0"}, 400, "stop", "NUL"), ("/v1/completions", {"prompt": "a", "model": "tiny\0"}, 400, "model", "NUL"),
    ("/v1/nothing", {}, 404, None, "there is no"), ("/serving-endpoints/other/invocations", {"prompt": "x"}, 404, "model", "not served"), ("/serving-endpoints/tiny", {}, 404, None, "there is no"),
    ("/invocations", {}, 400, None, "none of"), ("/invocations", {"dataframe_split": {"columns": ["a"], "data": [["x", "y"]]}}, 400, "dataframe_split", "2 values for 1 columns"), ("/invocations", {"dataframe_records": [{"a": 1, "b": 2}]}, 400, "dataframe_records", "prompt"),
]


@pytest.mark.parametrize("path, body, status, param, words", BAD)
def test_bad_requests_get_one_clear_error(server, path, body, status, param, words):
    got_status, got = server.ask(path, body, method="POST")
    assert got_status == status, got
    if words:
        assert words in got["error"]["message"] and got["error"]["param"] == param
        assert got["error"]["type"] == "invalid_request_error" and got["message"] == got["error"]["message"]


def test_the_wrong_method_and_too_much(server):
    assert server.ask("/v1/completions", method="GET")[0] == 405
    assert server.ask("/v1/models", {}, method="POST")[0] == 405
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    connection.putrequest("POST", "/v1/completions")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    reply = connection.getresponse()
    assert reply.status == 413 and "limit" in json.loads(reply.read())["error"]["message"]
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    try:
        connection.request("POST", "/v1/completions", body=iter([b"x" * (1 << 20)] * 17), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass
    with pytest.raises(openai.BadRequestError, match="at least 1"):
        server.client().completions.create(model="tiny", prompt="a", n=-1)


def test_a_nul_is_a_character_like_others(server, place):
    _, _, tok = place
    text = "a\0b"
    got = server.ask("/v1/completions", {"prompt": text, "max_tokens": 3, "temperature": 0, "echo": True})[1]
    assert got["usage"]["prompt_tokens"] == len(tok(text)["input_ids"]) and got["choices"][0]["text"].startswith(text)
    message = [{"role": "user", "content": text}]
    got = server.ask("/v1/chat/completions", {"messages": message, "max_tokens": 3})[1]
    assert got["usage"]["prompt_tokens"] == len(tok.apply_chat_template(message, add_generation_prompt=True, return_dict=False))
    assert server.ask("/invocations", {"inputs": [text], "params": {"max_tokens": 3, "temperature": 0}})[0] == 200


def headers_of(server, method, path, **headers):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    connection.request(method, path, headers=headers)
    reply = connection.getresponse()
    allowed = {k: v for k, v in reply.getheaders() if k.startswith("Access-Control") or k == "Vary"}
    return reply.status, allowed, reply.read().decode()


ALL_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


@pytest.mark.parametrize("origins, any_page", [("https://a.example,http://b.example:3000", False), ('["https://a.example"]', False), ("*", True), ('["*"]', True)])
def test_pages_of_other_origins_ask_as_they_ask_vllm(place, tmp_path, origins, any_page):
    """Starlette's middleware with allow_methods and allow_headers ["*"], as vLLM has it: what its source answers."""
    s = Server(place[0], tmp_path, "--allowed-origins", origins, "--api-key", "k")
    try:
        good, bad = {"Origin": "https://a.example"}, {"Origin": "https://evil.example"}
        mine = {"Access-Control-Allow-Origin": "*"} if any_page else {"Access-Control-Allow-Origin": "https://a.example", "Vary": "Origin"}
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
        answered = {"Access-Control-Allow-Methods": ALL_METHODS, "Access-Control-Max-Age": "600", "Access-Control-Allow-Headers": "authorization,content-type"}
        for path in ("/v1/chat/completions", "/nowhere"):
            assert headers_of(s, "OPTIONS", path, **good, **asked) == (200, {**mine, **answered}, "OK")
        theirs = mine if any_page else {"Vary": "Origin"}
        refused = (200, {**mine, **answered}, "OK") if any_page else (400, {**theirs, **answered}, "Disallowed CORS origin")
        assert headers_of(s, "OPTIONS", "/v1/models", **bad, **asked) == refused
        odd = headers_of(s, "OPTIONS", "/v1/models", **bad, **(asked | {"Access-Control-Request-Method": "ET"}))
        assert odd[0] == 400 and odd[2] == "Disallowed CORS " + ("method" if any_page else "origin, method")
        assert headers_of(s, "GET", "/v1/models", **good, Authorization="Bearer k")[:2] == (200, mine)
        assert headers_of(s, "GET", "/v1/models", **good)[:2] == (401, mine)  # a page may read what failed
        assert headers_of(s, "GET", "/health", **bad)[:2] == (200, theirs)
        assert headers_of(s, "GET", "/health")[:2] == (200, {})
        assert headers_of(s, "OPTIONS", "/v1/models", **good)[:2] == (405, mine)
    finally:
        s.stop()


def test_without_origins_pages_are_told_nothing(server, place, tmp_path):
    assert headers_of(server, "OPTIONS", "/v1/models", Origin="https://a.example", **{"Access-Control-Request-Method": "GET"})[:2] == (405, {})
    assert headers_of(server, "GET", "/v1/models", Origin="https://a.example")[:2] == (200, {})
    for wrong in ("a.example", "[1]", "[", ""):
        done = subprocess.run([LACUS, "serve", str(place[0]), "--allowed-origins", wrong], capture_output=True, text=True, env={**os.environ, "LACUS_HOME": str(tmp_path)}, timeout=60)
        assert done.returncode != 0 and f"'{wrong}' is no list of origins" in done.stderr


def raw(server, data, reset=False):
    s = socket.create_connection((server.host, server.port), timeout=30)
    if reset:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    s.sendall(data)
    return s


def post(body):
    data = json.dumps(body).encode()
    return b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)


def test_clients_that_vanish_leave_nothing_behind(server):
    long = {"prompt": "a", "max_tokens": 240, "temperature": 1, "stream": True}
    for reset in (False, True):
        for body in (long, {**long, "stream": False}):
            for pause in (0, 0.02):
                s = raw(server, post(body), reset)
                time.sleep(pause)
                s.close()
        raw(server, b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", reset).close()
        raw(server, b"GARBAGE\r\n\r\n", reset).close()
        raw(server, b"GET /" + b"x" * 200000, reset).close() if reset else None
    started = time.time()
    assert server.ask("/v1/completions", {"prompt": "a", "max_tokens": 2})[0] == 200
    assert time.time() - started < 20
    assert server.process.poll() is None


def test_many_at_once_all_get_their_own_answer(server):
    client = server.client()

    def one(i):
        return client.completions.create(model="tiny", prompt=f"prompt {i % 4}", max_tokens=8, temperature=0, stream=False).choices[0].text
    alone = [one(i) for i in range(4)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert list(pool.map(one, range(36))) == [alone[i % 4] for i in range(36)]


def test_lengths_and_options_of_a_batch_do_not_touch_each_other(server):
    """Answers of other lengths, stops and samplings in one batch are those each gets alone."""
    client = server.client()

    def one(i):
        how = [dict(temperature=0), dict(temperature=0.8, seed=7), dict(temperature=1, top_p=0.7, seed=3), dict(temperature=0.9, seed=i // 4)][i % 4]
        answer = client.completions.create(model="tiny", prompt="words " * (1 + 3 * (i % 5)), max_tokens=1 + 7 * (i % 6), n=1 + i % 3, stop=["e"] if i % 7 == 0 else None,
                                           extra_body={"repetition_penalty": 1.2, "top_k": 5} if i % 4 == 3 else None, **how)
        return [(c.text, c.finish_reason) for c in answer.choices]
    alone = [one(i) for i in range(24)]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        assert list(pool.map(one, range(24))) == alone


# ---- servers of their own ----
def test_a_short_request_does_not_wait_for_a_long_one(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    model = make_model(folder, context=4096, layers=6)
    with torch.no_grad():
        model.lm_head.weight[378:] = 0  # nothing ends the long answer early
    model.save_pretrained(folder)
    s = Server(folder, tmp_path / "home", "--name", "tiny")
    try:
        client, begun = s.client(), threading.Event()

        def read_long():
            for chunk in client.completions.create(model="tiny", prompt="a", max_tokens=3000, temperature=0, stream=True, stream_options={"include_usage": True}):
                begun.set()
            return chunk.usage.completion_tokens, time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            long = pool.submit(read_long)
            assert begun.wait(60)
            short = client.completions.create(model="tiny", prompt="b" * 600, max_tokens=3, temperature=0)  # joins, reads its prompt, ends
            ended = time.monotonic()
            tokens, at = long.result(120)
        assert short.usage.completion_tokens == 3
        assert tokens == 3000 and at > ended, "it waited for the long answer"
        again = client.completions.create(model="tiny", prompt="b" * 600, max_tokens=3, temperature=0)
        assert again.choices[0].text == short.choices[0].text
    finally:
        assert s.stop() == 0


def test_api_key(place, tmp_path):
    (tmp_path / "key").write_text("s3cret\n")
    s = Server(place[0], tmp_path / "home", "--api-key-file", str(tmp_path / "key"))
    try:
        body = {"prompt": "a", "max_tokens": 1}
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer s3cret2"}, {"Authorization": "s3cret"}):
            status, got = s.ask("/v1/completions", body, headers=headers)
            assert status == 401 and got["error"]["type"] == "authentication_error"
        assert s.client("s3cret").completions.create(model=place[0].name, prompt="a", max_tokens=1).usage.completion_tokens == 1
        with pytest.raises(openai.AuthenticationError):
            s.client("no").models.list()
        assert s.ask("/health")[0] == 200
    finally:
        assert s.stop() == 0


def test_sigterm_lets_running_answers_end(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    make_model(folder, context=2048)
    s = Server(folder, tmp_path / "home")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(s.ask, "/v1/completions", {"prompt": "a", "max_tokens": 400, "temperature": 0.5, "seed": 2})
        time.sleep(0.3)
        code = s.stop()
        status, got = answer.result(60)
    assert code == 0 and status == 200 and got["choices"][0]["text"]


def test_a_port_in_use_and_other_wrong_starts(place, tmp_path):
    env = {**os.environ, "LACUS_HOME": str(tmp_path)}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([LACUS, "serve", place[0], "--port", port], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "another program uses it" in done.stderr and port in done.stderr
    (tmp_path / "empty").mkdir()
    for arguments, words in ((["models:/nowhere@champion"], "nowhere"), ([str(tmp_path / "empty")], "empty"), ([], "no model"), ([str(place[0]), "--port", "70000"], "not a port"),
                             ([str(place[0]), "--colour", "x"], "unknown option"), ([str(place[0]), "more"], "second one")):
        done = subprocess.run([LACUS, "serve", *arguments], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and words in done.stderr, done.stderr


def test_a_model_without_a_chat_template_says_so(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    make_model(folder, template=None)
    (tmp_path / "t.jinja").write_text("Q: {{ messages[-1].content }} A:")
    body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 3, "temperature": 0}
    s = Server(folder, tmp_path / "home")
    try:
        status, got = s.ask("/v1/chat/completions", body)
        assert status == 400 and "chat template" in got["error"]["message"]
        want = s.ask("/v1/completions", {"prompt": "Q: x A:", "max_tokens": 3, "temperature": 0})[1]["choices"][0]["text"]
    finally:
        s.stop()
    s = Server(folder, tmp_path / "home", "--chat-template", str(tmp_path / "t.jinja"))
    try:
        got = s.ask("/v1/chat/completions", body)[1]
        assert got["usage"]["prompt_tokens"] > 0 and isinstance(got["choices"][0]["message"]["content"], str) and want is not None
    finally:
        s.stop()


def test_a_registered_model_is_served_by_alias_and_version(place, tmp_path):
    home = tmp_path / "home"
    script(home, f"""
        spark:sql("CREATE CATALOG ml_catalog") spark:sql("CREATE SCHEMA ml_catalog.llm_models")
        local mv = mlflow.register_model({json.dumps(str(place[0]))}, "ml_catalog.llm_models.tiny")
        mlflow.MlflowClient():set_registered_model_alias{{name = mv.name, alias = "champion", version = mv.version}}""")
    body = {"prompt": "The quick", "max_tokens": 6, "temperature": 0}
    texts = set()
    for uri in ("models:/ml_catalog.llm_models.tiny@champion", "models:/ml_catalog.llm_models.tiny/1", str(place[0])):
        s = Server(uri, home)
        try:
            if uri.startswith("models:/"):
                assert s.ask("/v1/models")[1]["data"][0]["id"] == "ml_catalog.llm_models.tiny"
                assert s.ask("/serving-endpoints/ml_catalog.llm_models.tiny/invocations", body)[0] == 200
            texts.add(s.ask("/v1/completions", body)[1]["choices"][0]["text"])
        finally:
            assert s.stop() == 0
    assert len(texts) == 1


def test_an_adapter_is_served_over_its_base(place, tmp_path):
    from peft import LoraConfig, get_peft_model
    torch.manual_seed(1)
    base = LlamaForCausalLM.from_pretrained(place[0])
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=32, target_modules=["q_proj", "v_proj"], init_lora_weights=False, base_model_name_or_path=str(place[0]))).eval()
    model.save_pretrained(tmp_path / "adapter")
    ids = place[2]("The quick")["input_ids"]
    with torch.no_grad():
        want = model.generate(input_ids=torch.tensor([ids]), max_new_tokens=12, do_sample=False, eos_token_id=379, pad_token_id=383)[0, len(ids):].tolist()
    s = Server(tmp_path / "adapter", tmp_path / "home")
    try:
        got = s.ask("/v1/completions", {"prompt": "The quick", "max_tokens": 12, "temperature": 0})[1]["choices"][0]["text"]
    finally:
        s.stop()
    assert got == place[2].decode(want, skip_special_tokens=True)
    assert want != greedy(place, ids, 12)
