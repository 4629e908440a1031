"""Models of the Hub: a small hub of our own, huggingface_hub as the judge of what we write, and as the writer of what we read."""
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

from lacus import LACUS, environment, lacus
from test_train import end_coordinator

torch = pytest.importorskip("torch")
pytest.importorskip("huggingface_hub")
SECRET = "hf_secret_of_the_test"


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Repo:
    def __init__(self, files, revisions=(), gated=False, private=False):
        self.files, self.gated, self.private = files, gated, private
        self.sha = hashlib.sha1(repr(sorted((n, git_sha1(b)) for n, b in files.items())).encode()).hexdigest()
        self.revisions = {"main": self.sha, self.sha: self.sha, **{r: self.sha for r in revisions}}


class Hub(http.server.BaseHTTPRequestHandler):
    """The Hub's protocol as far as downloads need it: large files are redirected to another host, which takes ranges."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def no(self, status, code="", message=""):
        self.answer(status, json.dumps({"error": message}).encode(), X_Error_Code=code, X_Error_Message=message)

    def repo(self, name):
        """The repository, or None when the answer has been given."""
        repo, auth = self.server.repos.get(name), self.headers.get("Authorization")
        if auth not in (None, "Bearer " + SECRET):
            return self.no(401, "", "Invalid credentials in Authorization header")
        if repo is None or (repo.private and not auth):
            return self.no(404 if auth else 401, "RepoNotFound", "Repository not found")
        return repo

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.server.log.append((self.command, path, self.headers.get("Range"), self.headers.get("Authorization"), self.headers.get("Host")))
        if self.server.busy:
            self.server.busy -= 1
            return self.no(503, "", "busy")
        if self.server.down:
            return self.no(503, "", "down")
        if m := re.fullmatch(r"/cdn/([0-9a-f]{64})", path):
            return self.content(self.server.blobs[m[1]])
        if path == "/api/models":
            author = urllib.parse.parse_qs(query)["author"][0]
            return self.answer(200, json.dumps([{"id": n} for n, r in self.server.repos.items() if n.startswith(author + "/") and not r.private]).encode())
        if m := re.fullmatch(r"/api/models/(.+)/revision/([^/]+)", path):
            return self.listing(m[1], urllib.parse.unquote(m[2]))
        if m := re.fullmatch(r"/api/models/(.+)/tree/([^/]+)", path):
            return self.tree(m[1], urllib.parse.unquote(m[2]))
        if m := re.fullmatch(r"/api/models/(.+)/refs", path):
            repo = self.repo(m[1])
            return repo and self.answer(200, json.dumps({"branches": [{"name": r} for r in repo.revisions if r != repo.sha], "tags": []}).encode())
        if m := re.fullmatch(r"/(.+)/resolve/([^/]+)/(.+)", path):
            return self.resolve(m[1], urllib.parse.unquote(m[2]), urllib.parse.unquote(m[3]))
        self.no(404, "", "no such page")

    def listing(self, name, revision):
        if (repo := self.repo(name)) is None:
            return
        if revision not in repo.revisions:
            return self.no(404, "RevisionNotFound", "Invalid rev id: " + revision)
        answer = {"id": name, "sha": repo.revisions[revision], "siblings": [{"rfilename": n} for n in repo.files]}
        self.answer(200, json.dumps(self.server.listing_change(answer)).encode(), Content_Type="application/json")

    def tree(self, name, revision):
        if (repo := self.repo(name)) is None:
            return
        rows = [{"type": "file", "path": n, "size": len(b), "oid": git_sha1(b),
                 **({"lfs": {"oid": hashlib.sha256(b).hexdigest(), "size": len(b), "pointerSize": 130}} if n.endswith(".safetensors") else {})} for n, b in repo.files.items()]
        self.answer(200, json.dumps(rows).encode(), Content_Type="application/json")

    def resolve(self, name, revision, file):
        if (repo := self.repo(name)) is None:
            return
        if repo.gated and not self.headers.get("Authorization"):
            return self.no(401, "GatedRepo", f"Access to model {name} is restricted.")
        if repo.gated == "not let in":
            return self.no(403, "GatedRepo", f"Access to model {name} is restricted and you are not in the authorized list.")
        if file not in repo.files:
            return self.no(404, "EntryNotFound", "Entry not found")
        data = repo.files[file]
        if not file.endswith(".safetensors"):
            return self.content(data, X_Repo_Commit=repo.sha, ETag=f'"{git_sha1(data)}"')
        sha = hashlib.sha256(data).hexdigest()
        self.server.blobs[sha] = data
        self.answer(302, b"", X_Repo_Commit=repo.sha, X_Linked_Etag=f'"{sha}"', X_Linked_Size=self.server.size_lie or len(data), ETag='"of-the-redirect"',
                    Location=f"http://localhost:{self.server.server_port}/cdn/{sha}")

    def content(self, data, **headers):
        begin = 0
        if m := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            begin = int(m[1])
            if begin >= len(data):
                return self.answer(416, b"", Content_Range=f"bytes */{len(data)}")
            headers["Content_Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        part = data[begin:]
        if self.command == "GET" and self.server.corrupt and len(data) > 10000:
            self.server.corrupt -= 1
            part = part[:5000] + bytes([part[5000] ^ 1]) + part[5001:]
        if self.command == "GET" and self.server.cuts and len(part) > 10000:
            self.server.cuts -= 1
            self.answer(206 if begin else 200, part[:len(part) // 2], Content_Length=len(part), **headers)
            self.close_connection = True
            return
        if self.command == "GET" and self.server.slow and len(part) > 10000:
            self.answer(206 if begin else 200, b"", Content_Length=len(part), **headers)
            for i in range(0, len(part), 4096):
                try:
                    self.wfile.write(part[i:i + 4096])
                except OSError:
                    break
                time.sleep(self.server.slow)
            self.close_connection = True
            return
        self.answer(206 if begin else 200, part, **headers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama that transformers made."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    out = tmp_path_factory.mktemp("model")
    tok = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(["<bos>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}, merges=[]))
    tok.pre_tokenizer, tok.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tok, bos_token="<bos>", eos_token="<eos>")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(vocab_size=len(fast), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                                      num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0, eos_token_id=1)
    net = transformers.LlamaForCausalLM(config)
    net.save_pretrained(out)
    net.save_pretrained(out / "sharded", max_shard_size="40KB")
    fast.save_pretrained(out)
    return out


@pytest.fixture
def hub(folder):
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    extra = {"README.md": b"# A model", "pytorch_model.bin": b"x" * 50000, "original/consolidated.safetensors": b"y" * 50000, "consolidated.safetensors": b"z" * 50000}
    small = {n: b for n, b in files.items() if n != "model.safetensors"}
    shards = {p.name: p.read_bytes() for p in (folder / "sharded").iterdir()}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    server.repos = {"org/tiny": Repo({**files, **extra}, revisions=("v1.0", "refs/pr/1")), "org/sharded": Repo({**small, **shards, "consolidated.safetensors": b"z" * 50000}),
                    "org/gated": Repo(files, gated=True), "org/closed": Repo(files, gated="not let in"), "org/private": Repo(files, private=True),
                    "org/pickle": Repo({"config.json": files["config.json"], "pytorch_model.bin": b"x"})}
    server.blobs, server.log, server.cuts, server.corrupt, server.down, server.slow, server.busy, server.size_lie = {}, [], 0, 0, False, 0, 0, None
    server.listing_change = lambda answer: answer
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    for name in [n for n in os.environ if n.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))]:
        monkeypatch.delenv(name)
    return tmp_path / "hf"


def settings(hub, cache, **more):
    return {"HF_HOME": cache, "HF_ENDPOINT": hub.url, "no_proxy": "*", **more}


def say(home, hub, cache, code, **more):
    """What the script printed."""
    done = lacus(home, "-", text=code, **settings(hub, cache, **more))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def refused(home, hub, cache, code, **more):
    """The error of a script that must fail."""
    done = lacus(home, "-", text=code, **settings(hub, cache, **more))
    assert done.returncode not in (0, None) and done.returncode > 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def python(hub, cache, code, **more):
    """The real client, in a process of its own: it reads its settings when it is imported."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                          env=environment(cache, HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_TELEMETRY="1", **settings(hub, cache, **more)))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def gets(hub, words):
    return [row for row in hub.log if row[0] == "GET" and words in row[1]]


def test_what_we_download_is_found_by_huggingface_hub(home, hub, cache, folder):
    path = say(home, hub, cache, 'print(llm.download("org/tiny"))')
    repo = hub.repos["org/tiny"]
    assert path == str(cache / "hub" / "models--org--tiny" / "snapshots" / repo.sha)
    got = set(os.listdir(path))
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= got
    assert not got & {"README.md", "pytorch_model.bin", "original", "consolidated.safetensors"}
    for name in got:
        data, link = repo.files[name], os.readlink(os.path.join(path, name))
        etag = hashlib.sha256(data).hexdigest() if name.endswith(".safetensors") else git_sha1(data)
        assert link == "../../blobs/" + etag
        assert open(os.path.join(path, name), "rb").read() == data
    assert (cache / "hub" / "models--org--tiny" / "refs" / "main").read_text() == repo.sha
    assert not list((cache / "hub").rglob("*.incomplete"))
    assert python(hub, cache, "from huggingface_hub import hf_hub_download, scan_cache_dir\n"
                              "print(hf_hub_download('org/tiny', 'model.safetensors', local_files_only=True))\n"
                              "found = scan_cache_dir()\nassert not found.warnings, found.warnings\nassert [r.repo_id for r in found.repos] == ['org/tiny']") == path + "/model.safetensors"
    import transformers
    there = {"cache_dir": cache / "hub", "local_files_only": True}
    assert transformers.AutoModelForCausalLM.from_pretrained("org/tiny", **there).num_parameters() > 0
    assert transformers.AutoTokenizer.from_pretrained("org/tiny", **there)("ab")["input_ids"]
    assert all(row[3] is None for row in hub.log)
    hub.log.clear()
    say(home, hub, cache, 'print(llm.load("org/tiny"):count())')
    assert [row[1] for row in hub.log] == ["/api/models/org/tiny/revision/main"]  # nothing is fetched twice


def test_what_huggingface_hub_downloaded_is_used(home, hub, cache):
    path = python(hub, cache, "from huggingface_hub import snapshot_download\nprint(snapshot_download('org/tiny', allow_patterns=['*.json', 'model.safetensors']))")
    hub.log.clear()
    assert say(home, hub, cache, 'print(llm.download("org/tiny"))') == path
    assert [row[:2] for row in hub.log] == [("GET", "/api/models/org/tiny/revision/main")]
    assert say(home, hub, cache, 'print(llm.download("org/tiny"))', HF_HUB_OFFLINE=1) == path


def test_shards_are_those_of_the_index(home, hub, cache):
    path = say(home, hub, cache, 'print(llm.download("org/sharded"))')
    wanted = {n for n in hub.repos["org/sharded"].files if re.match(r"model-\d+", n)}
    assert len(wanted) > 1 and wanted <= set(os.listdir(path))
    assert "consolidated.safetensors" not in os.listdir(path)
    assert say(home, hub, cache, 'print(llm.load("org/sharded"):count())') == say(home, hub, cache, 'print(llm.load("org/tiny"):count())')


def test_a_tokenizer_alone_is_small(home, hub, cache):
    assert say(home, hub, cache, 'print(#llm.tokenizer("org/tiny"):encode("abc"))') == "3"
    assert not gets(hub, "/cdn/")


def test_revisions(home, hub, cache):
    sha = hub.repos["org/tiny"].sha
    for name in ("v1.0", "refs/pr/1", sha):
        assert say(home, hub, cache, f'print(llm.download("org/tiny@{name}"))').endswith(sha)
    assert (cache / "hub/models--org--tiny/refs/refs/pr/1").read_text() == sha
    hub.log.clear()
    say(home, hub, cache, f'print(llm.download("org/tiny", {{revision = "{sha}"}}))')
    assert not hub.log  # a commit never changes
    text = refused(home, hub, cache, 'llm.download("org/tiny@v1.1")')
    assert "no revision 'v1.1'" in text and "'v1.0'" in text
    text = refused(home, hub, cache, 'llm.download("org/tiny@../../x")')
    assert "not a revision" in text


def test_a_cut_connection_is_gone_on_with(home, hub, cache):
    hub.cuts = 3
    path = say(home, hub, cache, 'print(llm.download("org/tiny"))')
    data = hub.repos["org/tiny"].files["model.safetensors"]
    assert open(path + "/model.safetensors", "rb").read() == data
    ranges = [row[2] for row in gets(hub, "/cdn/")]
    assert ranges[0] is None and ranges[1] == f"bytes={len(data) // 2}-" and len(ranges) >= 3


def test_a_busy_hub_is_asked_again(home, hub, cache):
    hub.busy = 2
    say(home, hub, cache, 'print(llm.download("org/tiny"))')
    assert hub.busy == 0 and lacus(home, "-", text='llm.download("org/tiny")', **settings(hub, cache)).stderr == ""


def test_a_killed_download_is_gone_on_with(home, hub, cache):
    hub.slow = 0.02
    data = hub.repos["org/tiny"].files["model.safetensors"]
    begun = subprocess.Popen([LACUS, "-"], stdin=subprocess.PIPE, text=True, env=environment(home, **settings(hub, cache)))
    begun.stdin.write('llm.download("org/tiny")')
    begun.stdin.close()
    part = cache / "hub/models--org--tiny/blobs" / (hashlib.sha256(data).hexdigest() + ".incomplete")
    end = time.time() + 20
    while not (part.exists() and part.stat().st_size > 8192):
        assert time.time() < end and begun.poll() is None
        time.sleep(0.01)
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    had = part.stat().st_size
    hub.slow = 0
    hub.log.clear()
    path = say(home, hub, cache, 'print(llm.download("org/tiny"))')
    assert [row[2] for row in gets(hub, "/cdn/")] == [f"bytes={had}-"]
    assert open(path + "/model.safetensors", "rb").read() == data


def test_an_interrupt_stops_it(home, hub, cache):
    hub.slow = 0.05
    begun = subprocess.Popen([LACUS, "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(home, **settings(hub, cache)))
    begun.stdin.write('llm.download("org/tiny")')
    begun.stdin.close()
    end = time.time() + 20
    while not gets(hub, "/cdn/"):
        assert time.time() < end and begun.poll() is None
        time.sleep(0.01)
    asked = time.time()
    begun.send_signal(signal.SIGINT)
    begun.wait(timeout=10)
    assert begun.returncode != 0 and time.time() - asked < 2


def test_wrong_bytes_are_fetched_once_more(home, hub, cache):
    hub.corrupt = 1
    path = say(home, hub, cache, 'print(llm.download("org/tiny"))')
    assert open(path + "/model.safetensors", "rb").read() == hub.repos["org/tiny"].files["model.safetensors"]


def test_wrong_bytes_twice_are_an_error(home, hub, cache):
    hub.corrupt = 100
    text = refused(home, hub, cache, 'llm.download("org/tiny")')
    assert "checksum" in text and "HF_ENDPOINT" in text
    assert not (cache / "hub/models--org--tiny/refs/main").exists()
    hub.corrupt = 0
    say(home, hub, cache, 'llm.download("org/tiny")')


def test_gated_private_and_missing(home, hub, cache):
    text = refused(home, hub, cache, 'llm.load("org/gated")')
    assert "gated" in text and f"{hub.url}/org/gated" in text and "HF_TOKEN" in text
    assert "has not been let in" in refused(home, hub, cache, 'llm.load("org/closed")', HF_TOKEN=SECRET)
    assert say(home, hub, cache, 'print(llm.load("org/gated"):count())', HF_TOKEN=SECRET)
    assert {row[3] for row in hub.log if row[1].startswith("/cdn/")} == {None}  # the token does not go to another host
    text = refused(home, hub, cache, 'llm.load("org/private")')
    assert "no model 'org/private'" in text and "HF_TOKEN" in text
    (cache / "token").write_text(SECRET + "\n")
    assert say(home, hub, cache, 'print(llm.load("org/private"):count())')
    text = refused(home, hub, cache, 'llm.load("org/gatde")')
    assert "no model 'org/gatde'" in text and "did you mean 'org/gated'" in text
    text = refused(home, hub, cache, 'llm.load("other/gated")')
    assert "no model 'other/gated'" in text and "in the cache there is 'org/gated'" in text
    text = refused(home, hub, cache, 'llm.load("org/tiny")', HF_TOKEN="hf_wrong")
    assert "does not accept the token" in text and "hf_wrong" not in text
    assert "safetensors" in refused(home, hub, cache, 'llm.load("org/pickle")')


def test_offline(home, hub, cache):
    text = refused(home, hub, cache, 'llm.load("org/tiny")', HF_HUB_OFFLINE=1)
    assert "not in the cache" in text and "HF_HUB_OFFLINE" in text and not hub.log
    assert "TRANSFORMERS_OFFLINE" in refused(home, hub, cache, 'llm.load("org/tiny")', TRANSFORMERS_OFFLINE="true")
    path = say(home, hub, cache, 'print(llm.download("org/tiny"))')
    hub.log.clear()
    assert say(home, hub, cache, 'print(llm.download("org/tiny", {local_files_only = true}))') == path and not hub.log
    hub.down = True
    done = lacus(home, "-", text='print(llm.download("org/tiny"))', **settings(hub, cache))
    assert done.stdout.strip() == path and "cached version of 'org/tiny'" in done.stderr
    nobody = settings(hub, cache, HF_ENDPOINT="http://127.0.0.1:9")
    assert lacus(home, "-", text='print(llm.download("org/tiny"))', **nobody).stdout.strip() == path
    text = refused(home, hub, cache, 'llm.load("org/sharded")', HF_ENDPOINT="http://127.0.0.1:9")
    assert "does not answer" in text and "http://127.0.0.1:9" in text


def test_a_part_of_a_model_is_not_taken_for_it(home, hub, cache):
    path = say(home, hub, cache, 'print(llm.download("org/tiny"))')
    os.unlink(os.path.realpath(path + "/model.safetensors"))  # the link is there, its blob is not
    assert "with all its files" in refused(home, hub, cache, 'llm.load("org/tiny")', HF_HUB_OFFLINE=1)
    assert say(home, hub, cache, 'print(llm.load("org/tiny"):count())')


def test_two_processes_download_once(home, hub, cache):
    hub.slow = 0.005
    both = [subprocess.Popen([LACUS, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(home, **settings(hub, cache))) for _ in range(2)]
    for p in both:
        p.stdin.write('print(llm.download("org/tiny"))')
        p.stdin.close()
    assert len({p.stdout.read() for p in both}) == 1 and [p.wait() for p in both] == [0, 0]
    assert len(gets(hub, "/cdn/")) == 1


def test_hostile_answers(home, hub, cache, tmp_path):
    hub.listing_change = lambda a: {**a, "siblings": [*a["siblings"], {"rfilename": "../../../evil.json"}]}
    assert "leave its folder" in refused(home, hub, cache, 'llm.download("org/tiny")')
    hub.listing_change = lambda a: {**a, "sha": "../../x"}
    assert "no commit" in refused(home, hub, cache, 'llm.download("org/tiny")')
    hub.listing_change = lambda a: []
    assert "not a JSON object" in refused(home, hub, cache, 'llm.download("org/tiny")')
    hub.listing_change = lambda a: a
    hub.size_lie = "many"  # as if it was not told
    assert say(home, hub, cache, 'print(llm.load("org/tiny"):count())')
    shutil.rmtree(cache)
    hub.size_lie = 10**15
    text = refused(home, hub, cache, 'llm.download("org/tiny")')
    assert "no room" in text and "HF_HOME" in text
    hub.size_lie = 1000
    assert "more comes" in refused(home, hub, cache, 'llm.download("org/tiny")')
    assert "is not the id" in refused(home, hub, cache, 'llm.download("org/../x")')


def test_a_wrong_path_is_not_looked_for_on_the_hub(home, hub, cache, tmp_path):
    (tmp_path / "org").mkdir()
    done = lacus(home, "-", text='llm.load("org/tiny")', cwd=tmp_path, **settings(hub, cache))
    assert "no such folder" in done.stderr + done.stdout and "'org/tiny@main'" in done.stderr + done.stdout and not hub.log
    assert lacus(home, "-", text='print(llm.load("org/tiny@main"):count())', cwd=tmp_path, **settings(hub, cache)).returncode == 0
    assert lacus(home, "-", text='print(llm.load("org/tiny"):count())', cwd=tmp_path, **settings(hub, cache)).returncode == 0  # it is in the cache now
    assert "no such folder" in refused(home, hub, cache, 'llm.load("out/nothing")')
    assert "not a URL" in refused(home, hub, cache, 'llm.load("out/nothing")', HF_ENDPOINT="huggingface.co")


def test_a_model_is_trained_by_its_id(home, hub, cache):
    out = say(home, hub, cache, 'local job = llm.finetune{model = "org/tiny@main", train_dataset = {{text = "abc"}, {text = "def"}}, '
                                'peft = LoraConfig{r = 2}, args = {max_steps = 2}}\njob:wait()\nprint(job.output_dir)\nprint(job.status)')
    end_coordinator(home)
    assert out.endswith("finished")
    result = pathlib.Path(out.splitlines()[-2])
    files = {p.name: p.read_bytes() for p in result.iterdir() if p.name.startswith("adapter_")}
    files["adapter_config.json"] = json.dumps({**json.loads(files["adapter_config.json"]), "base_model_name_or_path": "org/tiny"}).encode()
    hub.repos["org/adapter"] = Repo(files)
    shutil.rmtree(cache)
    assert "snapshots" in say(home, hub, cache, 'local m = llm.load("org/adapter")\nprint(m.path)')  # its base came with it
    assert (cache / "hub/models--org--tiny/refs/main").exists()
