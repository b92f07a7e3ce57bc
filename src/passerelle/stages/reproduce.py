"""Train a version again: from its commit, its data and its seed, and say whether the same model comes out."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import IntegrityError, NotFoundError, OutsideError, UsageError
from passerelle.model.mlmodel import describe
from passerelle.names import DATA_DIGEST, GIT_COMMIT, GIT_DIRTY, GOLDEN, HELD_OUT_SET, MIN_CLASS_ROWS, OTHER_CLASS, SEED
from passerelle.registry.client import Registry, VersionInfo
from passerelle.stages.child_progress import run_with_progress
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.interpreter import interpreter_for
from passerelle.stages.reproduction import TrainingComparison, compare_trainings
from passerelle.stages.train import DEMO, TrainingData

_TRAIN_TIMEOUT_S = 3_600
_GIT_TIMEOUT_S = 120
_EXPERIMENT = "reproduce"


@dataclass(frozen=True)
class Reproduction:
    """A version and its second training.

    Attributes:
        commit: That the second training ran from.
        differing_libraries: What the model was made with and what the second one was, where they differ.
        notes: With which libraries it was trained, and what else may make a difference.
    """

    version: int
    candidate: str
    commit: str
    run_id: str
    comparison: TrainingComparison
    differing_libraries: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the same model came out."""
        return self.comparison.same


@stage
def run(
    context: Context, number: int, data: TrainingData = DEMO, *, repository: Path = Path(), progress: Progress = silent
) -> Reproduction:
    """Train a version again in a checkout of its commit, and compare.

    Args:
        number: Of the version.
        data: What it was trained on; by default the demo's comments.
        repository: A git repository that holds the commit.
        progress: Called with a line for what takes time.

    Raises:
        UsageError: The version says no commit, or the commit is not in this repository.
        IntegrityError: The data is not what it was trained on.
        OutsideError: The environment of that commit cannot be made, or the training failed.
    """
    registry = context.registry
    version = registry.model_version(registry.settings.registered_model, number)
    commit = version.tags.get(GIT_COMMIT, "unknown")
    if commit == "unknown":
        raise UsageError(f"{version.ref} was trained outside of a git checkout: there is nothing to go back to", hint="passerelle trace")
    run = registry.run(version.ref.run_id)
    with checkout(repository.resolve(), commit) as folder:
        interpreter = interpreter_for(folder, folder.parent / "environment", progress, path=context.environment.get("PATH", ""))
        progress(f"train again from {commit[:12]}, seed {run.tags.get(SEED, '0')}; this takes as long as the first time")
        data_digest = run.tags.get(DATA_DIGEST, "")
        options = ["--seed", run.tags.get(SEED, "0"), *train_options(data), *_rows_of(run.tags)]
        parent = _trained(folder, interpreter.python, options, data_digest=data_digest, environment=context.environment, progress=progress)
    again = next((each for each in registry.candidate_runs(parent) if each.name == run.name), None)
    if again is None:
        raise NotFoundError(f"the training {parent} has no candidate « {run.name} »", hint="passerelle compare")
    comparison = compare_trainings(
        run.metrics, again.metrics, registry.read_json(run.run_id, GOLDEN), registry.read_json(again.run_id, GOLDEN)
    )
    dirty = run.tags.get(GIT_DIRTY) == "true"
    notes = ("it was trained with changes that no commit holds",) if dirty else ()
    differing = _differing(registry, version, again.run_id)
    return Reproduction(number, run.name, commit, again.run_id, comparison, differing, (interpreter.note, *notes))


def train_options(data: TrainingData) -> list[str]:
    """Return the options of `passerelle train` that name the data."""
    path = data.path.resolve() if isinstance(data.path, Path) else data.path
    named = {"--data": path, "--sheet": data.sheet, "--label-column": data.label_column}
    options = [part for name, value in named.items() if value is not None for part in (name, str(value))]
    options += [part for column in data.text_columns for part in ("--text-column", column)]
    options += [part for column in data.feature_columns for part in ("--feature-column", column)]
    return [*options, "--drop-missing"] if data.drop_missing else options


def _rows_of(tags: Mapping[str, str]) -> list[str]:
    """Return the options of `passerelle train` that treat rare classes in the same way and hold the same rows out.

    A training without a number divided its rows by its seed, as the code of its commit does.
    """
    named = {"--held-out-set": tags.get(HELD_OUT_SET), "--min-class-rows": tags.get(MIN_CLASS_ROWS), "--other": tags.get(OTHER_CLASS)}
    return [part for name, value in named.items() if value is not None for part in (name, value)]


@contextmanager
def checkout(root: Path, commit: str) -> Iterator[Path]:
    """Check the commit of a repository out beside it, for as long as the body runs.

    Raises:
        UsageError: This is no git repository, or it does not hold the commit.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-reproduce-") as temporary:
        folder = Path(temporary) / "checkout"
        added = _git(root, "worktree", "add", "--detach", str(folder), commit)
        if added.returncode != 0:
            reason = (added.stderr.strip().splitlines() or ["git says nothing"])[-1]
            raise UsageError(f"the commit {commit} cannot be checked out: {reason}", hint="git fetch --all")
        try:
            yield folder
        finally:
            _git(root, "worktree", "remove", "--force", str(folder))


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False)


def _trained(
    folder: Path, python: Path, options: Sequence[str], *, data_digest: str, environment: Mapping[str, str], progress: Progress = silent
) -> str:
    """Return the parent run of a training by the code in the folder, after checking that the data is the same."""
    _check_data(_train(folder, python, ["--dry-run", *options], environment, silent), data_digest)
    result = _train(folder, python, options, environment, progress)
    _check_data(result, data_digest)
    return str(result["parent_run_id"])


def _train(folder: Path, python: Path, options: Sequence[str], environment: Mapping[str, str], progress: Progress) -> Mapping[str, object]:
    """Return what `passerelle train --json` of the folder prints; its progress is passed on line by line."""
    command = [str(python), "-m", "passerelle", "train", "--json", "--again", "--experiment", _EXPERIMENT, *options]
    variables = dict(environment) | {"PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder}"}
    done = run_with_progress(command, folder, variables, _TRAIN_TIMEOUT_S, progress)
    # With the code of a usage error, the result of a training that left a bad candidate out.
    if done.returncode != 0 and '"parent_run_id"' not in done.stdout:
        output = "\n".join(f"    {line}" for line in (done.stderr or done.stdout).strip().splitlines()[-6:])
        raise OutsideError(f"the training from that commit failed:\n{output}", hint="git checkout COMMIT; passerelle train")
    return dict(json.loads(done.stdout))


def _check_data(result: Mapping[str, object], data_digest: str) -> None:
    """Check that the data is what the version was trained on; raises IntegrityError otherwise."""
    found = str(result["data_digest"])
    if found != data_digest:
        message = f"the data has the digest {found[:19]}…, the version was trained on {data_digest[:19]}…"
        raise IntegrityError(message, hint="passerelle reproduce VERSION --data FILE --text-column COLUMN --label-column COLUMN")


def _differing(registry: Registry, version: VersionInfo, run_id: str) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory(prefix="passerelle-reproduce-") as temporary:
        before = describe(registry.download_model(version.ref, Path(temporary) / "then")).libraries
        now = describe(registry.download(registry.model_uri(run_id), Path(temporary) / "now")).libraries
    return tuple(f"{name} {then} then, {now.get(name, 'none')} now" for name, then in sorted(before.items()) if now.get(name) != then)
