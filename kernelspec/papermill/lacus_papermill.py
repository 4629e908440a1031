"""papermill and notebooks in Lua: a translator of parameters, and an engine that lets `lacus run` do the work.

papermill loads this module through the entry point `papermill.engine`. With it installed, `papermill in.ipynb
out.ipynb -p lr 0.1` works on a Lua notebook as it does on one in Python; `--engine lacus` runs the cells in one
`lacus` process instead of a Jupyter kernel.
"""
import ctypes
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import nbformat
from papermill.engines import Engine
from papermill.models import Parameter
from papermill.translators import Translator, papermill_translators

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_RESERVED = "and|break|do|else|elseif|end|false|for|function|goto|if|in|local|nil|not|or|repeat|return|then|true|until|while"
_WORD = re.compile(rf"(?!(?:{_RESERVED})\Z)[A-Za-z_][A-Za-z_0-9]*\Z")


class LuaTranslator(Translator):
    """Values of parameters as Lua literals."""

    @classmethod
    def translate_none(cls, val):
        return "nil"

    @classmethod
    def translate_escaped_str(cls, str_val):
        text = str(str_val).replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c >= " " else f"\\{ord(c):03d}" for c in text) + '"'

    @classmethod
    def translate_float(cls, val):
        if math.isnan(val):
            return "(0/0)"
        if math.isinf(val):
            return "math.huge" if val > 0 else "-math.huge"
        return repr(val)

    @classmethod
    def translate_list(cls, val):
        return "{" + ", ".join(cls._item(v) for v in val) + "}"

    @classmethod
    def translate_dict(cls, val):
        return "{" + ", ".join(f"[{cls.translate(k)}] = {cls._item(v)}" for k, v in val.items()) + "}"

    @classmethod
    def _item(cls, val):
        """A nil would drop what is in a list, so there it is the null of JSON."""
        return "null" if val is None else cls.translate(val)

    @classmethod
    def comment(cls, cmt_str):
        return f"-- {cmt_str}".strip()

    @classmethod
    def assign(cls, name, str_val):
        target = name if _WORD.match(name) else f"_G[{cls.translate_str(name)}]"
        return f"{target} = {str_val}"

    @classmethod
    def inspect(cls, parameters_cell):
        """The assignments of the parameters cell: name, default, type (after `---@type` or guessed), comment as help."""
        found, pieces = [], [m[0] for m in _PIECE.finditer(parameters_cell["source"] + "\n")]
        at, depth, fresh = 0, 0, True
        while at < len(pieces):
            words = [p for p in pieces[at : at + 6] if not p.isspace()] if fresh and depth == 0 else []
            words = words[1:] if words[:1] == ["local"] else words
            if words[1:2] == ["="] and _WORD.match(words[0]):
                at, default, note = _value(pieces, pieces.index("=", at) + 1)
                hint = re.match(r"@type\s+(\S+)\s*", note)
                kind = hint[1] if hint else _type_of(default)
                found.append(Parameter(name=words[0], inferred_type_name=kind, default=default, help=note[hint.end() :] if hint else note))
                continue
            depth += _DEPTH.get(pieces[at], 0)
            fresh = pieces[at] in ("\n", ";") or (fresh and pieces[at].isspace())
            at += 1
        return found


# comments, long and quoted strings, words and numbers, blanks, ends of lines, other signs
_PIECE = re.compile(
    r"""--\[(=*)\[.*?\]\1\]|--[^\n]*|\[(=*)\[.*?\]\2\]|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[\w.]+|[ \t\r]+|\n|[=~<>]=|.""", re.S
)
_DEPTH = {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1, "if": 1, "do": 1, "function": 1, "repeat": 1, "end": -1, "until": -1}


def _value(pieces, at):
    """The value that begins at a piece: the piece after it, its text, and the comment behind it."""
    text, depth = "", 0
    while at < len(pieces) and not (depth == 0 and text.strip() and (pieces[at] in ("\n", ";") or pieces[at].startswith("--"))):
        depth += _DEPTH.get(pieces[at], 0)
        text += "" if pieces[at].startswith("--") else pieces[at]
        at += 1
    rest = "".join(pieces[at:]).split("\n", 1)[0] if at < len(pieces) else ""
    comment = re.match(r";?\s*--+(?!\[=*\[)\s*(.*)", rest)
    return at, text.strip(), comment[1].strip() if comment else ""


def _type_of(text):
    if re.match(r"""["']|\[=*\[""", text):
        return "string"
    if text in ("true", "false"):
        return "boolean"
    if text.startswith("{"):
        return "table"
    return "number" if re.match(r"-?\s*\.?\d", text) else "None"


def program():
    """The lacus to use: $LACUS, the one of the installed kernelspec, the one on the PATH."""
    named = os.environ.get("LACUS")
    if named:
        return named
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        return KernelSpecManager().get_kernel_spec("lacus").argv[0]
    except Exception:  # no kernelspec of that name
        found = shutil.which("lacus")
        if not found:
            raise FileNotFoundError("lacus is not found: set LACUS, or run 'lacus kernelspec install --user'") from None
        return found


def _end_with_parent():
    """In the child: papermill that is killed cannot end it (PR_SET_PDEATHSIG)."""
    if _libc:
        _libc.prctl(1, signal.SIGTERM)


class LacusEngine(Engine):
    """The cells run by `lacus run`; the parameters are in the notebook already."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, log_output=False, stdout_file=None, stderr_file=None, execution_timeout=None, **kwargs):
        with tempfile.TemporaryDirectory() as folder:
            source, target = os.path.join(folder, "in.ipynb"), os.path.join(folder, "out.ipynb")
            nbformat.write(nb_man.nb, source)
            command = [program(), "run", source, target, "-q", "--kernel", "lacus"]
            if execution_timeout:
                command += ["--cell-timeout", str(execution_timeout)]
            if log_output:
                command.append("--log-output")
            said = []
            try:
                cls._run(command, said, log_output)
            finally:  # interrupted, too: what it has done so far
                if os.path.exists(target):
                    cls._take_over(nb_man, json.load(open(target, encoding="utf-8")), stdout_file, stderr_file)
            if not os.path.exists(target):
                raise RuntimeError("".join(said).strip() or "lacus wrote no notebook")

    @staticmethod
    def _run(command, said, log_output):
        with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", preexec_fn=_end_with_parent) as child:
            try:
                for line in child.stderr:
                    said.append(line)
                    if log_output:
                        sys.stderr.write(line)
            except BaseException:
                child.terminate()  # it ends what its cells have started, and is waited for
                raise

    @classmethod
    def _take_over(cls, nb_man, done, stdout_file, stderr_file):
        run = [c for c in done["cells"] if "papermill-error-cell-tag" not in c["metadata"].get("tags", [])]
        for index, (cell, ours) in enumerate(zip(nb_man.nb.cells, run)):
            if cell.cell_type == "code":
                cell.outputs = nbformat.from_dict([_joined(o) for o in ours["outputs"]])
                cell.execution_count = ours["execution_count"]
                for output in cell.outputs:
                    to = {"stdout": stdout_file, "stderr": stderr_file}.get(output.get("name"))
                    if to:
                        to.write(output["text"])
            note = ours["metadata"].get("papermill", {})
            cell.metadata.papermill.update(note)
            if note.get("exception"):
                nb_man.cell_exception(cell, cell_index=index)
            if nb_man.pbar and note.get("status") == "completed":
                nb_man.pbar.update(1)
        for key in ("lacus", "language_info", "widgets"):  # widgets: what they show in a closed notebook
            if key in done["metadata"]:
                nb_man.nb.metadata[key] = nbformat.from_dict(done["metadata"][key])
        nb_man.save()


def _joined(output):
    """Texts in one piece, as nbformat has them in memory."""
    if isinstance(output.get("text"), list):
        output["text"] = "".join(output["text"])
    for mime, value in output.get("data", {}).items():
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            output["data"][mime] = "".join(value)
    return output


papermill_translators.register("lua", LuaTranslator)
papermill_translators.register("lacus", LuaTranslator)
