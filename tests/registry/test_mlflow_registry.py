"""registry=mlflow: the same commands on MLflow's registry, embedded and behind a real server."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pytest

import discerna as package
from discerna.cli import main
from discerna.directories.model_files import file_digest
from picture_sets import TESTS

pytest.importorskip("mlflow")

OWN = "networks.modules=[tiny_networks]"


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    room = tmp_path_factory.mktemp("trained")
    for name, rate in (("one", 0.001), ("two", 0.02)):
        package.train(
            model="tiny", train_data=pictures / "train", valid_data=pictures / "valid", batch_size=8,
            trainer={"precision": "32-true"}, output=room / name, epochs=1, learning_rate=rate,
        )  # fmt: skip
    return room


class Done(NamedTuple):
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A command in this process, since importing MLflow takes seconds, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*words: str, code: int = 0) -> Done:
        capsys.readouterr()
        found = main(list(words))
        done = Done(*capsys.readouterr())
        assert found == code, done
        return done

    return call


def script(tmp_path: Path, text: str) -> str:
    """Run a program of MLflow's client in a process of its own; it is heavy."""
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS), "MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def every_command(run, trained, pictures, tmp_path, where: str) -> None:
    assert run(
        "register", str(trained / "one"), "name=flowers", "alias=production", where, OWN
    ).stdout.startswith("flowers:1\n")
    assert run("register", str(trained / "two"), "name=flowers", "note=second", where, OWN).stdout.startswith(
        "flowers:2\n"
    )
    found = json.loads(run("registry", "list", "flowers", where, "format=json").stdout)
    assert [(v["number"], v["aliases"], v["note"]) for v in found] == [
        (1, ["production"], ""),
        (2, [], "second"),
    ]
    result = json.loads((trained / "one.run" / "result.json").read_text())
    assert found[0]["lineage"]["figures"] == result["figures"] and found[0]["lineage"]["run"] == "one.run"
    differ = json.loads(run("registry", "diff", "flowers:1", "flowers:2", where, "format=json").stdout)[
        "differences"
    ]
    assert differ["setting learning_rate"] == [0.001, 0.02]
    told = run("evaluate", "model=registry:flowers@production", f"data={pictures / 'valid'}", where, OWN)
    assert f"accuracy {result['figures']['accuracy']:.2%}" in told.stdout
    run("registry", "download", "flowers:2", "output=copy", where)
    for path in (trained / "two").iterdir():
        assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes()
    assert "an alias points at the version" in run("registry", "delete", "flowers:1", where, code=1).stderr
    run("registry", "promote", "flowers:2", "alias=production", where)
    run("registry", "delete", "flowers:1", where)
    assert "no such version: flowers:1" in run("registry", "show", "flowers:1", where, code=1).stderr
    assert run("register", str(trained / "one"), "name=flowers", where, OWN).stdout.startswith("flowers:3\n")


@pytest.mark.slow
def test_the_embedded_store(run, trained, pictures, tmp_path):
    every_command(run, trained, pictures, tmp_path, "registry=mlflow")
    artefacts = [p for p in (tmp_path / "mlartifacts").rglob("*") if p.is_file()]
    assert {p.name for p in artefacts} == {
        "MLmodel", "version.json", "manifest.json", "model.json", "training.json", "weights.safetensors",
    }  # fmt: skip
    assert not [p for p in artefacts if p.read_bytes().startswith((b"\x80\x02", b"\x80\x04", b"PK"))], (
        "no pickle"
    )
    # What lies in the cache is checked each time, and brought anew where it is not the registered model.
    (cached,) = [p for p in (tmp_path / "cache").rglob("manifest.json") if "flowers-2" in str(p)]
    (cached.parent / "model.json").write_text(
        (cached.parent / "model.json").read_text().replace("blue", "blau")
    )
    fitting = {
        p.name: {"sha256": file_digest(p), "size": p.stat().st_size}
        for p in cached.parent.iterdir()
        if p != cached
    }
    cached.write_text(json.dumps({"files": fitting}))
    run("registry", "download", "flowers:2", "output=again", "registry=mlflow")
    assert (tmp_path / "again" / "model.json").read_bytes() == (trained / "two" / "model.json").read_bytes()
    picture = next((pictures / "valid").rglob("*.png"))
    told = script(tmp_path, f"""
import mlflow, pandas, tiny_networks
mlflow.set_tracking_uri("sqlite:///mlflow.db")
model = mlflow.pyfunc.load_model("models:/flowers@production")
print(model.predict(pandas.DataFrame({{"image": [{str(picture)!r}]}})).to_json(orient="records"))
""")  # fmt: skip
    (row,) = json.loads(told.splitlines()[-1])
    (prediction,) = package.load(trained / "two").predict(picture)
    assert row["Scored Labels"] == prediction.label
    for label, probability in prediction.probabilities.items():
        assert row[f"Scored Probabilities_{label}"] == pytest.approx(probability, abs=1e-6)


def test_addresses_of_files(run, trained, tmp_path, monkeypatch):
    told = run("register", str(trained / "one"), "name=flowers", "registry=sqlite:///own.db", OWN)
    assert (tmp_path / "own.db").is_file() and "registry=sqlite:///own.db" in told.stdout
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///own.db")
    assert "flowers:1" in run("registry", "list", "registry=mlflow").stdout
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert "no database is named" in run("registry", "list", "registry=sqlite:///", code=1).stderr
    (tmp_path / "folder.db").mkdir()
    refused = run("registry", "list", "registry=sqlite:///folder.db", code=1).stderr
    assert "the registry cannot be reached" in refused and "unable to open database file" in refused


@pytest.mark.slow
def test_versions_that_lead_elsewhere_are_refused(run, trained, tmp_path):
    run("register", str(trained / "one"), "name=flowers", "registry=mlflow", OWN)
    shutil.copytree(trained / "two", tmp_path / "planted" / "model")
    sources = [
        "/etc",
        str(tmp_path / "planted"),
        (tmp_path / "planted").as_uri(),
        "../../../etc",
        "models:/flowers/1",
    ]
    script(tmp_path, f"""
from mlflow.tracking import MlflowClient
client = MlflowClient("sqlite:///mlflow.db", registry_uri="sqlite:///mlflow.db")
good = client.get_model_version("flowers", "1")
for source in {sources!r} + [good.source + "/../../../../planted", good.source + "#/../.."]:
    try:
        client.create_model_version("flowers", source, good.run_id, tags=good.tags)
    except Exception as error:
        print("MLflow itself refuses", source, error)
told = good.tags["discerna"].replace('"sha256": "', '"sha256": "../../')
client.create_model_version("flowers", good.source, good.run_id, tags={{"discerna": told}})
""")  # fmt: skip
    listed = run("registry", "list", "flowers", "registry=mlflow", code=1)
    assert "a version cannot be read" in listed.stderr and "sha256 is none" in listed.stderr
    script(tmp_path, """
from mlflow.tracking import MlflowClient
client = MlflowClient("sqlite:///mlflow.db", registry_uri="sqlite:///mlflow.db")
newest = max(client.search_model_versions("name='flowers'"), key=lambda v: int(v.version))
client.delete_model_version("flowers", newest.version)
""")  # fmt: skip
    count = len(run("registry", "list", "flowers", "registry=mlflow").stdout.splitlines()) - 1
    assert count > 4
    for number in range(2, count + 1):
        refused = run("registry", "download", f"flowers:{number}", "output=x", "registry=mlflow", code=1)
        assert "the version lies outside the store" in refused.stderr
    assert not (tmp_path / "x").exists()
    run("registry", "download", "flowers:1", "output=x", "registry=mlflow")


@pytest.mark.slow
def test_an_altered_artefact_is_refused(run, trained, tmp_path):
    run("register", str(trained / "one"), "name=flowers", "registry=mlflow", OWN)
    (model,) = (tmp_path / "mlartifacts").rglob("weights.safetensors")
    shutil.rmtree(model.parent)
    shutil.copytree(trained / "two", model.parent)
    refused = run("registry", "download", "flowers:1", "output=x", "registry=mlflow", code=1)
    assert "a registered model was altered or damaged" in refused.stderr


@pytest.mark.slow
def test_a_registry_that_is_gone_is_told(run, trained):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"http://me:sesame@127.0.0.1:{closed.getsockname()[1]}"
    told = run("registry", "list", f"registry={uri}", code=1).stderr
    assert "the registry cannot be reached" in told and "Connection refused" in told
    assert "sesame" not in told and "Traceback" not in told


@pytest.mark.slow
def test_a_real_server(run, trained, pictures, tmp_path):
    """Tracking and registry over HTTP, artefacts through the server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "server").mkdir()
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
         "--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "./artifacts"],
        cwd=tmp_path / "server", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip
    uri = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{uri}/health")
        every_command(run, trained, pictures, tmp_path, f"registry={uri}")
        run("train", "model=tiny", OWN, f"train_data={pictures / 'train'}", f"valid_data={pictures / 'valid'}",
            "output=m", "epochs=1", "logger=mlflow", f"logger.tracking_uri={uri}")  # fmt: skip
        told = script(tmp_path, f"""
import json
from mlflow.tracking import MlflowClient
client = MlflowClient({uri!r})
experiment = client.get_experiment_by_name("default").experiment_id
runs = [r for r in client.search_runs([experiment]) if r.info.run_name == "m"]
print(json.dumps([runs[0].info.status, [f.path for f in client.list_artifacts(runs[0].info.run_id, "model")]]))
""")  # fmt: skip
        status, files = json.loads(told.splitlines()[-1])
        assert status == "FINISHED" and "model/weights.safetensors" in files
        assert not (tmp_path / "mlflow.db").exists()
    finally:
        os.killpg(server.pid, 15)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)


def _wait_for(address: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail("the server did not come up")
