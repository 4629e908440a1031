"""papermill and notebooks in Lua: a translator of parameters, and an engine that lets `lacus run` do the work.

papermill loads this module through the entry point `papermill.engine`. With it installed, `papermill in.ipynb
out.ipynb -p lr 0.1` works on a Lua notebook as it does on one in Python; `--engine lacus` runs the cells in one
`lacus` process instead of a Jupyter kernel.
"""
import json
import math
import os
import re
import shutil
import subprocess
import tempfile

import nbformat
from papermill.engines import Engine
from papermill.models import Parameter
from papermill.translators import Translator, papermill_translators

_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")


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
        return "{" + ", ".join(cls.translate(v) for v in val) + "}"

    @classmethod
    def translate_dict(cls, val):
        return "{" + ", ".join(f"[{cls.translate(k)}] = {cls.translate(v)}" for k, v in val.items()) + "}"

    @classmethod
    def comment(cls, cmt_str):
        return f"-- {cmt_str}".strip()

    @classmethod
    def assign(cls, name, str_val):
        target = name if _WORD.match(name) else f"_G[{cls.translate_str(name)}]"
        return f"{target} = {str_val}"

    @classmethod
    def inspect(cls, parameters_cell):
        """The assignments of the parameters cell, one per line: name, default, and the comment behind as help."""
        found = []
        for line in parameters_cell["source"].splitlines():
            m = re.match(r"\s*(?:local\s+)?([A-Za-z_]\w*)\s*=\s*(.+?)\s*;?\s*(?:--\s*(.*))?$", line)
            if m:
                found.append(Parameter(name=m[1], inferred_type_name=_type_of(m[2]), default=m[2], help=m[3] or ""))
        return found


def _type_of(text):
    if re.match(r"""["'\[]""", text):
        return "string"
    if text in ("true", "false"):
        return "boolean"
    if text.startswith("{"):
        return "table"
    return "number" if re.match(r"-?[\d.]", text) else "None"


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
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            if not os.path.exists(target):
                raise RuntimeError(done.stderr.strip() or f"lacus ended with {done.returncode}")
            cls._take_over(nb_man, json.load(open(target, encoding="utf-8")), stdout_file, stderr_file)

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
