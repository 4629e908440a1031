"""Products of decimals against Python's decimal: exact where 64 bits do not do, in columns and in sums."""
import decimal

from lacus import script_json

A = ["1234567890123.45", "-9999999999999.99", "0.01", "3.50"]
B = ["12345678901234.56", "99999999999999.99", "0.02", "-2.00"]


def test_products_that_need_more_than_64_bits_are_exact(tmp_path):
    out = script_json(tmp_path, f"""
local rows = {{}}
for i, a in ipairs {{{', '.join(map(repr, A))}}} do rows[i] = {{a, ({{{', '.join(map(repr, B))}}})[i]}} end
local df = spark:createDataFrame(rows, "a string, b string"):selectExpr("cast(a as decimal(15,2)) a", "cast(b as decimal(16,2)) b")
local p = {{}}
for i, r in ipairs(df:select((F.col("a") * F.col("b")):cast("string"):alias("p")):collect()) do p[i] = r.p end
local made = df:withColumn("p", F.col("a") * F.col("b"))
print(json.encode{{p = p, type = made.dtypes[3][2], sum = made:agg(F.sum("p"):cast("string")):first()[1],
  small = df:filter("abs(a) < 10"):agg(F.sum(F.col("a") * F.col("b")):cast("string")):first()[1],
  average = df:agg(F.avg(F.col("a") * F.col("b")):cast("string")):first()[1],
  both = df:agg(F.sum(F.col("a") * F.col("b"))):union(df:agg(F.sum(F.col("b") * F.col("a")))):distinct():count(),
  odd = spark:sql("select cast((select cast(2.5 as decimal(12,1))) * cast(3.0 as decimal(15,2)) as string)"):first()[1]}})
""")
    with decimal.localcontext() as c:
        c.prec = 60
        products = [decimal.Decimal(a) * decimal.Decimal(b) for a, b in zip(A, B)]
        assert [decimal.Decimal(p) for p in out["p"]] == products
        assert out["type"] == "decimal(32,4)"
        assert decimal.Decimal(out["sum"]) == sum(products)
        assert decimal.Decimal(out["small"]) == sum(products[2:])
        assert abs(decimal.Decimal(out["average"]) - sum(products) / 4) <= decimal.Decimal("0.00000001")
    assert out["both"] == 1 and decimal.Decimal(out["odd"]) == decimal.Decimal("7.5")
