"""Statements of SQL on the embedded engine and on a real Spark server: names, types and rows of what each gives, and the classes of errors."""
import pathlib

import differential
import pytest

FOLDER = pathlib.Path(__file__).parent


def statements(file):
    """(statement, why it differs or None), in order."""
    why = None
    for line in (FOLDER / file).read_text().splitlines():
        if line.startswith("differs: "):
            why = line[len("differs: "):]
        elif line.strip() and not line.startswith("#"):
            yield line, why
            why = None


def cases(file, using):
    return [(f"{i:03d}", f"spark:sql([=====[{s.replace('{using}', using)}]=====])") for i, (s, _) in enumerate(statements(file))]


@pytest.mark.parametrize("file", ["sql_statements.txt", "sql_words.txt", "sql_edges.txt", "sql_file_tables.txt", "sql_queries.txt", "sql_names.txt"])
def test_statements(tmp_path, spark_server, capsys, file):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here = differential.run(tmp_path / "here", cases(file, ""), 300)
    there = differential.run(tmp_path / "there", cases(file, "USING parquet"), 600, SPARK_REMOTE=spark_server.url)
    all_of_them, same, wrong, stale = list(statements(file)), 0, [], []
    for i, (statement, why) in enumerate(all_of_them):
        a, b = here[f"{i:03d}"], there[f"{i:03d}"]
        ordered = statement.startswith(("SHOW", "DESC")) or (" ORDER BY " in statement and "GROUPING SETS" not in statement)  # sets tie
        found = differential.difference(a, b, ordered=ordered)
        if not found and file in ("sql_queries.txt", "sql_names.txt") and "schema" in a and differential.nullability(a) != differential.nullability(b):
            found = "what may be NULL"
        same += found is None
        if found and not why:
            wrong.append(f"{statement}\n    {found}\n    here:  {str(a)[:300]}\n    there: {str(b)[:300]}")
        if why and not found:
            stale.append(f"{statement}: does not differ any more ({why})")
    with capsys.disabled():
        print(f"\n{file}: {same} of {len(all_of_them)} agree on both engines")
    assert not wrong, "\n".join(wrong)
    assert not stale, "\n".join(stale)
