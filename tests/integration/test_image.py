"""What is in an image of a bento, and what is not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerelle.bentos.build import build
from passerelle.bentos.code import code_files
from passerelle.bentos.code_revision import code_revision
from passerelle.bentos.containerize import containerize
from passerelle.bentos.engine import inspect
from passerelle.bentos.image_options import BASE, ImageOptions
from passerelle.errors import UsageError
from passerelle.rollout.container import smoke
from passerelle.settings import StoreSettings
from tests.engine_fixtures import ROOT, TAG, BentoForTests, copied_project, copied_store, removed, write_bento

pytestmark = [pytest.mark.integration, pytest.mark.engine]
EPOCH = 1_700_000_000
PLANTED = "hunter2-planted-secret"
TOOLS = re.compile(r"(^|/)(gcc|cc|g\+\+|clang|make|ld|as|git|pip3?|uv|uvx|wheel)$")
LEFTOVERS = re.compile(
    r"(^|/)(\.cache|\.netrc|\.git(/|$)|pip\.conf|uv\.toml|\.pypirc|\.env|__pycache__/\.|\.pytest_cache|var/lib/apt/lists/.+|var/cache/apt/.+\.deb)"
)
INDEX = re.compile(rb"--(extra-)?index-url|index-url *=|https?://[^\s\"']+/simple/?[\s\"']")


def layers(engine: str, image: str, folder: Path) -> Iterator[tarfile.TarFile]:
    """Yield each layer above the base's."""
    saved = folder / "image.tar"
    subprocess.run([engine, "save", "--output", str(saved), image], check=True, timeout=120)
    base = inspect(engine, BASE)
    below = set(base["RootFS"]["Layers"]) if base else set()
    with tarfile.open(saved) as archive:
        [manifest] = json.load(archive.extractfile("manifest.json") or pytest.fail())
        config = json.load(archive.extractfile(manifest["Config"]) or pytest.fail())
        for name, digest in zip(manifest["Layers"], config["rootfs"]["diff_ids"], strict=True):
            if digest not in below:
                with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                    yield layer


def searched(engine: str, image: str, folder: Path) -> int:
    """Look through every file of every layer, the configuration and the history, and return how many files there were."""
    seen = 0
    for layer in layers(engine, image, folder):
        for member in layer:
            assert not TOOLS.search(member.name), member.name
            assert not LEFTOVERS.search(member.name), member.name
            if member.isfile():
                content = (layer.extractfile(member) or pytest.fail()).read()
                seen += 1
                assert PLANTED.encode() not in content, member.name
                if member.size < 1_000_000 and not member.name.endswith((".py", ".pyc", ".so")) and "/licenses/" not in member.name:
                    assert not INDEX.search(content), member.name
    history = subprocess.run([engine, "history", "--no-trunc", image], capture_output=True, text=True, check=True, timeout=30).stdout
    for text in (json.dumps(inspect(engine, image)), history):
        assert PLANTED not in text
        assert not INDEX.search(text.encode())
    return seen


def plant(project: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a secret everywhere that people have one: the environment, the home folder, the project."""
    for name in ("PASSERELLE_S3_SECRET_KEY", "UV_INDEX_URL", "PIP_INDEX_URL", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, f"https://user:{PLANTED}@packages.example/simple/")
    monkeypatch.setenv("DOCKER_CONFIG", os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker")))
    monkeypatch.setenv("HOME", str(home))
    inside = (".env", ".git/config", "secrets/service/keys.json", "deploy/.env", "deploy/secrets/s3_prober", "requirements/pip.conf")
    in_the_code = ("src/.env", "src/passerelle/serving/.env", "src/passerelle/serving/notes.txt", "src/passerelle/monitoring/key.pem")
    for path in (
        *(home / name for name in (".netrc", ".aws/credentials", ".config/uv/uv.toml", ".config/pip/pip.conf", ".pypirc")),
        *(project / name for name in (*inside, *in_the_code)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PLANTED)


@pytest.mark.parametrize(
    ("path", "content"),
    [("home/.netrc", "x"), ("app/notes.txt", f"password={PLANTED}"), ("etc/pip.toml", "index-url = here"), ("usr/bin/git", "x")],
)
def test_the_search_finds_what_it_looks_for(bento: BentoForTests, tmp_path: Path, path: str, content: str) -> None:
    name = f"{bento.repository}:found-{Path(path).name.strip('.')}"
    (tmp_path / "file").write_text(content)
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nCOPY file /{path}\n")
    subprocess.run([bento.engine, "build", "--quiet", "--tag", name, str(tmp_path)], check=True, timeout=60)
    with pytest.raises(AssertionError, match=re.escape(path)):
        searched(bento.engine, name, tmp_path)
    removed(bento.engine, name)


def test_the_labels_are_ocis_and_the_lineage(bento: BentoForTests) -> None:
    image = bento.image()
    labels, base = image.labels, inspect(bento.engine, BASE)
    assert base is not None
    model = Path(str(bento.settings.bentoml_home)) / "bentos" / TAG.name / TAG.version
    assert f"passerelle.code_digest: {labels['passerelle.code_digest']}" in (model / "bento.yaml").read_text()
    assert labels["passerelle.bento_tag"] == str(TAG)
    assert (labels["passerelle.registered_model"], labels["passerelle.version"]) == ("test", "7")
    oci = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items() if name.startswith("org.opencontainers")}
    assert oci.keys() == {"title", "description", "version", "revision", "created", "licenses", "base.name", "base.digest"}
    assert all(oci.values())
    assert (oci["title"], oci["version"], oci["base.name"]) == (TAG.name, TAG.version, BASE)
    commit = code_revision(ROOT, code_files(ROOT).values())
    assert oci["revision"] == (commit or labels["passerelle.code_digest"]), "of the serving code"
    assert labels["passerelle.git_commit"] == "0" * 40, "of the training"
    assert oci["base.digest"] in (base["Id"], *(name.rpartition("@")[2] for name in base.get("RepoDigests") or ()))


def locked(name: str) -> set[str]:
    """Return the packages of a locked file that are installed everywhere, as a bill of materials names them."""
    pins = re.findall(r"^([a-z0-9._-]+)==([^ ;]+)(?: ; (.*?))? \\$", (ROOT / "requirements" / name).read_text(), re.MULTILINE)
    return {f"pkg:pypi/{package}@{version}".replace(".", "-").replace("_", "-") for package, version, marker in pins if not marker}


@pytest.mark.parametrize("slim", [False, True], ids=["whole", "slim"])
def test_the_bill_of_materials_lists_what_is_installed(bento: BentoForTests, slim: bool) -> None:
    image = bento.image(slim=slim)
    assert image.sbom is not None
    show = "print(open('/app/sbom.cdx.json').read(), end='')"
    command = [bento.engine, "run", "--rm", "--entrypoint", "python3", str(image.image), "-c", show]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == image.sbom.read_text()
    bill = json.loads(said)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    found = {component["purl"].partition("?")[0] for component in bill["components"]}
    wanted = locked("scorer.txt")
    assert len(wanted) > 80
    assert wanted <= {each.replace(".", "-").replace("_", "-") for each in found}
    assert not [each for each in found if re.search("/(scikit-learn|scipy|pandas|skops)@", each)], "the model is compiled"
    debian = {each for each in found if each.startswith("pkg:deb/debian/")}
    assert any("/libc6@" in each for each in debian)
    assert all(component["licenses"] for component in bill["components"]), "NOASSERTION where nothing states one"
    hashed = {component["purl"] for component in bill["components"] if component.get("externalReferences")}
    assert wanted <= {each.replace(".", "-").replace("_", "-") for each in hashed}
    assert (len(debian) < 40) is slim
    properties = {each["name"]: each["value"] for each in bill["metadata"]["properties"]}
    assert properties["passerelle.bento_tag"] == str(TAG)
    assert image.packages == len(bill["components"])


@pytest.mark.timing
def test_a_second_time_does_nothing_and_new_code_takes_seconds(bento: BentoForTests, tmp_path: Path) -> None:
    again = bento.image()
    assert not again.created
    assert again.seconds < 2
    copied_store(bento, tmp_path / "bentoml")
    project = copied_project(tmp_path / "project")
    with (project / "src/passerelle/serving/__init__.py").open("a") as file:
        file.write("\n# changed\n")
    settings = StoreSettings.read(bentoml_home=tmp_path / "bentoml")
    assert build(settings, bento_model_tag=TAG, project=project).replaced
    name = f"{bento.repository}:changed"
    changed = containerize(settings, bento_tag=TAG, options=ImageOptions(image_name=name))
    assert changed.created
    assert changed.seconds < 20, "the figure is measured by loadtests/images.py; this finds packages that were installed again"
    assert changed.image.digest != again.image.digest
    held, former = inspect(bento.engine, name), inspect(bento.engine, str(again.image))
    assert held is not None
    assert former is not None
    same = [one for one, other in zip(held["RootFS"]["Layers"], former["RootFS"]["Layers"], strict=True) if one == other]
    assert len(same) >= len(held["RootFS"]["Layers"]) - 4, "packages and model are the layers that they were"
    removed(bento.engine, name)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("slim", [False, True], ids=["whole", "slim"])
def test_from_empty_caches_the_digest_is_the_same_and_no_layer_holds_more_than_it_should(
    bento: BentoForTests, tmp_path: Path, slim: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{bento.repository}:epoch-{slim}"
    # Of the layers that were built when the tests began.
    first = bento.image(name=name, slim=slim, epoch=EPOCH)
    # Another store of the same model and code, in which the bento was built later, and secrets all around.
    copied_store(bento, tmp_path / "bentoml")
    shutil.rmtree(tmp_path / "bentoml" / "bentos")
    project = copied_project(tmp_path / "project")
    plant(project, tmp_path / "home", monkeypatch)
    # The image names the commit, and the copy is in no checkout.
    commit = code_revision(ROOT, code_files(ROOT).values())
    monkeypatch.setattr("passerelle.bentos.build.code_revision", lambda *_: commit)
    settings = StoreSettings.read(bentoml_home=tmp_path / "bentoml")
    build(settings, bento_model_tag=TAG, project=project)
    second = containerize(settings, bento_tag=TAG, options=ImageOptions(image_name=name, slim=slim, epoch=EPOCH, cached=False))
    assert second.created
    assert first.image.digest == second.image.digest
    assert second.labels["org.opencontainers.image.created"] == "2023-11-14T22:13:20Z"
    assert searched(bento.engine, name, tmp_path) > 3_000
    report = smoke(bento.engine, name, bento.golden, expected_version="7", environment={})
    assert report.smoke.inputs == len(bento.golden.inputs)
    removed(bento.engine, name)


def test_wheels_from_a_folder_need_no_network(bento: BentoForTests, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder with wheels"):
        bento.image(name=f"{bento.repository}:none", wheels=tmp_path)
    requirements = ROOT / "requirements/scorer.txt"
    command = ["uv", "tool", "run", "--quiet", "pip", "download", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:",
               "--python-version", "3.11", "--requirement", str(requirements), "--dest", str(tmp_path)]  # fmt: skip
    subprocess.run(command, check=True, timeout=240, env=dict(os.environ) | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})
    image = bento.image(name=f"{bento.repository}:wheels", wheels=tmp_path)
    whole = bento.image()
    assert (image.created, image.packages) == (True, whole.packages)
    removed(bento.engine, f"{bento.repository}:wheels")


@pytest.mark.parametrize("slim", [False, True], ids=["whole", "slim"])
def test_a_model_that_is_not_compiled_is_answered_by_its_pipeline(bento: BentoForTests, tmp_path: Path, slim: bool) -> None:
    from sklearn.ensemble import RandomForestClassifier

    from tests.unit.serving.models import text_pipeline, text_table

    texts, labels = text_table()
    pipeline = text_pipeline()
    pipeline.steps[-1] = (pipeline.steps[-1][0], RandomForestClassifier(10, random_state=0))
    settings = write_bento(tmp_path / "bentoml", pipeline=pipeline.fit(texts, labels))
    name = f"{bento.repository}:forest-{slim}"
    built = containerize(settings, bento_tag=TAG, options=ImageOptions(image_name=name, slim=slim))
    assert built.with_pipeline
    assert built.sbom is not None
    found = {component["purl"].partition("?")[0] for component in json.loads(built.sbom.read_text())["components"]}
    assert locked("service.txt") <= {each.replace(".", "-").replace("_", "-") for each in found}
    forest = BentoForTests(settings, bento.engine, bento.repository)
    assert smoke(bento.engine, name, forest.golden, expected_version="7", environment={}).smoke.largest_difference < 1e-9
    removed(bento.engine, name)


def test_a_compiled_model_gets_its_pipeline_where_it_is_asked_for(bento: BentoForTests) -> None:
    name = f"{bento.repository}:with-pipeline"
    without, made = bento.image(slim=True), bento.image(name=name, slim=True, with_pipeline=True)
    assert (without.with_pipeline, made.with_pipeline) == (False, True)
    assert (made.size_bytes or 0) - (without.size_bytes or 0) > 100_000_000
    script = "import pathlib; from passerelle.model.classifier import load_pipeline; from passerelle.model.mlmodel import describe; "
    script += "at = next(pathlib.Path('models/classification').glob('7-*/mlflow_model'));"
    script += "print(type(load_pipeline(at, describe(at))).__name__)"
    for image, status, said in ((name, 0, "Pipeline"), (str(without.image), 1, "scikit-learn is not installed here")):
        command = [bento.engine, "run", "--rm", "--entrypoint", "python3", image, "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == status
        assert said in done.stdout + done.stderr
    assert smoke(bento.engine, name, bento.golden, expected_version="7", environment={}).smoke.inputs == len(bento.golden.inputs)
    removed(bento.engine, name)


def test_the_dockerfiles_are_well_formed() -> None:
    files = [*ROOT.glob("src/**/Dockerfile"), *ROOT.glob("deploy/**/Dockerfile")]
    done = subprocess.run(
        [str(Path(sys.executable).parent / "hadolint"), *map(str, files)], capture_output=True, text=True, check=False, timeout=60
    )
    assert files
    assert done.returncode == 0, done.stdout
