"""The differential suite: every function, and plans of three kinds drawn at random, on the embedded engine and on a real Spark server: the same names, types and rows.

`make differential` is the long run: LACUS_DIFF_PLANS=700 of each kind and LACUS_DIFF_ALL=1 (LACUS_DIFF_SEED=… for other plans, LACUS_DIFF_TABLE=1 for a line per
disagreement). Every disagreement must have its line in spark_differences.txt."""
import fnmatch
import os

import pytest

import deeper_plans
import differential
import wider_plans


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    return tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")


def compare(cases, homes, server, what, capsys, least=0.8):
    here = differential.run(homes[0], cases, 600)
    there = differential.run(homes[1], cases, 1800, SPARK_REMOTE=server.url)
    known, unknown, lines = differential.known_differences(), [], []
    found = differential.disagreements(cases, here, there)
    for case, code, why in found:
        reason = differential.is_known(known, case, code, why)
        if reason is None:
            unknown.append(f"{case}: {why}\n    {code}")
        lines.append(f"  {case}: {reason or 'NOT EXPLAINED'}")
    failed = sum("error" in there[i] for i, _ in cases)
    with capsys.disabled():
        print(f"\n{what}: {len(cases) - len(found)} of {len(cases)} agree on both engines ({failed} of them by the same error)" if failed else
              f"\n{what}: {len(cases) - len(found)} of {len(cases)} agree on both engines")
        if os.environ.get("LACUS_DIFF_TABLE"):
            print("\n".join(lines))
    schemas = [i for i, _ in cases if "schema" in here.get(i, {}) and "schema" in there.get(i, {})]
    same = [i for i in schemas if differential.nullability(here[i]) == differential.nullability(there[i])]
    with capsys.disabled():
        print(f"  of {len(schemas)} schemas {len(same)} agree on what may be NULL")
    assert len(same) > least * len(schemas), [code for i, code in cases if i in schemas and i not in same]
    assert not unknown, "\n".join(unknown)
    assert len(found) < len(cases) / 3
    return found


def test_functions(homes, spark_server, capsys):
    everything = "LACUS_DIFF_ALL" in os.environ
    cases = [c for c in differential.function_cases() if everything or not c[0].endswith("/drawn")]
    found = compare(cases, homes, spark_server, "calls of functions", capsys, 0.97)
    if everything:
        stale = [p for p, _ in differential.known_differences() if not p.startswith("~") and not any(fnmatch.fnmatchcase(case, p) for case, _, _ in found)]
        assert not stale, f"lines of spark_differences.txt that explain nothing: {stale}"


def test_plans(homes, spark_server, capsys):
    count, seed = int(os.environ.get("LACUS_DIFF_PLANS", "40")), os.environ.get("LACUS_DIFF_SEED", "1")
    compare(differential.plan_cases(count, seed), homes, spark_server, "plans", capsys)


def test_deeper_plans(homes, spark_server, capsys):
    count, seed = int(os.environ.get("LACUS_DIFF_PLANS", "40")), os.environ.get("LACUS_DIFF_SEED", "1")
    compare(deeper_plans.deeper_cases(count, seed), homes, spark_server, "deeper plans", capsys)


def test_wider_plans(homes, spark_server, capsys):
    count, seed = int(os.environ.get("LACUS_DIFF_PLANS", "40")), os.environ.get("LACUS_DIFF_SEED", "31")
    compare(wider_plans.wider_cases(count, seed), homes, spark_server, "wider plans", capsys)


def test_the_suite_sees_a_difference():
    """What it compares with can fail."""
    row = {"names": ["a"], "types": ["int"], "rows": [[1], [2]]}
    assert differential.difference(row, {**row, "rows": [[2], [1]]}) is None
    assert differential.difference(row, {**row, "rows": [[2], [1]]}, ordered=True)
    assert differential.difference(row, {**row, "rows": [[1], [3]]}) and differential.difference(row, {**row, "types": ["bigint"]})
    assert differential.difference(row, {"error": "[X] no"}) and differential.difference({"error": "[X] no"}, {"error": "[Y] no"})
    assert differential.difference({"error": "[X] no"}, {"error": "[X] other words"}) is None
    assert differential.difference({**row, "rows": [[{"f": "1"}]]}, {**row, "rows": [[1]]})
