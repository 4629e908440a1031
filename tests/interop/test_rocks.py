"""Rocks in C load and work in a cell: lpeg, lua-cjson and luafilesystem as Debian builds them, and one that luarocks builds here."""
import pathlib
import shutil
import subprocess

import pytest
from lacus import lacus, script

PACKAGES = {"lua-lpeg": "lpeg", "lua-cjson": "cjson", "lua-filesystem": "lfs"}


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """A folder with lpeg.so, cjson.so and lfs.so for Lua 5.4, taken out of Debian's packages without installing them."""
    folder = tmp_path_factory.mktemp("debian")
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        pytest.skip("SKIP: no apt-get to get Debian's packages with")
    got = subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, capture_output=True, text=True, timeout=120)
    if got.returncode:
        pytest.skip(f"SKIP: Debian's packages cannot be fetched: {got.stderr[-200:]}")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)
    found = list((folder / "root").glob("usr/lib/*/lua/5.4"))
    assert len(found) == 1
    return found[0]


def cpath(folder):
    return f'package.cpath = "{folder}/?.so;" .. package.cpath\n'


def test_lpeg(home, debian):
    out = script(home, cpath(debian) + """
local lpeg = require "lpeg"
local number = lpeg.C(lpeg.R("09")^1) / tonumber
local sum = lpeg.Cf(number * (lpeg.P("+") * number)^0, function(a, b) return a + b end)
print(sum:match("1+22+300"))
print(pcall(lpeg.match, lpeg.P(function() error("from Lua inside C") end), "x"))""")
    assert out.splitlines()[0] == "323" and "from Lua inside C" in out


def test_cjson(home, debian):
    out = script(home, cpath(debian) + """
local cjson = require "cjson"
print(cjson.encode({1, {a = "é"}}), cjson.decode("[1, null]")[2] == null)
print(pcall(cjson.decode, "{"))
print(cjson.encode(json.decode('{"n": 0.1}')))""")
    assert out.splitlines()[0] == '[1,{"a":"é"}]\ttrue' and out.splitlines()[1].startswith("false\tExpected")
    assert out.splitlines()[2] == '{"n":0.1}'


def test_luafilesystem(home, debian, tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").mkdir()
    out = script(home, cpath(debian) + f"""
local lfs = require "lfs"
local names = {{}}
for name in lfs.dir("{tmp_path}") do if name:find("^%a$") then names[#names + 1] = name .. ":" .. lfs.attributes("{tmp_path}/" .. name).mode end end
table.sort(names)
print(table.concat(names, " "))
local dir = lfs.dir("{tmp_path}")""")
    assert out.strip() == "a:file b:directory"


ROCK = r"""
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

static int reversed(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    while (len)
        luaL_addchar(&b, s[--len]);
    luaL_pushresult(&b);
    return 1;
}

static int kept(lua_State *L, int status, lua_KContext ctx)
{
    (void)status, (void)ctx;
    return lua_gettop(L);
}

static int called(lua_State *L) /* a continuation: yields pass through it */
{
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, kept);
    return kept(L, LUA_OK, 0);
}

static int box_gc(lua_State *L)
{
    memset(lua_touserdata(L, 1), 0, 16);
    return 0;
}

static int box(lua_State *L)
{
    lua_newuserdatauv(L, 16, 1);
    if (luaL_newmetatable(L, "pebble.box")) {
        lua_pushcfunction(L, box_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return 1;
}

int luaopen_pebble_core(lua_State *L)
{
    luaL_checkversion(L);
    luaL_newlib(L, ((const luaL_Reg[]){{"reversed", reversed}, {"called", called}, {"box", box}, {NULL, NULL}}));
    return 1;
}
"""
ROCKSPEC = """
package = "pebble"
version = "1.0-1"
source = {url = "file://%s"}
build = {type = "builtin", modules = {["pebble.core"] = {"pebble.c"}}}
"""


@pytest.fixture(scope="module")
def pebble(tmp_path_factory):
    """The tree of a rock that luarocks builds here from C."""
    folder = tmp_path_factory.mktemp("pebble")
    if not shutil.which("luarocks"):
        pytest.skip("SKIP: luarocks is not installed")
    if not pathlib.Path("/usr/include/lua5.4/lua.h").exists():
        pytest.skip("SKIP: Lua's headers are not installed")
    (folder / "pebble.c").write_text(ROCK)
    (folder / "pebble-1.0-1.rockspec").write_text(ROCKSPEC % folder)
    subprocess.run(["luarocks", "--lua-version=5.4", "make", "--tree", str(folder / "tree"), "pebble-1.0-1.rockspec"], cwd=folder, check=True,
                   capture_output=True, text=True, timeout=120)
    return folder / "tree" / "lib" / "lua" / "5.4"


def test_a_rock_that_luarocks_builds(home, pebble):
    out = script(home, cpath(pebble) + """
local pebble = require "pebble.core"
print(pebble.reversed("abc"), pebble.called(select, "#", 1, 2))
for v in coroutine.wrap(function() pebble.called(coroutine.yield, 7) end) do print(v) break end
for i = 1, 1000 do pebble.box() end
collectgarbage()
print(pcall(pebble.called, error, "through C"))""")
    assert out.splitlines() == ["cba\t2", "7", "false\tthrough C"]


def test_a_missing_rock_says_how_to_get_it(home):
    done = lacus(home, "-", text='require "no_such_rock"')
    assert done.returncode != 0 and "no_such_rock" in done.stdout + done.stderr and "%luarocks install" in done.stdout + done.stderr
    for module, rock in {"cjson": "lua-cjson", "lfs": "luafilesystem", "socket.http": "luasocket"}.items():
        done = lacus(home, "-", text=f'package.path, package.cpath = "", "" require "{module}"')
        assert f"%luarocks install {rock}\n" in done.stderr
