"""WITHIN GROUP, pipes and what only an analyser finds: the same statements on the embedded engine and on a real Spark server."""
import pathlib

import differential
import test_sql_differential

FILE = pathlib.Path(__file__).parent / "sql_words.txt"


def test_words(tmp_path, spark_server, monkeypatch, capsys):
    monkeypatch.setattr(test_sql_differential, "STATEMENTS", FILE)
    test_sql_differential.test_statements(tmp_path, spark_server, capsys)
