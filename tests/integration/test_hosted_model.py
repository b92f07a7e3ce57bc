"""The process of an adopted model: what it may do, how long it may take, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import DamagedFileError, IntegrityError, ModelEndedError, ModelTimeoutError, UntrustedTypeError
from passerelle.model.hosted import HostedModel
from passerelle.model.loaded import load_model
from passerelle.settings import LoadingSettings
from tests.adopted_models import write_evidence, write_pickled
from tests.many_open_files import many_open_files

pytestmark = pytest.mark.integration

Start = Callable[..., HostedModel]


def classifier(on_text: Callable[[str], object]) -> object:
    """Return a classifier of texts, which is pickled by value; it gives what the function returns."""

    class Classifier:
        classes_ = ("no", "yes")
        _estimator_type = "classifier"

        def predict(self, texts: list[str]) -> list[object]:
            return [on_text(text) for text in texts]

    return Classifier()


def reading(act: Callable[[], object]) -> object:
    """Return an object that acts when it is unpickled, and is then a classifier."""

    class Acting:
        def __reduce__(self) -> Any:
            def rebuild(act: Callable[[], object], model: object) -> object:
                act()
                return model

            return rebuild, (act, classifier(lambda _: "yes"))

    return Acting()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    models: list[HostedModel] = []

    def begin(model: object, **settings: Any) -> HostedModel:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        adoption = write_pickled(folder, model)
        hosted = HostedModel(folder, adoption, python=Path(sys.executable), settings=LoadingSettings.read(**settings))
        models.append(hosted)
        return hosted

    yield begin
    for each in models:
        each.close()


def test_it_has_no_variable_of_the_operator_and_a_home_of_its_own(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")

    def look(text: str) -> object:
        import os
        from pathlib import Path

        return dict(os.environ, folder=str(Path.cwd())) if text == "environment" else "yes"

    hosted = start(classifier(look))
    ((found,), _) = (hosted.predict([{"text": "environment"}]).values, None)
    assert not [name for name in found if name.startswith(("AWS", "PASSERELLE", "MLFLOW_S3"))]
    assert found["HOME"] == found["TMPDIR"] == found["folder"] != str(Path.home())
    folder = Path(found["HOME"])
    assert folder.is_dir()
    hosted.close()
    assert not folder.exists()


def test_it_answers_in_a_service_with_many_connections(start: Start) -> None:
    with many_open_files():
        hosted = start(classifier(len))
        # More than a pipe holds, so that the rest waits until there is room.
        assert hosted.predict([{"text": "a" * 1_000_000}]).values == [1_000_000]
        hosted.close()


def write_a_file(path: str) -> Callable[[], object]:
    def act() -> object:
        with open(path, "w") as file:  # noqa: PTH123 - the hostile model's own code
            return file.write("here")

    return act


def connect(port: int) -> Callable[[], object]:
    def act() -> object:
        import socket

        return socket.create_connection(("127.0.0.1", port), timeout=2)

    return act


def test_a_model_that_writes_or_connects_while_it_is_read_is_refused_with_what_it_tried(start: Start, tmp_path: Path) -> None:
    target = tmp_path / "written"
    with pytest.raises(UntrustedTypeError, match=f"tried to write the file {target} while it was read"):
        start(reading(write_a_file(str(target))))
    assert not target.exists()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UntrustedTypeError, match=r"tried to open a connection to 127\.0\.0\.1"):
            start(reading(connect(port)))

    write = write_a_file(str(target))

    def quietly() -> object:
        try:
            return write()
        except OSError:
            return None

    with pytest.raises(UntrustedTypeError, match="tried to write the file"):
        start(reading(quietly))


def test_the_kernel_keeps_native_code_from_files_sockets_and_other_processes(start: Start, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    target, secret, environment = str(tmp_path / "written"), str(tmp_path / "secret"), f"/proc/{os.getpid()}/environ"

    def natively(text: str) -> object:
        """Call the C library, which raises no audit events."""
        import ctypes
        import os

        library = ctypes.CDLL(None, use_errno=True)
        found = {
            "written": library.open(target.encode(), os.O_WRONLY | os.O_CREAT, 0o600),
            "secret": library.open(secret.encode(), os.O_RDONLY),
            "environment": library.open(environment.encode(), os.O_RDONLY),
            "inet": library.socket(2, 1, 0),
            "unix": library.socket(1, 1, 0),
            "signal": library.kill(os.getppid(), 0),
            "own": library.open(b"own", os.O_WRONLY | os.O_CREAT, 0o600),
        }
        return {name: number >= 0 for name, number in found.items()}

    hosted = start(classifier(natively))
    if hosted.sandbox != {"files", "network"}:
        pytest.skip(f"the kernel grants {sorted(hosted.sandbox) or 'nothing'}")
    (found,) = hosted.predict([{"text": "a"}]).values
    # Signals are kept apart by Landlock 6 and newer.
    assert {name for name, allowed in found.items() if allowed} - {"signal"} == {"own"}


def test_what_it_prints_and_raises_holds_no_record(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    def speak(text: str) -> object:
        print(text, flush=True)  # noqa: T201 - as models do
        raise ValueError(text)

    hosted = start(classifier(speak))
    with pytest.raises(ValueError, match="raised ValueError") as refused:
        hosted.predict([{"text": "hunter2"}])
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in "".join(capfd.readouterr())
    assert hosted.alive


@pytest.mark.timing
def test_one_that_takes_too_long_or_dies_is_started_anew_once(start: Start) -> None:
    def act(text: str) -> object:
        import os
        import time

        if text == "slow":
            time.sleep(60)
        if text == "dead":
            os._exit(3)
        return "yes"

    hosted = start(classifier(act), model_answer_s=2.0)
    with pytest.raises(ModelTimeoutError, match="longer than 2 s"):
        hosted.predict([{"text": "slow"}])
    assert hosted.alive
    assert hosted.rows([{"text": "a"}])[0].label_index == 1, "it was started anew"
    for _ in range(2):
        with pytest.raises(ModelEndedError, match="with status 3"):
            hosted.predict([{"text": "dead"}])
    assert not hosted.alive
    with pytest.raises(ModelEndedError, match="ended again"):
        hosted.predict([{"text": "a"}])


def test_reading_has_limits_of_time_and_memory(start: Start) -> None:
    def sleep() -> None:
        import time

        time.sleep(60)

    def fill() -> int:
        return len(bytearray(2 << 30))

    with pytest.raises(ModelTimeoutError):
        start(reading(sleep), model_start_s=1.5)
    with pytest.raises(DamagedFileError, match="MemoryError"):
        start(reading(fill), model_memory_mib=512)


def test_a_missing_module_is_named(start: Start) -> None:
    def need() -> None:
        __import__("a_library_that_nobody_has")

    with pytest.raises(DamagedFileError, match="needs the module a_library_that_nobody_has"):
        start(reading(need))


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    write_pickled(tmp_path / "model", classifier(lambda _: "yes"))
    script = f"""
        import sys, time
        from pathlib import Path
        from passerelle.model.adoption import read_adoption
        from passerelle.model.hosted import HostedModel
        folder = Path({str(tmp_path / "model")!r})
        hosted = HostedModel(folder, read_adoption(folder), python=Path(sys.executable))
        print(hosted.pid, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
            return
        time.sleep(0.05)
    pytest.fail("the process of the model outlives its parent")


def test_pickles_follow_the_policy_and_the_record_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adoption = write_pickled(tmp_path / "model", classifier(lambda text: "yes" if "a" in text else "no"))
    hosted = HostedModel(tmp_path / "model", adoption, python=Path(sys.executable))
    write_evidence(tmp_path / "model", hosted, [{"text": "a"}, {"text": "b"}])
    hosted.close()
    monkeypatch.setenv("PASSERELLE_MODEL_PYTHON", sys.executable)
    for policy, environment, problem in [
        ("refused", "development", "allow signed ones"),
        ("signed", "development", "no signature was verified"),
        ("any", "production", "not allowed in production"),
    ]:
        monkeypatch.setenv("PASSERELLE_ADOPTED_PICKLES", policy)
        monkeypatch.setenv("PASSERELLE_ENVIRONMENT", environment)
        with pytest.raises(IntegrityError, match=problem):
            load_model(tmp_path / "model")
    monkeypatch.setenv("PASSERELLE_ENVIRONMENT", "development")
    model = load_model(tmp_path / "model")
    assert (model.task, model.scorer, model.alive) == ("classification", None, True)
    assert [model.classes[row.label_index] for row in model.rows([{"text": "a"}, {"text": "c"}])] == ["yes", "no"]
    assert model.values([{"text": "a"}]).values == ["yes"]
    model.close()
    assert not model.alive
