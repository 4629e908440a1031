"""TPC-H against DuckDB's own Python client of the same version, on the same Parquet files. The rows come from DuckDB's dbgen where its extension can be had,
else from a generator of our own with the same tables, keys and domains (not the same rows, so the figures are ratios and nothing else).
Beside a local Spark on the same files ours may take an eighth of its time. LACUS_BENCH_SF for another scale factor than 1."""
import os
import pathlib
import statistics
import tempfile

import duckdb

from groupby_bench import in_turn
from local_spark import local_spark, times
from table import Table

ROOT = pathlib.Path(__file__).resolve().parents[2]
SF = float(os.environ.get("LACUS_BENCH_SF", "1"))
TABLES = ("region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem")

DATE = "DATE '1992-01-01' + (hash({k}) % 2400)::INTEGER"
PICK = "list_extract({list}, 1 + (hash({k}) % {n})::INTEGER)"


def pick(k, words):
    return PICK.format(k=k, n=len(words), list="[" + ", ".join(f"'{w}'" for w in words) + "]")


def tables():
    """name → SELECT, for a database without dbgen."""
    customers, parts, suppliers, orders = int(150000 * SF), int(200000 * SF), max(int(10000 * SF), 4), int(1500000 * SF)
    money = lambda k, top: f"((hash({k}) % {top * 100})::DECIMAL(17,2) / 100)::DECIMAL(15,2)"
    key = lambda k, n: f"(1 + hash({k}) % {n})::BIGINT"  # hash is unsigned, dbgen's keys are not
    types = [f"{a} {b} {c}" for a in ("STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO") for b in ("ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED")
             for c in ("TIN", "NICKEL", "BRASS", "STEEL", "COPPER")]
    containers = [f"{a} {b}" for a in ("SM", "LG", "MED", "JUMBO", "WRAP") for b in ("CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM")]
    nations = ["ALGERIA", "ARGENTINA", "BRAZIL", "CANADA", "EGYPT", "ETHIOPIA", "FRANCE", "GERMANY", "INDIA", "INDONESIA", "IRAN", "IRAQ", "JAPAN", "JORDAN", "KENYA", "MOROCCO", "MOZAMBIQUE",
               "PERU", "CHINA", "ROMANIA", "SAUDI ARABIA", "VIETNAM", "RUSSIA", "UNITED KINGDOM", "UNITED STATES"]
    regions = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]
    of = lambda words: "list_extract([" + ", ".join(f"'{w}'" for w in words) + "], range + 1)"
    return {
        "region": f"SELECT range::INTEGER r_regionkey, {of(regions)} r_name FROM range(5)",
        "nation": f"SELECT range::INTEGER n_nationkey, {of(nations)} n_name, (range % 5)::INTEGER n_regionkey FROM range(25)",
        "supplier": f"SELECT range + 1 s_suppkey, 'Supplier#' || range s_name, (hash(range) % 25)::INTEGER s_nationkey, {money('range + 7', 9999)} s_acctbal FROM range({suppliers})",
        "customer": f"SELECT range + 1 c_custkey, 'Customer#' || range c_name, (hash(range) % 25)::INTEGER c_nationkey, {money('range', 9999)} c_acctbal, 'street ' || range c_address,"
                    f" {pick('range + 3', ['AUTOMOBILE', 'BUILDING', 'FURNITURE', 'MACHINERY', 'HOUSEHOLD'])} c_mktsegment, '10-' || (hash(range) % 10000000) c_phone FROM range({customers})",
        "part": f"SELECT range + 1 p_partkey, 'part ' || (hash(range) % 1000) || ' green' p_name, 'Brand#' || (11 + hash(range + 1) % 45) p_brand, {pick('range + 2', types)} p_type,"
                f" (1 + hash(range + 3) % 50)::INTEGER p_size, {pick('range + 4', containers)} p_container FROM range({parts})",
        "partsupp": f"SELECT 1 + range // 4 ps_partkey, 1 + (range // 4 + range % 4 * {max(suppliers // 4, 1)}) % {suppliers} ps_suppkey, (hash(range) % 9999)::INTEGER ps_availqty,"
                    f" {money('range + 5', 1000)} ps_supplycost FROM range({4 * parts})",
        "orders": f"SELECT 1 + range * 4 o_orderkey, {key('range', customers)} o_custkey, {pick('range + 1', ['F', 'O', 'P'])} o_orderstatus, {money('range + 2', 500000)} o_totalprice,"
                  f" {DATE.format(k='range + 3')} o_orderdate, {pick('range + 4', ['1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW'])} o_orderpriority, 0 o_shippriority FROM range({orders})",
        "lineitem": f"SELECT 1 + (range // 4) * 4 l_orderkey, {key('range', parts)} l_partkey, {key('range + 1', suppliers)} l_suppkey, (1 + range % 4)::INTEGER l_linenumber,"
                    f" (1 + hash(range + 2) % 50)::DECIMAL(15,2) l_quantity, {money('range + 3', 100000)} l_extendedprice, ((hash(range + 4) % 11)::DECIMAL(17,2) / 100)::DECIMAL(15,2) l_discount,"
                    f" ((hash(range + 5) % 9)::DECIMAL(17,2) / 100)::DECIMAL(15,2) l_tax, {pick('range + 6', ['A', 'N', 'R'])} l_returnflag, {pick('range + 7', ['F', 'O'])} l_linestatus,"
                    f" {DATE.format(k='range // 4 + 3')} + (1 + hash(range + 8) % 121)::INTEGER l_shipdate, {DATE.format(k='range // 4 + 3')} + (30 + hash(range + 9) % 61)::INTEGER l_commitdate,"
                    f" {DATE.format(k='range // 4 + 3')} + (2 + hash(range + 10) % 150)::INTEGER l_receiptdate,"
                    f" {pick('range + 11', ['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])} l_shipinstruct,"
                    f" {pick('range + 12', ['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB'])} l_shipmode FROM range({4 * orders})",
    }


QUERIES = {
    1: """select l_returnflag, l_linestatus, sum(l_quantity) sum_qty, sum(l_extendedprice) sum_base_price, sum(l_extendedprice * (1 - l_discount)) sum_disc_price,
 sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) sum_charge, avg(l_quantity) avg_qty, avg(l_extendedprice) avg_price, avg(l_discount) avg_disc, count(*) count_order
 from lineitem where l_shipdate <= date '1998-09-02' group by l_returnflag, l_linestatus order by l_returnflag, l_linestatus""",
    3: """select l_orderkey, sum(l_extendedprice * (1 - l_discount)) revenue, o_orderdate, o_shippriority from customer, orders, lineitem where c_mktsegment = 'BUILDING' and c_custkey = o_custkey
 and l_orderkey = o_orderkey and o_orderdate < date '1995-03-15' and l_shipdate > date '1995-03-15' group by l_orderkey, o_orderdate, o_shippriority order by revenue desc, o_orderdate limit 10""",
    4: """select o_orderpriority, count(*) order_count from orders where o_orderdate >= date '1993-07-01' and o_orderdate < date '1993-10-01'
 and exists (select * from lineitem where l_orderkey = o_orderkey and l_commitdate < l_receiptdate) group by o_orderpriority order by o_orderpriority""",
    5: """select n_name, sum(l_extendedprice * (1 - l_discount)) revenue from customer, orders, lineitem, supplier, nation, region where c_custkey = o_custkey and l_orderkey = o_orderkey
 and l_suppkey = s_suppkey and c_nationkey = s_nationkey and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = 'ASIA' and o_orderdate >= date '1994-01-01'
 and o_orderdate < date '1995-01-01' group by n_name order by revenue desc""",
    6: """select sum(l_extendedprice * l_discount) revenue from lineitem where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01' and l_discount between 0.05 and 0.07 and l_quantity < 24""",
    10: """select c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) revenue, c_acctbal, n_name, c_address, c_phone from customer, orders, lineitem, nation where c_custkey = o_custkey
 and l_orderkey = o_orderkey and o_orderdate >= date '1993-10-01' and o_orderdate < date '1994-01-01' and l_returnflag = 'R' and c_nationkey = n_nationkey
 group by c_custkey, c_name, c_acctbal, c_phone, n_name, c_address order by revenue desc limit 20""",
    11: """select ps_partkey, sum(ps_supplycost * ps_availqty) v from partsupp, supplier, nation where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = 'GERMANY'
 group by ps_partkey having sum(ps_supplycost * ps_availqty) > (select sum(ps_supplycost * ps_availqty) * 0.0001 from partsupp, supplier, nation where ps_suppkey = s_suppkey
 and s_nationkey = n_nationkey and n_name = 'GERMANY') order by v desc""",
    12: """select l_shipmode, sum(case when o_orderpriority = '1-URGENT' or o_orderpriority = '2-HIGH' then 1 else 0 end) high_line_count,
 sum(case when o_orderpriority <> '1-URGENT' and o_orderpriority <> '2-HIGH' then 1 else 0 end) low_line_count from orders, lineitem where o_orderkey = l_orderkey
 and l_shipmode in ('MAIL', 'SHIP') and l_commitdate < l_receiptdate and l_shipdate < l_commitdate and l_receiptdate >= date '1994-01-01' and l_receiptdate < date '1995-01-01'
 group by l_shipmode order by l_shipmode""",
    14: """select 100.00 * sum(case when p_type like 'PROMO%' then l_extendedprice * (1 - l_discount) else 0 end) / sum(l_extendedprice * (1 - l_discount)) promo_revenue from lineitem, part
 where l_partkey = p_partkey and l_shipdate >= date '1995-09-01' and l_shipdate < date '1995-10-01'""",
    16: """select p_brand, p_type, p_size, count(distinct ps_suppkey) supplier_cnt from partsupp, part where p_partkey = ps_partkey and p_brand <> 'Brand#45' and p_type not like 'MEDIUM POLISHED%'
 and p_size in (49, 14, 23, 45, 19, 3, 36, 9) group by p_brand, p_type, p_size order by supplier_cnt desc, p_brand, p_type, p_size""",
    18: """select c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) q from customer, orders, lineitem where o_orderkey in (select l_orderkey from lineitem group by l_orderkey
 having sum(l_quantity) > 180) and c_custkey = o_custkey and o_orderkey = l_orderkey group by c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice order by o_totalprice desc, o_orderdate limit 100""",
    19: """select sum(l_extendedprice * (1 - l_discount)) revenue from lineitem, part where p_partkey = l_partkey and l_shipmode in ('AIR', 'REG AIR') and l_shipinstruct = 'DELIVER IN PERSON'
 and ((p_brand = 'Brand#12' and l_quantity between 1 and 11 and p_size between 1 and 5) or (p_brand = 'Brand#23' and l_quantity between 10 and 20 and p_size between 1 and 10)
 or (p_brand = 'Brand#34' and l_quantity between 20 and 30 and p_size between 1 and 15))""",
}


def generate(con, folder):
    try:
        con.execute("INSTALL tpch; LOAD tpch")
        con.execute(f"CALL dbgen(sf = {SF})")
        made = {name: f"SELECT * FROM {name}" for name in TABLES}
    except duckdb.Error:
        made = tables()
    for name, query in made.items():
        con.execute(f"COPY ({query}) TO '{folder}/{name}.parquet' (FORMAT parquet)")
        con.execute(f"CREATE OR REPLACE VIEW v_{name} AS SELECT * FROM read_parquet('{folder}/{name}.parquet')")


def main():
    with tempfile.TemporaryDirectory() as folder:
        con = duckdb.connect(config={"threads": os.cpu_count()})
        generate(con, folder)
        for name in TABLES:
            con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM v_{name}")
        views = "".join(f'spark.read:parquet("{folder}/{name}.parquet"):createOrReplaceTempView("{name}")\n' for name in TABLES)
        table, ours, theirs, spark_took = Table("tpch"), 0, 0, 0
        for number, sql in QUERIES.items():
            rows = len(con.execute(sql).fetchall())
            code = f"{views}local df = spark:sql([[{sql}]])\nassert(#df:collect() == {rows}, 'other rows')\nwhile io.read() do df:collect() io.write('done\\n') io.flush() end"
            a, b = in_turn(code, lambda: con.execute(sql).fetchall())
            table.row(f"TPC-H query {number}, scale {SF:g}", a, b, "s", "duckdb python", "<= 1.05")
            ours, theirs = ours + table.rows[-1]["ours"], theirs + table.rows[-1]["theirs"]
        table.row("TPC-H, these queries together", [ours], [theirs], "s", "duckdb python", "<= 1.05")
        with local_spark() as spark:
            for name in TABLES if spark else ():
                spark.read.parquet(f"{folder}/{name}.parquet").createOrReplaceTempView(name)
            for sql in QUERIES.values() if spark else ():
                spark_took += statistics.median(times(spark, sql, 3))
            if spark:
                table.row("TPC-H, these queries together", [ours], [spark_took], "s", "local Spark", "<= 0.125")
        table.save(ROOT / "build/bench/tpch.json")


if __name__ == "__main__":
    main()
