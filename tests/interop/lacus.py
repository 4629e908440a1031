"""How the Python tests start the program that was built: its own state folder, no colours, a time limit."""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
LACUS = ROOT / "build" / "lacus"


def environment(home, **more):
    env = dict(os.environ, LACUS_HOME=str(home), NO_COLOR="1", TERM="dumb")
    env.update({k: str(v) for k, v in more.items()})
    return env


def lacus(home, *args, text=None, timeout=120, cwd=None, **env):
    """Runs build/lacus with the arguments; returns the finished process (stdout, stderr, returncode)."""
    return subprocess.run([LACUS, *map(str, args)], input=text if text is not None else "", capture_output=True, text=True, timeout=timeout, cwd=cwd,
                          env=environment(home, **env))


def script(home, code, timeout=120, **env):
    """Runs Lua text as a script and returns what it printed; an error of the script is an error of the test."""
    done = lacus(home, "-", text=code, timeout=timeout, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def script_json(home, code, **more):
    """The script prints one JSON value."""
    return json.loads(script(home, code, **more))
