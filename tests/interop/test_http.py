"""http and json in a cell, against Python's http.server, a TLS server with a certificate authority of our own, and Python's json."""
import http.server
import json
import os
import pathlib
import signal
import ssl
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LACUS = os.environ.get("LACUS", str(ROOT / "build" / "lacus"))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        if path == "/redirect":
            self.answer(302, b"", Location="/echo?moved=1")
        elif path == "/elsewhere":  # another host: localhost instead of 127.0.0.1
            self.answer(302, b"", Location=f"http://localhost:{self.server.server_port}/echo")
        elif path == "/round":
            self.answer(302, b"", Location="/round")
        elif path == "/to-file":
            self.answer(302, b"", Location="file:///etc/passwd")
        elif path == "/latin":
            self.answer(200, "é €".encode("windows-1252"), Content_Type="text/plain; charset=ISO-8859-1")
        elif path == "/missing":
            self.answer(404, b"not here")
        elif path == "/slow":
            time.sleep(3)
            self.answer(200, b"late")
        elif path == "/big":
            self.answer(200, b"x" * 3_000_000)
        elif path == "/cookies":
            self.send_response(200)
            self.send_header("X-Many", "a")
            self.send_header("x-many", "b")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                for part in (b": hello\n\n", b"event: tick\ndata: 1\r\n\r\ndata: a\n", b"data: b\nid: 7\n\n", b"data: [DONE]\n\n"):
                    self.wfile.write(part)
                    self.wfile.flush()
                    time.sleep(0.05)
                if "forever" in self.path:
                    time.sleep(3)
            except OSError:
                pass
            self.close_connection = True
        else:
            seen = {"method": self.command, "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()},
                    "body": body.decode("utf-8", "replace")}
            self.answer(200, json.dumps(seen).encode(), Content_Type="application/json")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET


def serve(context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def plain():
    server = serve()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def environment(tmp_path, **more):
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("SSL_CERT")}
    return env | {"LACUS_HOME": str(tmp_path / "home"), "NO_COLOR": "1"} | more


def run(tmp_path, text, ok=True, **env):
    script = tmp_path / "script.lua"
    script.write_text(text)
    done = subprocess.run([LACUS, str(script)], capture_output=True, text=True, timeout=60, env=environment(tmp_path, **env), cwd=tmp_path)
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done.stdout if ok else done.stdout + done.stderr


def test_a_latin_body_is_text(plain, tmp_path):
    assert run(tmp_path, f'local r = http.get("{plain}/latin") print(r.text, #r.body, r.body:byte())') == "é €\t3\t233\n"


def test_methods_params_headers_and_bodies(plain, tmp_path):
    out = run(tmp_path, f"""
local u = "{plain}"
local function show(r) print(r.text) end
show(http.get(u .. "/a", {{params = {{q = "mo on&", n = {{1, 2}}, t = true}}, headers = {{["X-Own"] = "v"}}}}))
show(http.post(u .. "/p", {{json = {{list = {{1, 2}}, none = null, empty = json.array()}}}}))
show(http.put(u .. "/p", {{data = {{a = "1 2", b = 3}}}}))
show(http.patch(u .. "/p", {{data = "text", headers = {{["Content-Type"] = "text/plain"}}}}))
show(http.delete(u .. "/p"))
show(http.request("options", u .. "/o"))
show(http.get{{u .. "/t", params = {{a = 1}}}})
show(http.get(u, {{auth = {{"me", "pw"}}}}))
show(http.get(u, {{auth = "token"}}))
show(http.post(u .. "/f", {{file = "script.lua"}}))
show(http.post(u .. "/m", {{files = {{up = "script.lua"}}, data = {{k = "v"}}}}))
print(http.head(u .. "/h").text == "", http.get(u .. "/cookies").headers["X-MANY"])
""")
    seen = [json.loads(line) for line in out.splitlines()[:11]]
    assert seen[0]["path"] == "/a?n=1&n=2&q=mo%20on%26&t=true" and seen[0]["headers"]["x-own"] == "v"
    assert json.loads(seen[1]["body"]) == {"list": [1, 2], "none": None, "empty": []}
    assert seen[1]["headers"]["content-type"] == "application/json"
    assert seen[2]["body"] == "a=1%202&b=3" and seen[2]["headers"]["content-type"] == "application/x-www-form-urlencoded"
    assert (seen[3]["method"], seen[3]["body"], seen[3]["headers"]["content-type"]) == ("PATCH", "text", "text/plain")
    assert [s["method"] for s in seen[4:7]] == ["DELETE", "OPTIONS", "GET"]
    assert seen[6]["path"] == "/t?a=1"
    assert seen[7]["headers"]["authorization"] == "Basic bWU6cHc=" and seen[8]["headers"]["authorization"] == "Bearer token"
    assert seen[9]["body"].startswith("\nlocal u")
    assert 'name="up"; filename="script.lua"' in seen[10]["body"] and 'name="k"' in seen[10]["body"]
    assert out.splitlines()[11] == "true\ta, b"


def test_redirects_keep_credentials_at_home(plain, tmp_path):
    out = run(tmp_path, f"""
local u = "{plain}"
local r = http.get(u .. "/redirect")
print(r.status, r.url, r.ok)
print(http.get(u .. "/redirect", {{follow = false}}).status)
for _, options in ipairs{{{{auth = {{"me", "pw"}}}}, {{auth = "token"}}, {{headers = {{Authorization = "Bearer own"}}}}}} do
  local elsewhere = http.get(u .. "/elsewhere", options):json()
  print(elsewhere.headers.host:match("^localhost") ~= nil, elsewhere.headers.authorization)
end
print(pcall(http.get, u .. "/round", {{max_redirects = 3}}))
print(pcall(http.get, u .. "/to-file"))
""")
    lines = out.splitlines()
    assert lines[0] == f"200\t{plain}/echo?moved=1\ttrue" and lines[1] == "302"
    assert lines[2:5] == ["true\tnil"] * 3
    assert "redirects" in lines[5] and lines[5].startswith("false")
    assert lines[6].startswith("false") and "root:" not in lines[6]


def test_errors_say_what_and_what_next(plain, tmp_path):
    out = run(tmp_path, f"""
local u = "{plain}"
print(pcall(http.get, u .. "/slow", {{timeout = 0.2}}))
print(pcall(function() return http.get(u .. "/missing?key=SECRET"):raise_for_status() end))
print(pcall(http.get, "http://user:SECRET@127.0.0.1:1/"))
print(pcall(http.get, "gopher://x/"))
print(pcall(http.get, u, {{header = {{}}}}))
print(pcall(http.get, u .. "/big", {{max_bytes = 1000}}))
print(pcall(http.get, u, {{headers = {{["X"] = "a\\r\\nY: b"}}}}))
local ok, e = pcall(http.get, "http://127.0.0.1:1/")
print(e.code, e.hint)
for _, name in ipairs{{"stream", "allow_redirects", "body"}} do print(select(2, pcall(http.get, u, {{[name] = true}})).hint) end
""")
    lines = out.splitlines()
    assert all(line.startswith("false") for line in lines[:7]) and "SECRET" not in out
    for line, words in zip(lines, ("timed out", "404 Not Found", "connect", "http://", "'headers'", "max_bytes", "line break")):
        assert words in line
    assert lines[7] == "NET\tdoes the server run?"
    assert lines[8].startswith("http.stream(url)") and lines[9].startswith("follow = false") and "data = " in lines[10]


def test_streams(plain, tmp_path):
    out = run(tmp_path, f"""
local u = "{plain}"
for e in http.stream(u .. "/events"):events() do print(e.event, e.data, e.id) end
for line in http.stream(u .. "/events"):lines() do io.write("<", line, ">") end print()
local n, calls = 0, 0
for chunk in http.stream(u .. "/big"):chunks() do n = n + #chunk; calls = calls + 1 end
print(n, calls > 1)
local r <close> = http.stream("POST", u .. "/echo", {{json = {{1}}}})
print(r.status, r:json().body)
for e in http.stream(u .. "/events?forever"):events() do if e.data == "[DONE]" then break end end
print(pcall(function() for _ in http.stream(u .. "/events?forever", {{timeout = 0.3}}):events() do end end))
local whole = http.get(u .. "/big", {{output = "big.bin"}})
print(whole.status, whole.text == "", io.open("big.bin.part"))
""")
    lines = out.splitlines()
    assert lines[:3] == ["tick\t1\tnil", "message\ta", "b\t7"] and lines[3] == "message\t[DONE]\tnil"
    assert lines[4].startswith("<: hello><><event: tick><data: 1><><data: a><data: b>")
    assert lines[5] == "3000000\ttrue" and lines[6] == "200\t[1]"
    assert lines[7].startswith("false") and "nothing came" in lines[7]
    assert (tmp_path / "big.bin").read_bytes() == b"x" * 3_000_000


def test_proxy_of_the_environment(plain, tmp_path):
    out = run(tmp_path, 'print(http.get("http://nowhere.invalid/a"):json().path)', http_proxy=plain)
    assert out.strip() == "http://nowhere.invalid/a"
    out = run(tmp_path, f'print(http.get("{plain}/b"):json().path)', http_proxy="http://127.0.0.1:1", no_proxy="127.0.0.1")
    assert out.strip() == "/b"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """ca.pem and a TLS server at localhost whose certificate it has signed."""
    folder = tmp_path_factory.mktemp("ca")

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=test authority", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "ext").write_text("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "ext")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    server = serve(context)
    yield folder / "ca.pem", server.server_port
    server.shutdown()


def test_certificates_are_verified(authority, tmp_path):
    ca, port = authority
    out = run(tmp_path, f"""
local u = "https://localhost:{port}/echo"
print(http.get(u, {{verify = "{ca}"}}).status)
print(pcall(http.get, u))
print(pcall(http.get, "https://127.0.0.1:{port}/echo", {{verify = "{ca}"}})) -- another name than the certificate's
print(http.get(u, {{verify = false}}).status)
print(pcall(http.get, u, {{verify = "/nowhere.pem"}}))
""")
    lines = out.splitlines()
    assert lines[0] == "200" and lines[3] == "200"
    assert lines[1].startswith("false") and "verify" in lines[1]
    assert lines[2].startswith("false") and lines[4].startswith("false")
    assert run(tmp_path, f'print(http.get("https://localhost:{port}/").status)', SSL_CERT_FILE=str(ca)).strip() == "200"


def test_an_interrupt_ends_a_call_at_once(plain, tmp_path):
    script = tmp_path / "script.lua"
    script.write_text(f'io.stdout:write("go\\n") io.stdout:flush() pcall(http.get, "{plain}/slow") print("not reached")')
    with subprocess.Popen([LACUS, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(tmp_path)) as p:
        assert p.stdout.readline() == "go\n"
        time.sleep(0.3)
        begun = time.monotonic()
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=10)
        took = time.monotonic() - begun
    assert "not reached" not in out and "KeyboardInterrupt" in err + out and p.returncode != 0
    assert took < 1, took  # the server answers after three seconds; a loaded machine may be slow to end a process


VALUES = [0.1, 1e300, -0.0, 2.5e-8, 1 / 3, 100.0, 2**53, -2**63, 2**63 - 1, "é\u2028\x00\x1f\"\\/", [], {}, [[], {}], {"b": [1, None], "a": {"z": True}}]


def test_json_is_pythons(tmp_path):
    """What Python writes we read, what we write Python reads; the same value comes back."""
    (tmp_path / "values.json").write_text(json.dumps(VALUES))
    out = run(tmp_path, """
local t = json.decode(io.open("values.json"):read("a"))
print(json.encode(t, {sort_keys = true}))
print(json.encode(t, {sort_keys = true, indent = 4}))
""")
    compact, pretty = out.split("\n", 1)
    assert json.loads(compact) == VALUES == json.loads(pretty)
    values = [v for v in VALUES if not isinstance(v, str) and v not in (1e300, 2.5e-8, 1e300, [[], {}])]
    (tmp_path / "values.json").write_text(json.dumps(values))
    out = run(tmp_path, 'print(json.encode(json.decode(io.open("values.json"):read("a")), {sort_keys = true, indent = 2}))')
    assert out.rstrip("\n") == json.dumps(values, sort_keys=True, indent=2)


def test_json_has_limits_and_says_where(tmp_path):
    out = run(tmp_path, """
print(json.decode("[123456789012345678901234567890]")[1], json.decode("[-123456789012345678901234567890]", {big = "string"})[1])
print(pcall(json.encode, {a = {{}, {f = print}}}))
local t = {} t.t = t
print(pcall(json.encode, t))
print(pcall(json.decode, '{"a": 1,}'))
print(pcall(json.decode, ("["):rep(100000)))
print(json.encode({1, nil, 3}), json.encode{}, json.encode(json.array()), json.encode(0/0))
""")
    lines = out.splitlines()
    assert lines[0] == "1.2345678901235e+29\t-123456789012345678901234567890"
    assert "a function at value.a[2].f" in lines[1] and "contains itself" in lines[2] and "line 1, column 9" in lines[3]
    assert lines[4].startswith("false")
    assert lines[5] == '[1,null,3]\t{}\t[]\tnull' or lines[5].endswith("{}\t[]\tnull")
