"""Asks a real Spark for the answers to the examples of the table of functions: python make.py > spark.json

Each example becomes {"schema": [[name, type], …], "show": what show(20, False) prints} or {"error": its class}.
"""

import json
import re
import sys
from pathlib import Path

from pyspark.sql import SparkSession

TABLE = Path(__file__).parents[3] / "runtime/dataframe/sqlgen/functions.def"


def examples():
    for line in TABLE.read_text().splitlines():
        if line.startswith("FN("):
            texts = re.findall(r'"((?:[^"\\]|\\.)*)"|\bNULL\b', line)
            if len(texts) >= 2 and texts[-2] and "F." not in texts[-2]:  # not those in Lua
                yield texts[-2].replace('\\"', '"').replace("\\\\", "\\")


def answer(spark, expression):
    try:
        df = spark.sql("SELECT " + expression)
        schema = [[f.name, f.dataType.simpleString()] for f in df.schema.fields]
        return {"schema": schema, "show": df._show_string(20, False, False)}
    except Exception as e:
        return {"error": str(e).split("]")[0].lstrip("[")}


def main():
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.timeType.enabled", "true")
        .getOrCreate()
    )
    found = {e: answer(spark, e) for e in sorted(set(examples()))}
    json.dump(found, sys.stdout, indent=0, ensure_ascii=False, sort_keys=True)


if __name__ == "__main__":
    main()
