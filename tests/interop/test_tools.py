"""Functions in chats: the prompt is what transformers renders, and the calls in an answer reach the openai client, whole and streamed.
The models here say a given answer: a token of text leads to the next one; behind a mark of the format, which stands in several places, a bias chooses."""
import json

import openai
import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from clib import ROOT
from test_serving import Server

EOS, BASE, WIDTH = 379, 384, 256
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Current weather — now", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}}, "required": ["city"]}}},
         {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]
# Templates in the shapes that the families have.
TAGGED = """{%- if tools %}{{- '<|start_header_id|>system\\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}{{- "# Tools in <tools></tools>; calls as <tool_call>\\n<tools>" }}{%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}{{- "\\n</tools><|eot_id|>\\n" }}{%- endif %}
{%- for message in messages %}{%- if message.role == "user" %}{{- '<|start_header_id|>user\\n' + message.content + '<|eot_id|>\\n' }}
{%- elif message.role == "assistant" %}{{- '<|start_header_id|>assistant' }}{%- if message.content %}{{- '\\n' + message.content }}{%- endif %}{%- for call in message.tool_calls %}{%- if call.function is defined %}{%- set call = call.function %}{%- endif %}{{- '\\n<tool_call>\\n{"name": "' + call.name + '", "arguments": ' }}{{- call.arguments | tojson }}{{- '}\\n</tool_call>' }}{%- endfor %}{{- '<|eot_id|>\\n' }}
{%- elif message.role == "tool" %}{{- '<tool_response>\\n' + message.content + '\\n</tool_response>' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant\\n' }}{%- endif %}"""
LIST = """{{- bos_token }}{%- if tools is defined and tools is not none %}{{- '[AVAILABLE_TOOLS] ' + (tools | map(attribute='function') | list | tojson) + '[/AVAILABLE_TOOLS]' }}{%- endif %}{%- for message in messages %}{%- if message['role'] == 'user' %}{{- '[INST] ' + message['content'] + '[/INST]' }}
{%- elif message.tool_calls is defined and message.tool_calls is not none %}{{- '[TOOL_CALLS][' }}{%- for call in message.tool_calls %}{%- set out = call.function | tojson %}{{- out[:-1] }}{%- if not call.id is defined or call.id | length != 9 %}{{- raise_exception('ids have nine characters') }}{%- endif %}{{- ', "id": "' + call.id + '"}' }}{{- ', ' if not loop.last else ']' + eos_token }}{%- endfor %}
{%- elif message['role'] == 'assistant' %}{{- message['content'] + eos_token }}{%- elif message['role'] == 'tool' %}{{- '[TOOL_RESULTS] {"content": ' + message.content | tojson + ', "call_id": "' + message.tool_call_id + '"}' }}{%- endif %}{%- endfor %}"""
OBJECT = """{{- bos_token }}{%- if tools is not none %}{{- 'Environment: ipython\\n' }}{%- for t in tools %}{{- t | tojson(indent=4) }}{{- '\\n\\n' }}{%- endfor %}{%- endif %}{%- for message in messages %}{%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- elif 'tool_calls' in message %}{%- if not message.tool_calls | length == 1 %}{{- raise_exception('one call at a time') }}{%- endif %}{%- set call = message.tool_calls[0].function %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n{"name": "' + call.name + '", "parameters": ' }}{{- call.arguments | tojson }}{{- '}<|eot_id|>' }}
{%- elif message.role == 'tool' %}{{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' + (message.content | tojson if message.content is mapping else message.content) + '<|eot_id|>' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"""


def says(city):
    return '{"name": "get_weather", "arguments": {"city": "%s", "days": 12345678901234567890}}' % city


def calls(city):  # the arguments are the model's own text: the number would not survive being read
    return "get_weather", '{"city": "%s", "days": 12345678901234567890}' % city


OPEN, CLOSE, CALLS, ARGS, ID, PYTHON = "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>"
# the template, marks of the format and whether they are special, and answers: what the model says token by token, the text and the calls in it
FAMILIES = {
    "tagged": (TAGGED, (OPEN, CLOSE), False, {
        "one": ([OPEN, "\n{\"name\": \"get_wea", "ther\", \"arguments\": {\"city\": \"Pa", "ris\", \"days\": 12345678901234567890", "}}\n", CLOSE], None, [calls("Paris")]),
        "text_and_two": (["Let me ", "see. \n", OPEN, says("Rome"), CLOSE, "\n \n", OPEN, "{\"arguments\": {}, \"name\": \"add\"}", CLOSE, "\n\n"], "Let me see.", [calls("Rome"), ("add", "{}")]),
        "text_behind": ([OPEN, says("Bonn"), CLOSE, "\nDone ", "and ", "done. "], "Done and done.", [calls("Bonn")]),
        "tag_in_text": ([OPEN, "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"a ", CLOSE, " b\"}}", CLOSE], None, [("get_weather", '{"city": "a </tool_call> b"}')]),
        "left_open": ([OPEN, says("Oslo")], None, [calls("Oslo")]),
        "broken": (["Hm <tool_", "call> ", "{\"name\": ", CLOSE, " so"], 'Hm <tool_call> {"name": </tool_call> so', []),
        "plain": (["a < b ", "with <tool", " box> \n "], "a < b with <tool box> \n ", []),
        "split_tag": (["So: <tool_c", "all>" + says("Bern") + "</tool", "_call>"], "So:", [calls("Bern")]),
    }),
    "list": (LIST, (CALLS, ARGS, ID), True, {
        "one": ([CALLS, " [{\"name\": \"get_weather\", \"argu", "ments\": {\"city\": \"Paris\", \"days\": 12345678901234567890}}]"], None, [calls("Paris")]),
        "two": (["I look. ", CALLS, "[" + says("Rome") + ", ", "{\"name\": \"add\", \"arguments\": {}}]"], "I look.", [calls("Rome"), ("add", "{}")]),
        "named": ([CALLS, "get_weather", ID, "abc", ARGS, calls("Bonn")[1], CALLS, "add", ARGS, "{}"], None, [calls("Bonn"), ("add", "{}")]),
        "broken": ([CALLS, "[{\"name\": 3}]"], '[TOOL_CALLS][{"name": 3}]', []),
        "plain": (["Only [", "TOOL_", " text]"], "Only [TOOL_ text]", []),
    }),
    "object": (OBJECT, (PYTHON,), True, {
        "one": (["{\"name\": \"get_weather\", ", "\"parameters\": {\"city\": \"Paris\", \"days\": 12345678901234567890}}"], None, [calls("Paris")]),
        "marked_two": ([PYTHON, "{\"type\": \"function\", " + says("Rome")[1:].replace("arguments", "parameters"), "; ", "{\"name\": \"add\", \"parameters\": {}}"], None, [calls("Rome"), ("add", "{}")]),
        "an_object": (["{\"name\": \"Bob\", ", "\"age\": 3}"], '{"name": "Bob", "age": 3}', []),
        "call_and_text": ([says("Bonn"), " is it"], says("Bonn") + " is it", []),
        "plain": (["It is ", says("Oslo")], "It is " + says("Oslo"), []),
    }),
}
CASES = [(family, name) for family in FAMILIES for name in FAMILIES[family][3]]


def make_speaker(folder, family):
    """The model, and for each answer the biases that choose it."""
    template, marks, special, answers = FAMILIES[family]
    words, ids, leads = json.loads((ROOT / "tests/golden/tokenizer/bytebpe.json").read_text()), {}, {}
    for text in (*marks, *(t for says, *_ in answers.values() for t in says)):
        if text not in ids:
            ids[text] = BASE + len(ids)
            words["added_tokens"].append({"id": ids[text], "content": text, "special": special and text in marks, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False})
    biases = {}
    for name, (said, *_) in answers.items():
        chain = [ids[t] for t in said] + [EOS]
        chosen = [chain[0]] + [after for text, after in zip(said, chain[1:]) if text in marks]
        assert len(set(chosen)) == len(chosen)
        biases[name] = {str(t): 100 - k / 10 for k, t in enumerate(chosen)}
        for text, after in zip(said, chain[1:]):
            assert text in marks or leads.setdefault(ids[text], after) == after, (name, text)
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=BASE + len(ids), hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=1, num_attention_heads=4, max_position_embeddings=4096,
                                         bos_token_id=378, eos_token_id=EOS, pad_token_id=383, tie_word_embeddings=False))
    with torch.no_grad():
        for p in (model.model.layers[0].self_attn.o_proj.weight, model.model.layers[0].mlp.down_proj.weight, model.lm_head.weight, model.model.embed_tokens.weight):
            p.zero_()
        for t, after in leads.items():
            model.model.embed_tokens.weight[t] = torch.nn.functional.normalize(torch.randn(WIDTH), dim=0)
            model.lm_head.weight[after] += 100 * model.model.embed_tokens.weight[t]
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(words))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<pad>", "chat_template": template}))
    return biases


@pytest.fixture(scope="module")
def speakers(tmp_path_factory):
    out = {}
    for family in FAMILIES:
        folder = tmp_path_factory.mktemp(family)
        biases = make_speaker(folder, family)
        out[family] = Server(folder, tmp_path_factory.mktemp("home"), "--name", "speaker"), AutoTokenizer.from_pretrained(folder), biases
    yield out
    for server, *_ in out.values():
        assert server.stop() == 0


USER = [{"role": "user", "content": "Weather in Paris?"}]


def ask(speaker, name, messages=USER, **how):
    server, _, biases = speaker
    return server.client().chat.completions.create(**{"model": "speaker", "messages": messages, "tools": TOOLS, "temperature": 0, "frequency_penalty": 2, "logit_bias": biases[name], "max_tokens": 60, **how})


def pairs(tool_calls):
    return [(c.function.name, c.function.arguments) for c in tool_calls or []]


@pytest.mark.parametrize("family, name", CASES)
def test_calls_are_read_from_the_answer(speakers, family, name):
    _, text, want = FAMILIES[family][3][name]
    got = ask(speakers[family], name).choices[0]
    assert (got.message.content, pairs(got.message.tool_calls)) == (text, want)
    assert got.finish_reason == ("tool_calls" if want else "stop")
    assert len({c.id for c in got.message.tool_calls or []}) == len(want) and all(c.type == "function" for c in got.message.tool_calls or [])
    assert got.message.tool_calls is None or want


@pytest.mark.parametrize("family, name", CASES)
def test_streams_give_the_same_calls(speakers, family, name):
    _, text, want = FAMILIES[family][3][name]
    content, made, ends = {0: "", 1: ""}, {0: [], 1: []}, {}
    for chunk in ask(speakers[family], name, stream=True, n=2):
        for choice in chunk.choices:
            content[choice.index] += choice.delta.content or ""
            for c in choice.delta.tool_calls or []:
                if c.id:
                    assert c.index == len(made[choice.index]) and c.type == "function"
                    made[choice.index].append([c.function.name, ""])
                made[choice.index][c.index][1] += c.function.arguments
            ends[choice.index] = choice.finish_reason or ends.get(choice.index)
    for i in (0, 1):
        assert (content[i], [tuple(m) for m in made[i]]) == (text or "", want)
        assert ends[i] == ("tool_calls" if want else "stop")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_prompt_is_that_of_transformers(speakers, family):
    """Tools, the model's own calls as the client sends them back, and what the functions gave."""
    tok = speakers[family][1]

    def theirs(messages, tools=TOOLS, **more):
        return len(tok.apply_chat_template(messages, tools=tools, add_generation_prompt=True, tokenize=True, return_dict=True, **more)["input_ids"])
    assert ask(speakers[family], "one").usage.prompt_tokens == theirs(USER)
    assert ask(speakers[family], "one", tool_choice="none").usage.prompt_tokens == theirs(USER, None) < theirs(USER)
    said = ask(speakers[family], "one").choices[0].message
    small = '{"city": "Zürich", "days": 2, "at": 1.5}'
    said.tool_calls[0].function.arguments = small
    result = {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": "20 °C"}
    plain = {"role": "assistant", "content": said.content or "", "tool_calls": [{"id": said.tool_calls[0].id, "type": "function", "function": {"name": "get_weather", "arguments": json.loads(small)}}]}
    assert ask(speakers[family], "plain", [*USER, said, result]).usage.prompt_tokens == theirs([*USER, plain, result])
    parts = {**result, "content": [{"type": "text", "text": "20 "}, {"type": "text", "text": "°C"}]}
    assert ask(speakers[family], "plain", [*USER, said.model_dump(), parts]).usage.prompt_tokens == theirs([*USER, plain, result])


def test_what_is_asked_of_calls_is_kept(speakers):
    tagged = speakers["tagged"]
    assert pairs(ask(tagged, "text_and_two", parallel_tool_calls=False).choices[0].message.tool_calls) == [calls("Rome")]
    none = ask(tagged, "one", tool_choice="none").choices[0]
    assert none.finish_reason == "stop" and none.message.tool_calls is None and none.message.content.startswith("<tool_call>")
    cut = ask(tagged, "one", max_tokens=4).choices[0]
    assert cut.finish_reason == "length" and cut.message.tool_calls is None and cut.message.content.startswith("<tool_call>\n{")
    hidden = ask(speakers["list"], "one", tools=openai.NOT_GIVEN).choices[0]
    assert hidden.message.tool_calls is None and "[TOOL_CALLS]" not in hidden.message.content, "a special token, when no tools are there"
    known = ask(tagged, "one", logprobs=True)
    assert len(known.choices[0].logprobs.content) == known.usage.completion_tokens
    ids = [ask(speakers["list"], "one").choices[0].message.tool_calls[0].id for _ in range(2)]
    assert ids[0] != ids[1] and all(len(i) == 9 and i.isalnum() for i in ids), "Mistral's templates take no others"


F = {"type": "function", "function": {"name": "f"}}
BAD = [
    ({"tools": {}}, "tools", "list"), ({"tools": [{"type": "retrieval"}]}, "tools", "'function'"), ({"tools": [{"type": "function", "function": {}}]}, "tools", "name"),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}, "tools", "schema"), ({"tools": [F], "tool_choice": "required"}, "tool_choice", "'auto' or 'none'"),
    ({"tools": [F], "tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice", "'auto' or 'none'"), ({"tool_choice": "auto"}, "tool_choice", "needs 'tools'"),
    ({"tools": [F], "parallel_tool_calls": 1}, "parallel_tool_calls", "true or false"), ({"functions": [{"name": "f"}]}, "functions", "'tools'"), ({"chat_template_kwargs": 1}, "chat_template_kwargs", "object"),
    ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]}, "messages", "not a JSON object"),
    ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}]}, "messages", "name"), ({"messages": [{"role": "assistant", "tool_calls": {"a": 1}}]}, "messages", "list"),
]


@pytest.mark.parametrize("extra, param, words", BAD)
def test_wrong_tools_are_named(speakers, extra, param, words):
    status, got = speakers["tagged"][0].ask("/v1/chat/completions", {"messages": USER, "max_tokens": 1, **extra})
    assert status == 400 and got["error"]["param"] == param and words in got["error"]["message"], got


def test_a_template_that_has_no_tools_says_so_and_a_second_one_is_used(tmp_path):
    """As Hermes has them: one template for chats, one for chats with tools."""
    for name in ("two", "none", "other"):
        (tmp_path / name).mkdir()
        make_speaker(tmp_path / name, "tagged")
    simple = "{% for m in messages %}{{ m.content }}{% endfor %}"
    for name, template in (("two", [{"name": "default", "template": simple}, {"name": "tool_use", "template": TAGGED}]), ("none", simple), ("other", simple + "{% if tools %}<function=x>{% endif %}")):
        path = tmp_path / name / "tokenizer_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": template}))
    body = {"messages": USER, "max_tokens": 1, "tools": TOOLS}
    for name, words in (("none", "takes none"), ("other", "not in a format"), ("two", None)):
        server = Server(tmp_path / name, tmp_path / "home")
        status, got = server.ask("/v1/chat/completions", body)
        if words:
            assert status == 400 and got["error"]["param"] == "tools" and words in got["error"]["message"]
        else:
            tok = AutoTokenizer.from_pretrained(tmp_path / name)
            for tools in (TOOLS, None):
                want = len(tok.apply_chat_template(USER, tools=tools, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"])
                assert server.ask("/v1/chat/completions", {**body, "tools": tools})[1]["usage"]["prompt_tokens"] == want
        assert server.stop() == 0
