"""The prompt and the runner in a real terminal (tmux): a short session and a sweep, as the README's pictures show them."""
import html
import os
import pathlib
import re
import shutil
import subprocess
import time

import nbformat
import pytest
from kernels import LACUS, ROOT, environment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="SKIP: no tmux is installed")

PACKAGES = """name,section,size
0ad,games,7891488
2048,games,24576
haserl,interpreters,41100
lua5.4,interpreters,217288
libzmq5,libs,291400
libsodium23,libs,161332
"""
SESSION = [
    "local n = 41; function inc() n = n + 1 end",
    "inc(); print(fmt('n is {n}, the lake is {:,} bytes deep', 8627284))",
    "local df = spark.read:csv{'packages.csv', header = true, inferSchema = true}",
    "df:groupBy('section'):agg(F.count('*'):alias('packages'), F.max('size'):alias('largest'))",
    "df.groupBy?",
    "df:filter('sise > 100000')",
    "spark:sql('SELECT name FRO packages')",
    "dff:count()",
]
COLOURS = {"30": "#3b4048", "31": "#e06c75", "32": "#98c379", "33": "#e5c07b", "34": "#61afef", "35": "#c678dd", "36": "#56b6c2", "37": "#dcdfe4", "90": "#7f848e"}


class Terminal:
    def __init__(self, folder, columns, rows, *command):
        self.tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self.env = environment(folder) | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        self.env.pop("TMUX", None)
        subprocess.run([*self.tmux, "new-session", "-d", "-x", str(columns), "-y", str(rows), *(command or [LACUS])], env=self.env, cwd=folder, check=True)

    def text(self, *options):
        return subprocess.run([*self.tmux, "capture-pane", "-p", *options], env=self.env, capture_output=True, text=True, check=True).stdout

    def wait(self, pattern, timeout=20):
        end = time.time() + timeout
        while not re.search(pattern, self.text()):
            assert time.time() < end, f"no {pattern!r} in:\n{self.text()}"
            time.sleep(0.05)

    def type(self, line):
        subprocess.run([*self.tmux, "send-keys", "-l", line], env=self.env, check=True)
        subprocess.run([*self.tmux, "send-keys", "Enter"], env=self.env, check=True)

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], env=self.env, stderr=subprocess.DEVNULL)


def as_html(text):
    """A terminal's text with its colours."""
    out, style = [], ""
    for part in re.split(r"(\x1b\[[\d;]*m)", text.rstrip()):
        if part.startswith("\x1b["):
            for code in part[2:-1].split(";"):
                style = "" if code in ("", "0") else "font-weight:bold" if code == "1" else f"color:{COLOURS[code]}" if code in COLOURS else "" if code == "39" else style
        elif part:
            out.append(f'<span style="{style}">{html.escape(part)}</span>' if style else html.escape(part))
    return ('<meta charset="utf-8"><body style="margin:0;background:#282c34"><pre style="margin:14px 18px;color:#dcdfe4;'
            'font:14px/1.35 \'DejaVu Sans Mono\',monospace">' + "".join(out) + "</pre>")


def picture(folder, name, text, columns):
    shots = pathlib.Path(os.environ.get("LACUS_SCREENSHOTS", ROOT / "build" / "screenshots"))
    shots.mkdir(parents=True, exist_ok=True)
    (folder / "terminal.html").write_text(as_html(text))
    out = shots / f"{name}.png"
    out.unlink(missing_ok=True)
    size = f"{columns * 8 + 90},{int((text.rstrip().count(chr(10)) + 1) * 18.9) + 36}"
    subprocess.run([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--hide-scrollbars", f"--user-data-dir={folder}/chromium", f"--window-size={size}",
                    f"--screenshot={out}", f"file://{folder}/terminal.html"], capture_output=True, timeout=120, check=True)
    return out


def test_a_session_at_the_prompt(tmp_path):
    (tmp_path / "packages.csv").write_text(PACKAGES)
    terminal = Terminal(tmp_path, 112, 60)
    try:
        terminal.wait(r"In \[1\]:")
        number = 1
        for line in SESSION:
            terminal.type(line)
            number += 1
            terminal.wait(rf"In \[{number}\]:")
        seen, coloured = terminal.text(), terminal.text("-e")
    finally:
        terminal.close()
    assert "n is 42, the lake is 8,627,284 bytes deep" in seen
    assert re.search(r"Out\[4\]:\n\+-+\+-+\+-+\+\n\|\s+section\|packages\|largest\|", seen)
    assert "|       games|       2|7891488|" in seen
    assert "Signature: " in seen
    assert re.search(r'\bsise\b.*\bsize\b', seen.split('sise > 100000')[-1], re.S)
    assert re.search(r"^-+\^$", seen, re.M) and re.search(r"-> 1 dff:count\(\)\n +\^\n", seen)  # in the SQL text, in the cell
    if CHROMIUM:
        assert picture(tmp_path, "prompt", coloured, 112).stat().st_size > 10000


DESCENT = ["lr = 0.1; steps = 40", """mlflow.set_experiment('descent')
mlflow.run('lr ' .. lr, function()
  local x = 4.0
  for step = 1, steps do
    x = x - lr * 2 * x
    mlflow.log_metric('loss', x * x, step)
  end
end)"""]


def test_a_sweep_in_a_terminal(tmp_path):
    cells = [nbformat.v4.new_code_cell(c) for c in DESCENT]
    cells[0].metadata.tags = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "lacus", "display_name": "lacus", "language": "lua"}}), tmp_path / "train.ipynb")
    command = "lacus run train.ipynb --sweep lr=0.01,0.02,0.05 --sweep steps=20,40 -j 2 -o 'out/{lr}-{steps}.ipynb'"
    terminal = Terminal(tmp_path, 112, 30, "sh", "-c", f"printf '$ %s\\n' \"$0\"; PATH={os.path.dirname(LACUS)}:$PATH; {command}; sleep 60", command)
    try:
        terminal.wait(r"table and plot: out/train-sweep\.ipynb", 60)
        seen, coloured = terminal.text(), terminal.text("-e")
    finally:
        terminal.close()
    assert "6 of 6 runs ended, 0 failed" in seen and "cell 3/3" not in seen  # the lines of the runs are gone
    losses = {(float(lr), int(steps)): float(loss) for lr, steps, loss in re.findall(r"^([\d.]+) +(\d+) +ok +[\d.]+ +(\S+) +out/", seen, re.M)}
    assert len(losses) == 6
    for (lr, steps), loss in losses.items():
        assert loss == pytest.approx((4 * (1 - 2 * lr) ** steps) ** 2, rel=1e-5)
    bars = [line.count("\u2588") for line in seen.splitlines() if "\u2502" in line]
    assert len(bars) == 6 and bars[0] == max(bars) and bars[5] < bars[4] < bars[3]
    if CHROMIUM:
        assert picture(tmp_path, "sweep", coloured, 112).stat().st_size > 10000
