"""How every benchmark reports: rows of what, ours, theirs, ratio, what the design asks for; printed as a table and kept as JSON."""
import json
import pathlib
import statistics
import sys


class Table:
    def __init__(self, title):
        self.title, self.rows = title, []

    def row(self, what, ours, theirs, unit, peer, goal):
        """ours and theirs are lists of measurements taken in turn (A B A B …) in this run; the ratio is of their medians."""
        a, b = statistics.median(ours), statistics.median(theirs) if theirs else None
        self.rows.append({"what": what, "ours": a, "theirs": b, "unit": unit, "peer": peer, "ratio": a / b if b else None, "goal": goal})
        r = self.rows[-1]
        ratio = f"{r['ratio']:.3f}" if b else "-"
        print(f"{what:<46} {a:>10.4g} {unit:<4} {peer:<26} {b if b is None else round(b, 4)!s:>10}  ratio {ratio:>7}  goal {goal}", flush=True)

    def save(self, path):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_text(json.dumps({"title": self.title, "python": sys.version.split()[0], "rows": self.rows}, indent=1) + "\n")
