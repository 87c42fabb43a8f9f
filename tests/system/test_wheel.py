"""A wheel, installed into an empty environment in another folder, makes the demo report."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.system
ROOT = Path(__file__).parent.parent.parent


def call(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, ROOT)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_notebooks_and_incidents_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "notebooks/postmortem.ipynb",
        "notebooks/investigate/why.ipynb",
        "datasets/fraud-model-regression/incident.yaml",
    ):
        assert f"rca/share/{wanted}" in names
    assert not [name for name in names if "test" in Path(name).parts or name.startswith("tests/")]


def test_the_demo_runs_from_an_installed_wheel_in_another_folder(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    call(tmp_path / "env" / "bin" / "pip", "install", "--disable-pip-version-check", wheel)
    work = tmp_path / "work"
    work.mkdir()
    out = call(tmp_path / "env" / "bin" / "rca", "demo", cwd=work)
    assert out.strip() == "reports/fraud-model-regression/postmortem.html"
    assert (work / out.strip()).stat().st_size < 1_500_000
