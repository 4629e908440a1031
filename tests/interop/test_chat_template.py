"""Chat templates against transformers' own Jinja environment: what published models use, and what breaks."""
import ctypes as C
import json

import pytest
from transformers.utils.chat_template_utils import _compile_jinja_template

from clib import ROOT, Err, LacusError, check, load
from test_tokenizer import Buf


@pytest.fixture(scope="module")
def lib():
    lib = load()
    lib.json_loads.restype = C.c_void_p
    lib.json_loads.argtypes = [C.c_char_p, C.c_size_t, C.c_void_p]
    lib.template_render.argtypes = [C.c_char_p, C.c_size_t, C.c_void_p, C.c_void_p, C.c_void_p]
    return lib


def ours(lib, template, variables):
    out, err, raw = Buf(max=1 << 24), Err(), template.encode()
    check(lib.template_render(raw, len(raw), lib.json_loads(json.dumps(variables).encode(), 0, None), C.byref(out), C.byref(err)), err)
    text = C.string_at(out.data, out.len).decode() if out.len else ""
    lib.buf_release(C.byref(out))
    return text


def theirs(template, variables):
    return _compile_jinja_template(template).render(**variables)


def test_golden_conversations(lib):
    golden = json.loads((ROOT / "tests/golden/tokenizer/chat_templates.json").read_text())
    assert len(golden["cases"]) == 30
    for case in golden["cases"]:
        variables = dict(messages=case["messages"], add_generation_prompt=case["add_generation_prompt"],
                         bos_token=golden["bos"], eos_token=golden["eos"])
        if "error" in case:
            with pytest.raises(LacusError, match=case["error"]):
                ours(lib, golden["templates"][case["template"]], variables)
        else:
            assert ours(lib, golden["templates"][case["template"]], variables) == case["text"]


TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather of \"a\" place é", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1.5}}, "required": ["city"]}}}]
CHATS = [
    [{"role": "user", "content": "Hi"}],
    [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "x\ny"}, {"role": "assistant", "content": "z"}, {"role": "user", "content": "ö?"}],
    [{"role": "user", "content": "weather?"},
     {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "id": "abc123def", "function": {"name": "get_weather", "arguments": {"city": "Paris", "n": 2}}}]},
     {"role": "tool", "content": "sunny", "tool_call_id": "abc123def", "name": "get_weather"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nIt is sunny."}, {"role": "user", "content": "thanks"}],
    [{"role": "user", "content": [{"type": "text", "text": "part one"}, {"type": "text", "text": "two"}]}],
]
# Shapes that published models use, written here: tools as JSON, tool calls, thinking cut out, list contents, dates off
MODELS = {
    "tools_first": """{{- bos_token }}{%- if tools is not none and tools is defined %}{{- '<|system|>\\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
{%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}{{- "<|end|>\\n" }}{%- endif %}
{%- for message in messages %}
    {%- if message.content is string %}{%- set content = message.content %}
    {%- else %}{%- set content = message.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join('') %}{%- endif %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|' + message.role + '|>\\n' + content + '<|end|>\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if '</think>' in content %}{%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}
        {%- if loop.index0 > 3 and reasoning %}{{- '<think>' + reasoning.strip('\\n') + '</think>' }}{%- endif %}{{- content }}
        {%- if message.tool_calls %}{%- for tool_call in message.tool_calls %}{%- if (loop.first and content) or (not loop.first) %}{{- '\\n' }}{%- endif %}{%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '<call>{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}{%- if tool_call.arguments is string %}{{- tool_call.arguments }}{%- else %}{{- tool_call.arguments | tojson }}{%- endif %}{{- '}</call>' }}{%- endfor %}{%- endif %}{{- '<|end|>\\n' }}
    {%- elif message.role == "tool" %}{%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|user|>' }}{%- endif %}{{- '<result>' + content + '</result>' }}{%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}""",
    "last_query": """{%- set ns = namespace(multi_step=true, last=messages|length - 1) %}{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}
{%- if ns.multi_step and message.role == "user" and message.content is string and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}{%- set ns.multi_step = false %}{%- set ns.last = index %}{%- endif %}{%- endfor %}last={{ ns.last }}
{%- if enable_thinking is defined and enable_thinking is false %}off{%- endif %}""",
    "alternating": """{%- if messages[0]["role"] == "system" %}{%- set system_message = messages[0]["content"] %}{%- set loop_messages = messages[1:] %}{%- else %}{%- set loop_messages = messages %}{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}{%- set ns.index = 0 %}{%- for message in loop_messages %}{%- if not (message.role == "tool" or message.tool_calls is defined) %}{%- if (message["role"] == "user") != (ns.index % 2 == 0) %}{{- raise_exception("roles must alternate") }}{%- endif %}{%- set ns.index = ns.index + 1 %}{%- endif %}{%- endfor %}
{{- bos_token }}{%- for message in loop_messages %}{%- if message["role"] == "user" %}{%- if tools is not none and (message == user_messages[-1]) %}{{- "[TOOLS] [" }}{%- for tool in tools %}{%- set tool = tool.function %}{{- '{"type": "function", "function": {' }}{%- for key, val in tool.items() if key != "return" %}{%- if val is string %}{{- '"' + key + '": "' + val + '"' }}{%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}{%- if not loop.last %}{{- ", " }}{%- endif %}{%- endfor %}{{- "}}" }}{%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}{%- endfor %}{{- "[/TOOLS]" }}{%- endif %}
{%- if loop.last and system_message is defined %}{{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}{%- else %}{{- "[INST] " ~ message["content"] ~ "[/INST]" }}{%- endif %}
{%- elif message.tool_calls is defined and message.tool_calls is not none %}{{- "[CALLS] [" }}{%- for tool_call in message.tool_calls %}{%- set out = tool_call.function|tojson %}{{- out[:-1] }}{%- if not tool_call.id is defined or tool_call.id|length != 9 %}{{- raise_exception("ids have length 9!") }}{%- endif %}{{- ', "id": "' + tool_call.id + '"}' }}{%- endfor %}{{- "]" + eos_token }}
{%- elif message["role"] == "assistant" %}{{- " " + message["content"]|trim + eos_token}}{%- endif %}{%- endfor %}""",
    "macro": """{%- macro one(message, prefix='') -%}{{ prefix }}{{ message['role'] | capitalize }}: {% if message['content'] is string %}{{ message['content'] | trim }}{% else %}{% for item in message['content'] %}{% if item['type'] == 'text' %}{{ item['text'] }}{% endif %}{% endfor %}{% endif %}{%- endmacro -%}
{% for message in messages %}{{ one(message, prefix='# ') }}
{% endfor %}{% if tools %}{{ tools | tojson(indent=4) }}{% endif %}""",
}


@pytest.mark.parametrize("name", MODELS)
def test_templates_as_published_models_have(lib, name):
    template = MODELS[name]
    compared = 0
    for chat in CHATS:
        for tools in (None, TOOLS):
            for generate in (False, True):
                variables = dict(messages=chat, tools=tools, documents=None, add_generation_prompt=generate, bos_token="<s>", eos_token="</s>")
                try:
                    want = theirs(template, variables)
                except Exception:
                    with pytest.raises(LacusError):
                        ours(lib, template, variables)
                    continue
                assert ours(lib, template, variables) == want
                compared += 1
    assert compared >= 4


VARS = {"s": "  Hello wörld ", "n": 7, "f": 2.5, "neg": -3, "t": True, "no": None, "l": [3, 1, 2], "e": [], "d": {"b": 1, "a": [1, {"x": None}], "items": 5},
        "people": [{"name": "Ann", "age": 31, "tags": ["x"]}, {"name": "bob", "age": 25}, {"name": "Cy", "age": 31, "tags": []}],
        "text": "line one\nline two\n\n  last", "q": "it's \"quoted\" \\ \t", "csv": "a, b,,c", "big": 1e20, "tiny": 1.5e-7, "u": "日本 ÉCOLE straße"}
SNIPPETS = r"""
{{ s }}|{{ s | trim }}|{{ s.strip() | upper }}|{{ s.lstrip() }}|{{ s.rstrip() | length }}
{{ n + 1 }} {{ n / 2 }} {{ n // 2 }} {{ n % 4 }} {{ neg // 2 }} {{ neg % 4 }} {{ 2 ** 10 }} {{ -n }} {{ n * f }} {{ 7.0 }} {{ 1/3 }}
{{ big }} {{ tiny }} {{ 100000.0 }} {{ 1e15 + 0.5 }} {{ 123456789012 }} {{ 0.1 + 0.2 }}
{{ 'a' ~ n ~ t ~ no ~ f }} {{ 'x' * 3 }} {{ [1] + [2, 3] }} {{ (1,) }} {{ () }} {{ (1, 'a') }}
{{ l }} {{ d }} {{ people[0] }} {{ q }} {{ [q] }} {{ {'k': [t, no, f]} }} {{ u.upper() }} {{ u | title }} {{ 'heLLo wORLD' | capitalize }}
{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[:-1] }} {{ l[::-1] }} {{ s[2:7] }} {{ s[-3] }} {{ u[0] }} {{ u[::2] }} {{ l[5:] }} {{ l[10] is defined }}
{{ d.b }} {{ d['a'] }} {{ d.a[1].x }} {{ d['items'] }} {{ d.items() | list }} {{ d.get('zz', 'dflt') }} {{ d.get('b') }} {{ d.keys() | list }} {{ d.values() | list }}
{{ missing }}|{{ missing is defined }}|{{ missing | default('dd') }}|{{ '' | default('x', true) }}|{{ d.nothing is undefined }}|{{ no is none }}
{{ n == 7 and t }} {{ n != 7 or no }} {{ not t }} {{ not missing }} {{ n > 3 }} {{ 3 < n < 9 }} {{ 3 < n < 5 }} {{ 'a' < 'b' }} {{ 1 == 1.0 }} {{ t == 1 }}
{{ 'ell' in s }} {{ 9 in l }} {{ 9 not in l }} {{ 'b' in d }} {{ 3 in l and 'x' not in s }}
{{ 'yes' if t else 'no' }} {{ 'yes' if no }} {{ 'a' if no else 'b' if no else 'c' }}
{{ l | sort }} {{ l | sort(reverse=true) }} {{ l | first }} {{ l | last }} {{ l | max }} {{ l | min }} {{ l | sum }} {{ l | join('-') }} {{ l | reverse | list }} {{ [1,1,2] | unique | list }}
{{ people | map(attribute='name') | join(', ') }} {{ people | selectattr('age', 'equalto', 31) | map(attribute='name') | list }} {{ people | rejectattr('tags', 'defined') | list | length }}
{{ people | sort(attribute='name') | map(attribute='name') | list }} {{ people | selectattr('tags') | list | count }} {{ l | select('odd') | list }} {{ l | reject('eq', 1) | list }} {{ ['a','b'] | map('upper') | list }}
{{ d | tojson }} {{ d | tojson(indent=2) }} {{ u | tojson }} {{ q | tojson }} {{ [1.0, true, none] | tojson }} {{ e | tojson(indent=4) }} {{ {} | tojson }} {{ f | tojson }}
{{ text | indent(4) }}|{{ text | indent(2, true) }}|{{ text.splitlines() }}|{{ text.split('\n') }}|{{ csv.split(',') }}|{{ csv.split(',', 1) }}|{{ s.split() }}|{{ csv.split(',')[-1] | trim }}
{{ csv.replace(',', ';') }} {{ csv | replace(',', '', 1) }} {{ s.startswith('  H') }} {{ s.endswith(('x', ' ')) }} {{ '-'.join(['a','b']) }} {{ csv.find('b') }} {{ csv.count(',') }} {{ csv.rsplit(',', 1) }}
{{ '42' | int + 1 }} {{ 'x' | int }} {{ '3.9' | int }} {{ 3.9 | int }} {{ '2.5' | float }} {{ -3 | abs }} {{ 2.567 | round(2) }} {{ 2.5 | round | int }} {{ n | string + 'x' }} {{ f is float }} {{ n is integer }}
{{ n | round(1) }} {{ t | round }} {{ 1250 | round(-2) }} {{ 1350 | round(-2) }} {{ 0.15 | round(1) }} {{ 2.675 | round(2) }} {{ 1234.5 | round(-2) }} {{ 2.1 | round(0, 'ceil') }} {{ n | round(1, 'floor') }}
{{ q | title }} {{ d | title }} {{ 'o\'neil-smith (ab) {cd} <ef>x' | title }} {{ 'o\'neil-smith (ab)'.title() }} {{ '0x10' | int(5) }} {{ '0x10' | float(2) }} {{ ' 2.5 ' | float }} {{ '1234'.removesuffix('34') | int }} {{ 'inf' | int(4) }}
{{ ['b','A','B','a'] | unique | list }} {{ ['b','A','B','a'] | unique(case_sensitive=true) | list }} {{ people | unique(attribute='age') | map(attribute='name') | list }} {{ ['b','A','c','a'] | min }} {{ ['b','A','C','a'] | max }} {{ ['b','A','C','a'] | max(case_sensitive=true) }} {{ (people | min(attribute='age')).name }} {{ (people | max(attribute='age')).name }}
{{ missing is callable }} {{ t is odd }} {{ no is none and 4.0 is even }} {{ 2.5 is odd }} {{ -3.0 is odd }} {{ f is divisibleby(2) }} {{ 9.0 is divisibleby(3) }} {{ (0 - 9223372036854775807 - 1) is divisibleby(-1) }}
{{ s is string }} {{ l is iterable }} {{ d is mapping }} {{ l is mapping }} {{ n is odd }} {{ n is divisibleby 7 }} {{ n is not none }} {{ t is boolean }} {{ t is true }} {{ n is number }} {{ l is sequence }}
{{ "tab\there" }} {{ 'nl\nx' }} {{ '\u00e9\x41' }} {{ "a" "b" }} {{ 'q\'q' }} {{ "\\d" }}
{{ range(3) | list }} {{ range(1, 6, 2) | list }} {{ dict(a=1, b='x') }} {{ d | dictsort }} {{ d | items | list }} {{ u | length }} {{ '<a href="x">' | e }} {{ d | length }}
{% for x in l %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ ',' if not loop.last }}{% endfor %} {% for x in e %}x{% else %}empty{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {% for k in d %}{{ k }}{% endfor %} {% for p in people if p.age > 30 %}{{ loop.index0 }}{{ p.name }}{{ loop.first }}{{ loop.revindex }} {% endfor %}
{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %} {% for a in [1,2] %}{% for b in [1,2] %}{{ a }}{{ b }}{{ loop.depth }} {% endfor %}{% endfor %}
{% set x = 1 %}{% for i in l %}{% set x = i %}{% endfor %}{{ x }} {% set ns = namespace(v=0) %}{% for i in l %}{% set ns.v = ns.v + i %}{% endfor %}{{ ns.v }} {% set a, b = 1, 2 %}{{ a }}{{ b }} {% set c %}blk {{ n }}{% endset %}[{{ c }}] {% if t %}{% set y = 5 %}{% endif %}{{ y }}
{% macro m(a, b='dflt', c=none) %}<{{ a }}|{{ b }}|{{ c }}>{% endmacro %}{{ m(1) }}{{ m(1, c=2) }}{{ m('x', 'y') | upper }} {% filter upper %}abc{{ n }}{% endfilter %} {% set up | upper | trim %} ab {% endset %}{{ up }}
{% if n > 10 %}a{% elif n > 5 %}b{% else %}c{% endif %} {% if missing %}x{% endif %}{% if e %}x{% else %}empty{% endif %}{% if no is none and n is defined %}ok{% endif %}
{% generation %}gen {{ n }}{% endgeneration %} {# comment #}after {#- strip -#} x {{- n -}} y {%- if t -%} z {%- endif -%} w
{% for x in l -%} {{ x }} {%- endfor %} | {%+ if t %} keep{% endif %} {{ loop is defined }} {% for x in l %}{{ loop.cycle('a','b') }}{{ loop.previtem is defined }}{{ loop.nextitem | default('end') }} {% endfor %}
{{ people[0].name[0] | lower }} {{ people | length > 2 }} {{ (n + 1) * 2 }} {{ n + 1 * 2 }} {{ not n == 7 }} {{ -n | abs }} {{ 'a' + 'b' | upper }} {{ l | length - 1 }} {{ 10 - 2 - 3 }} {{ 2 * 3 % 4 }} {{ 'a' ~ 1 + 2 }}
""".strip().split("\n")


@pytest.mark.parametrize("i", range(len(SNIPPETS)))
def test_expressions(lib, i):
    for piece in [SNIPPETS[i]] + (SNIPPETS[i].split(" {{") if "{%" not in SNIPPETS[i] else []):
        piece = piece if piece.startswith("{") or "{{" not in SNIPPETS[i].split(" {{")[0] and piece is SNIPPETS[i] else "{{" + piece
        try:
            want = theirs(piece, VARS)
        except Exception as e:
            with pytest.raises(LacusError):
                ours(lib, piece, VARS), e
            continue
        assert ours(lib, piece, VARS) == want, piece


LAYOUT = ["a\n{% if t %}\n  b\n{% endif %}\nc\n", "  {% if t %}x{% endif %}  \n  {{ n }}\n", "x  {% if t %}\n\n y{% endif %}\n\n", "\n\n{{ n }}\n\n", "{%- for x in l %}\n  {{ x }}\n{%- endfor %}\n",
          "   {# c #}   \nz", "{# c #}\nz", "{{ n }}\n{{ n }}", "\t{%- if t %} a\n\t{%- endif %}b", "a {%+ if t %} b {%+ endif %} c", "a{% if t +%}\nb{% endif %}", "{{ '}}' }} {{ {'a': {'b': 1}} }}", "{{ \"{%\" }}", "", "\n", "text only"]


@pytest.mark.parametrize("template", LAYOUT)
def test_white_space(lib, template):
    assert ours(lib, template, VARS) == theirs(template, VARS)


@pytest.mark.parametrize("template, message", [
    ("{{ x", "not closed"), ("{% if t %}", "'endif' is missing|'else' is missing|missing"), ("{% include 'x' %}", "tag 'include'"), ("{{ n | nosuch }}", "filter 'nosuch'"), ("{{ n is nosuch }}", "test 'nosuch'"),
    ("{{ missing.x }}", "'missing' is undefined"), ("{{ s.nosuch() }}", "method 'nosuch'"), ("{{ 1 + 'a' }}", "does not work"), ("{{ l.append(1) }}", "may not change"), ("{{ raise_exception('only users') }}", "only users"),
    ("{% for i in range(1000000) %}x{% endfor %}", "limited"), ("{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}", "too many steps|too long|memory"), ("{{ " + "(" * 500 + "1" + ")" * 500 + " }}", "nested"),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "deep"), ("{{ 1 // 0 }}", "division"), ("{{ 1e20 | int }}", "too large"), ("{{ (0 - 9223372036854775807 - 1) // -1 }}", "too large"), ("{{ 1 | round(1, 'up') }}", "method must be"), ("{{ {'a': 1}[1:] }}", "no slices"), ("{{ 9223372036854775807 + 1 }}", "too large"), ("{% set n.x = 1 %}", "namespace"), ("{% endfor %}", "endfor"), ("{{ 'abc }}", "not closed"), ("{{ n ! }}", "unexpected")])
def test_bad_templates_are_named(lib, template, message):
    with pytest.raises(LacusError, match=message):
        ours(lib, template, VARS)
