"""The rules of the tree: who may include whom, where lua.h may be, what no file may contain."""
import collections
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = ("repl", "kernel", "magics", "widgets", "runtime", "gpu")
LUA_HEADER = re.compile(r'#\s*include\s*[<"](?:lua5\.4/)?(?:lua|lualib|lauxlib)\.h[>"]')


def sources():
    listed = subprocess.run(["git", "ls-files", *CODE], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [p for p in listed if p.endswith((".c", ".h", ".cu", ".cuh")) and (ROOT / p).exists()]


def room(path):
    """The folder that counts: runtime/X is one, everything below gpu/ is one."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "runtime" else parts[0]


def edges():
    found = collections.defaultdict(set)
    for path in sources():
        for line in (ROOT / path).read_text(errors="replace").splitlines():
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if m and m[1].split("/")[0] in CODE and room(m[1]) != room(path):
                found[room(path)].add((room(m[1]), path))
    return found


def test_sources_are_seen():
    assert len(sources()) > 40


def test_no_include_cycle_between_folders():
    graph = {a: {b for b, _ in bs} for a, bs in edges().items()}
    state, stack = {}, []

    def visit(node):
        state[node] = 1
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            assert state.get(other) != 1, "include cycle: " + " -> ".join(stack[stack.index(other):] + [other])
            if other not in state:
                visit(other)
        stack.pop()
        state[node] = 2

    for node in sorted(graph):
        if node not in state:
            visit(node)


def test_layers():
    allowed_above_runtime = {"repl": {"kernel", "magics", "widgets", "gpu"}, "kernel": {"magics", "widgets"}, "magics": set(), "widgets": set(), "gpu": set()}
    for source, targets in edges().items():
        for target, path in targets:
            if source == "gpu":
                assert target == "runtime/base", f"{path} includes {target}: gpu/ knows only itself and runtime/base"
            elif source in allowed_above_runtime:
                assert target.startswith("runtime/") or target in allowed_above_runtime[source], f"{path} includes {target}"
            else:
                assert target.startswith("runtime/") or target == "gpu", f"{path} includes {target}"
            if source == "runtime/base":
                raise AssertionError(f"{path}: runtime/base includes {target}")


def test_lua_only_in_its_rooms():
    for path in sources():
        if re.search(r"_lua\.[ch]$", path) or path.startswith(("runtime/session/", "magics/", "widgets/")):
            continue
        assert not LUA_HEADER.search((ROOT / path).read_text(errors="replace")), f"{path} includes lua.h"


def test_headers_open_with_a_contract():
    for path in sources():
        if path.endswith(".h") and not path.endswith("_int.h"):
            text = (ROOT / path).read_text()
            head = text[: text.find("#ifndef")] if "#ifndef" in text else text[:2000]
            for word in ("/*", "Ownership", "Threads", "Example"):
                assert word in head, f"{path}: no '{word}' in the contract at its top"


def test_contracts_have_one_label_per_line():
    label = re.compile(r"(?<=[.:;)] )(What|Ownership|Units|Errors|Threads|Source|Example)(:| {2,})")
    for path in sources():
        if path.endswith(".h"):
            head = re.match(r"/\*.*?\*/", (ROOT / path).read_text(), re.S)
            for line in head[0].splitlines() if head else ():
                assert len(line) <= 130, f"{path}: {line}"
                assert not label.search(line.lstrip(" *")), f"{path}: a label in the middle of a line: {line}"


def test_nothing_strays():
    """What a test or a trial leaves in the checkout must not be committed with the rest: everything has its room."""
    rooms = {*CODE, "docs", "examples", "kernelspec", "tests", ".ci"}
    files = {"CHANGES.md", "LICENSE", "Makefile", "README.md", "VERSION", "cuda.mk", "deps.mk", "plugins.mk", ".clang-format", ".clang-tidy", ".gitignore"}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    strays = [p for p in listed if p and p not in files and p.split("/")[0] not in rooms]
    assert not strays, f"in no room of the tree: {strays}"


def test_no_file_is_two_rooms():
    for path in sources():
        assert len((ROOT / path).read_text().splitlines()) <= 1300, f"{path} is over 1,300 lines: it has more than one subject"


def test_banned_calls():
    banned = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|gets|strtok|gmtime|localtime|asctime|ctime)\s*\(")
    for path in sources():
        text = re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", "", (ROOT / path).read_text(errors="replace"), flags=re.S)
        m = banned.search(text)
        assert not m, f"{path} calls {m[1]}"


def test_options_that_are_asked_for_are_offered():
    """Completion's table of options (runtime/dataframe/options.c) has the keys that readers and writers look for, and no others."""
    ask = re.compile(r"\b(?:plan_option|truth|option|given|is_on|take_time|is_true|setting_of)\(([^;{}]*)")
    places = [p for p in sources() if re.match(r"runtime/(dataframe/(sqlgen/source|engines/duckdb/write)|catalog/resolve|spark/(reader|writer)_lua)", p)]
    asked = set()
    for path in places:
        for call in ask.findall((ROOT / path).read_text()):
            asked |= {word.lower() for word in re.findall(r'"([A-Za-z]{3,})"', call) if word not in ("true", "false", "none", "snappy", "UTF")}
        asked |= {word.lower() for word in re.findall(r'"(\w+Format)"', (ROOT / path).read_text())}
    table = (ROOT / "runtime/dataframe/options.c").read_text()
    offered = {name.lower() for name in re.findall(r'\{"(\w+)", [A-Z |]+, [A-Z |]+\}', table)}
    assert len(asked) > 25 and offered == asked, (offered - asked, asked - offered)


def test_libraries_do_not_end_the_process():
    for path in sources():
        if path.startswith("repl/"):
            continue
        text = re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", "", (ROOT / path).read_text(errors="replace"), flags=re.S)
        m = re.search(r"(?<![\w.>])(exit|abort|_exit|quick_exit)\s*\(", text)
        assert not m, f"{path} calls {m[1]}"


def test_program_is_lean():
    """A kernel that adds 1 + 1 pays for nothing else: the program links only what every session needs."""
    out = subprocess.run(["readelf", "-d", ROOT / "build" / "lacus"], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(.*?)\.so", out))
    # libstdc++ is libzmq's; the program names it first (Makefile, FIRST)
    allowed = {"libstdc++", "libzmq", "libsodium", "libjansson", "liblua5.4", "libc", "libm", "libpthread", "libdl", "ld-linux-x86-64", "libgcc_s"}
    assert needed <= allowed, needed - allowed


def test_program_is_hardened():
    out = subprocess.run(["readelf", "-Wdlh", ROOT / "build" / "lacus"], capture_output=True, text=True, check=True).stdout
    assert "BIND_NOW" in out
    assert "GNU_RELRO" in out
    assert re.search(r"Type:\s+DYN", out), "not position independent"
    stack = [line for line in out.splitlines() if "GNU_STACK" in line]
    assert stack and "RWE" not in stack[0]
