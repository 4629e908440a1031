import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "interop"))

from spark_server import peer, spark_server  # noqa: E402, F401  (one server for all files)


@pytest.fixture
def home(tmp_path):
    """A state folder of the test's own."""
    path = tmp_path / "lacus-home"
    path.mkdir()
    return path
