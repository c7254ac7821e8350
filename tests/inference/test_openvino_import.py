"""OpenVINO tells nobody of its use."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest


@pytest.mark.skipif(find_spec("openvino") is None, reason="without openvino its telemetry is NOT tested")
def test_the_import_leaves_no_identifier(tmp_path):
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    settings = kept | {"HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    subprocess.run([sys.executable, "-c", "import chaku.inference.openvino_decoder"], env=settings, check=True)
    assert not list(tmp_path.iterdir())
